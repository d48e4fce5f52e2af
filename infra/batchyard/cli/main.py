"""The command line: `batchyard`. Lists the verbs, and says what they said to a person.

Each verb imports what it needs when it is called, so `--help` answers at once. What a verb does is
in the module of its matter: `local`, `deploy`, `environment`.
"""

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from batchyard.cli import triggers as triggers_cli
from batchyard.cli.output import fail as _fail
from batchyard.cli.output import say as _say
from batchyard.cloud.paths import DEFAULT_STATE_DIR, StateDir

if TYPE_CHECKING:
    from batchyard.cloud.deploy import StackEvent
    from batchyard.cloud.local import Cloud

app = typer.Typer(
    help="Batch jobs on your own terms: the AWS Batch API, serverless, in your account or on your "
    "machine.",
    no_args_is_help=True,
    add_completion=False,
)
app.add_typer(triggers_cli.app, name="trigger")

StateDirOption = Annotated[Path, typer.Option("--state-dir", help="Where a local cloud lives.")]
StackOption = Annotated[
    str | None, typer.Option("--stack", help="A stack in the account instead of a local cloud.")
]


@app.command()
def up(
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
    port: Annotated[int, typer.Option(help="The port of the AWS emulator.")] = 4566,
    runtime: Annotated[str, typer.Option(help="auto, process or docker")] = "auto",
    detach: Annotated[bool, typer.Option("--detach", help="Return when all is up.")] = False,
) -> None:
    """Bring up the whole of it on this machine, with no account."""
    from batchyard.cloud import local

    if runtime not in {"auto", "process", "docker"}:
        raise typer.BadParameter("auto, process or docker", param_hint="--runtime")
    state = StateDir.at(state_dir)
    # A service manager's SIGTERM ends it as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        cloud = local.up(state, port=port, runtime=runtime, say=_say, report=_report_failure)
        _tell_how_to_use(cloud, state, detached=detach)
        if detach:
            return
        _wait_for_the_end(cloud)
    except KeyboardInterrupt:
        _say("Stopping")
    except Exception as error:
        if not detach:
            local.down(state, purge=False, say=_say)
        _fail(error)
    local.down(state, purge=False, say=_say)


@app.command()
def down(
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
    purge: Annotated[bool, typer.Option("--purge", help="Remove its data too.")] = False,
) -> None:
    """Stop what `up` started for this state dir, and only that."""
    from batchyard.cloud import local

    local.down(StateDir.at(state_dir), purge=purge, say=_say)


@app.command()
def env(
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
    stack: Annotated[str | None, typer.Option(help="A stack in the account instead.")] = None,
) -> None:
    """Print the export lines that bring AWS clients here: eval "$(batchyard env)"."""
    from batchyard.client import environment

    try:
        if stack is None:
            values = environment.variables(state_dir)
        else:
            import boto3

            values = environment.variables_of_stack(boto3.Session(), stack)
    except Exception as error:
        _fail(error)
    print(environment.export_lines(values))


@app.command()
def deploy(
    stack: Annotated[str, typer.Option(help="Name of the stack, and prefix of all it makes.")] = (
        "batchyard"
    ),
    param: Annotated[list[str] | None, typer.Option(help="A parameter, as NAME=VALUE.")] = None,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> None:
    """Package and deploy to the account of the ambient credentials."""
    import boto3

    from batchyard.cloud import deploy as deployment
    from batchyard.cloud.package import AWS_PLATFORM, make_package

    parameters = dict(_name_and_value(text) for text in param or [])
    try:
        _say("Packaging the functions")
        package = make_package(StateDir.at(state_dir).packages, platform=AWS_PLATFORM)
        _say(f"Deploying the stack {stack}")
        outputs = deployment.deploy(
            boto3.Session(),
            package,
            stack_name=stack,
            parameters=parameters,
            report=_report,
        )
    except Exception as error:
        _fail(error)
    _say(
        f'Deployed: {outputs["EndpointURL"]}\nUse it with: eval "$(batchyard env --stack {stack})"'
    )


@app.command()
def template() -> None:
    """Print the CloudFormation template that is deployed, code still to be placed."""
    import json
    import tempfile

    from batchyard.cloud.package import make_template

    try:
        with tempfile.TemporaryDirectory() as folder:
            made = make_template(Path(folder))
    except Exception as error:
        _fail(error)
    print(json.dumps(made, indent=2))


@app.command()
def logs(
    job: Annotated[str, typer.Argument(help="Id or ARN of the job.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until the job ends.")] = False,
    attempt: Annotated[int | None, typer.Option(help="Of this attempt only.")] = None,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
    stack: StackOption = None,
) -> None:
    """Print what a job has written; with --follow, as it writes it."""
    from batchyard.cli import jobs_view as follow_view
    from batchyard.client import clients

    try:
        reach = clients.connect(state_dir, stack)
        follow_view.print_log(reach, job, follow=follow, attempt=attempt, say=_say)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        _fail(error)


@app.command()
def watch(
    name: Annotated[str, typer.Argument(metavar="JOB|QUEUE", help="By name, id or ARN.")],
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="Leave a queue when nothing is in flight.")
    ] = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
    stack: StackOption = None,
) -> None:
    """Watch a job until it ends (exit code 0 if it succeeded, 1 if not), or a queue."""
    from batchyard.cli import jobs_view as follow_view
    from batchyard.client import clients

    try:
        succeeded = follow_view.watch(
            clients.connect(state_dir, stack), name, until_idle=until_idle
        )
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        _fail(error)
    sys.exit(0 if succeeded else 1)


@app.command()
def demo() -> None:
    """Run real jobs on a local cloud of their own, show the results, and remove it all."""
    from batchyard.demo import main as demonstration

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        demonstration.run(say=_say, report=_report_failure)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        _fail(error)


@app.command()
def bench() -> None:
    """Measure latency, throughput and the price of a job on a local cloud of its own."""
    from batchyard.bench import main as benchmark

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        benchmark.run(say=_say, report=_report_failure)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        _fail(error)


def _name_and_value(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--param")
    return name, value


def _wait_for_the_end(cloud: "Cloud") -> None:
    """Return when the emulator that we started ends; Ctrl-C ends the waiting too."""
    import time

    while "emulator" not in cloud.processes or cloud.runs("emulator"):
        time.sleep(0.5)
    _say("The emulator has ended")


def _tell_how_to_use(cloud: "Cloud", state: StateDir, *, detached: bool) -> None:
    option = "" if state == StateDir.at(DEFAULT_STATE_DIR) else f" --state-dir {state.root}"
    end = f"batchyard down{option}" if detached else "Ctrl-C"
    _say(
        f"Batchyard is up on port {cloud.port}.\n"
        f'  Use it:   eval "$(batchyard env{option})" && aws batch describe-job-queues\n'
        f"  Its logs: {state.logs}\n"
        f"  Stop it:  {end}"
    )


def _report(event: "StackEvent") -> None:
    style = "red" if event.failed else "green" if event.status.endswith("COMPLETE") else "dim"
    _say(f"[{style}]{event.status:24}[/] {event.resource}  {event.reason}")


def _report_failure(event: "StackEvent") -> None:
    if event.failed:
        _report(event)
