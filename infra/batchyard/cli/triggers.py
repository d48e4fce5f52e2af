"""The command line for triggers: `batchyard trigger put|list|show|delete|fire|schema`.

Results go to standard output as programs read them, messages to standard error.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from batchyard.cli.output import fail, say
from batchyard.cloud.paths import DEFAULT_STATE_DIR

if TYPE_CHECKING:
    from batchyard.client.triggers import TriggerCalls

app = typer.Typer(
    help="Triggers: schedules, events and uploads that submit jobs.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="The trigger's name.")]
StateDirOption = Annotated[
    Path, typer.Option("--state-dir", help="The folder of the local cloud's data and logs.")
]
StackOption = Annotated[
    str | None,
    typer.Option("--stack", help="Use this stack in your account instead of the local cloud."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def put(
    name: Name,
    file: Annotated[
        str, typer.Argument(help="A JSON file with the trigger document; - is standard input.")
    ],
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
    stack: StackOption = None,
) -> None:
    """Create or update a trigger, and wait until it is VALID."""
    from batchyard.cli import triggers_view

    try:
        trigger = triggers_view.put(_calls(state_dir, stack), name, _json_in(file))
    except Exception as error:
        fail(error)
    if trigger["status"] != "VALID":
        fail(ValueError(f"{name} is {trigger['status']}: {trigger['statusReason']}"))
    say(f"{name} is VALID and {trigger['state']}")


@app.command("list")
def list_(
    json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
    stack: StackOption = None,
) -> None:
    """Show all triggers."""
    from batchyard.cli import triggers_view

    try:
        triggers_view.print_list(_calls(state_dir, stack).every(), as_json=json)
    except Exception as error:
        fail(error)


@app.command()
def show(
    name: Name,
    json: JsonOption = False,
    last: Annotated[
        int, typer.Option(help="How many of the last firings to show.", min=1, max=100)
    ] = 20,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
    stack: StackOption = None,
) -> None:
    """Show a trigger and its last firings: the outcome of each, its job, the reason."""
    from batchyard.cli import triggers_view

    try:
        triggers_view.show(_calls(state_dir, stack), name, last=last, as_json=json)
    except Exception as error:
        fail(error)


@app.command()
def delete(
    name: Name, state_dir: StateDirOption = DEFAULT_STATE_DIR, stack: StackOption = None
) -> None:
    """Delete a trigger. Its jobs continue, and its firings can still be shown."""
    try:
        _calls(state_dir, stack).delete(name)
    except Exception as error:
        fail(error)


@app.command()
def fire(
    name: Name,
    event: Annotated[
        str | None, typer.Option(help="A JSON file with the event; - is standard input.")
    ] = None,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
    stack: StackOption = None,
) -> None:
    """Fire a trigger now with this event, and print the outcome as JSON."""
    from batchyard.cli import triggers_view

    try:
        given = None if event is None else _json_in(event)
        firing = _calls(state_dir, stack).fire(name, given)
    except Exception as error:
        fail(error)
    triggers_view.print_json(firing)
    if firing["outcome"] == "FAILED":
        sys.exit(1)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a trigger document."""
    from batchyard.cli import triggers_view

    triggers_view.print_json(triggers_view.schema())


def _calls(state_dir: Path, stack: str | None) -> "TriggerCalls":
    from batchyard.client.clients import connect
    from batchyard.client.triggers import TriggerCalls

    return TriggerCalls(connect(state_dir, stack))


def _json_in(file: str) -> Any:
    import json

    text = sys.stdin.read() if file == "-" else Path(file).read_text()
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"{file} is not JSON: {error}") from None
