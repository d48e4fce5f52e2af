"""The command line for the local cloud's fleet: `batchyard local fleet|interrupt|...`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from batchyard.cli.output import fail, say
from batchyard.cloud.paths import DEFAULT_STATE_DIR

if TYPE_CHECKING:
    from batchyard.client.fleet import FleetCalls

app = typer.Typer(
    help="The instances of the local cloud: see them, and have them go as AWS's do.",
    no_args_is_help=True,
)

StateDirOption = Annotated[
    Path, typer.Option("--state-dir", help="The folder of the local cloud's data and logs.")
]
BootOption = Annotated[
    float | None, typer.Option(help="Seconds that an instance of the fleet boots; else 1.")
]
IdleOption = Annotated[
    float | None, typer.Option(help="Seconds after which an idle instance leaves; else 15.")
]
NoticeOption = Annotated[
    float | None, typer.Option(help="Seconds from the notice of a Spot loss to it; else 2.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def fleet(json: JsonOption = False, state_dir: StateDirOption = DEFAULT_STATE_DIR) -> None:
    """Show the instances, what runs on each and why it is there, and what waits for one."""
    from batchyard.cli.fleet_view import print_fleet

    try:
        print_fleet(_calls(state_dir).show(), as_json=json)
    except Exception as error:
        fail(error)


@app.command()
def interrupt(
    environment: Annotated[
        str | None,
        typer.Option("--environment", help="Interrupt the instances of this one only."),
    ] = None,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> None:
    """Interrupt Spot instances, with a short notice, and tasks on Fargate Spot: SIGTERM."""
    _ask(state_dir, lambda calls: calls.interrupt(environment), "Interrupted: {taken}")


@app.command("no-capacity")
def no_capacity(
    environment: Annotated[str, typer.Argument(help="Name of the compute environment.")],
    period: Annotated[
        str, typer.Option("--for", help="How long, as 30s, 5m or 1h; 0s ends it.")
    ] = "5m",
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> None:
    """Have AWS find no capacity for an environment: launches fail as they do there."""
    from batchyard.client.fleet import seconds_in

    try:
        seconds = seconds_in(period)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--for") from error
    done = f"No capacity for {environment} for {period}" if seconds else f"{environment} is open"
    _ask(state_dir, lambda calls: calls.no_capacity(environment, seconds), done)


@app.command("lose-host")
def lose_host(
    instance: Annotated[
        str | None, typer.Argument(help="Id of the instance; unless given, a busy one.")
    ] = None,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> None:
    """Lose an instance without a notice: what runs on it is killed."""
    _ask(state_dir, lambda calls: calls.lose_host(instance), "Lost: {taken}")


def _ask(state_dir: Path, call: Any, done: str) -> None:
    try:
        answer: dict[str, Any] = call(_calls(state_dir))
    except Exception as error:
        fail(error)
    say(done.format(taken=", ".join([*answer.get("instances", []), *answer.get("tasks", [])])))


def _calls(state_dir: Path) -> "FleetCalls":
    from batchyard.client.fleet import fleet_of

    return fleet_of(state_dir)
