"""The command `batchyard`: its subcommands, their options and messages.

Each subcommand imports what it needs when it is called, so that `--help` is fast. The work is done
in `cloud` (up, down, deploy, destroy), `client` (env, logs, watch), `demo` and `bench`.
"""

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from batchyard.cli import fleet as fleet_cli
from batchyard.cli import triggers as triggers_cli
from batchyard.cli.output import fail as _fail
from batchyard.cli.output import say as _say
from batchyard.cloud.paths import DEFAULT_STATE_DIR, StateDir

if TYPE_CHECKING:
    from batchyard.cloud.local import Cloud
    from batchyard.cloud.stacks import StackEvent

app = typer.Typer(
    help="Serverless batch jobs with the AWS Batch API, in your AWS account or on your machine.",
    no_args_is_help=True,
    add_completion=False,
)
app.add_typer(triggers_cli.app, name="trigger")
app.add_typer(fleet_cli.app, name="local")

StateDirOption = Annotated[
    Path, typer.Option("--state-dir", help="The folder of the local cloud's data and logs.")
]
StackOption = Annotated[
    str | None,
    typer.Option("--stack", help="Use this stack in your account instead of the local cloud."),
]
PortOption = Annotated[
    int | None,
    typer.Option(
        help="The port of the AWS emulator; unless given, the one used before, or 4566.",
        envvar="BATCHYARD_PORT",
    ),
]
RUNTIMES = ("auto", "process", "docker")
ACCESS_NOTES = {
    False: "It takes requests that are signed with its keys, which `batchyard env` prints.",
    True: "It is open: it takes any credentials, so every user of this machine can run jobs as "
    "you.",
}
RUNTIME_NOTES = {
    "process": "The runtime is process: jobs run as you, unsandboxed, on this machine itself, and "
    "their image is ignored.",
    "docker": "The runtime is docker: each container of a job runs in the container engine.",
}


@app.command()
def up(
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
    port: PortOption = None,
    runtime: Annotated[
        str,
        typer.Option(help="What runs jobs: process, docker, or auto (docker if an engine answers)"),
    ] = "auto",
    is_open: Annotated[
        bool, typer.Option("--open", help="Take any credentials, for tools that have `test`.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return once it is up; `batchyard down` stops it.")
    ] = False,
    boot: fleet_cli.BootOption = None,
    idle: fleet_cli.IdleOption = None,
    notice: fleet_cli.NoticeOption = None,
) -> None:
    """Start a local cloud on this machine, with an environment and a queue named `default`."""
    from batchyard.cloud import emulator, local

    if runtime not in RUNTIMES:
        raise typer.BadParameter("auto, process or docker", param_hint="--runtime")
    state = StateDir.at(state_dir)
    # A service manager's SIGTERM ends it as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        cloud = local.up(
            state,
            port=port,
            runtime=runtime,
            is_open=is_open,
            say=_say,
            report=_report_failure,
            emulator_settings=emulator.fleet_settings(boot=boot, idle=idle, notice=notice),
        )
        _make_default(state)
        _explain_use(cloud, state, detached=detach)
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
    purge: Annotated[
        bool, typer.Option("--purge", help="Discard jobs, logs, queues, triggers and buckets too.")
    ] = False,
) -> None:
    """Stop the local cloud of this state dir; its data are kept for the next `up`."""
    from batchyard.cloud import local

    local.down(StateDir.at(state_dir), purge=purge, say=_say)


@app.command()
def env(
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
    stack: StackOption = None,
    queue: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Use the endpoint of this job queue, which serves the jobs of that queue only.",
        ),
    ] = None,
) -> None:
    """Print export lines that direct AWS clients to Batchyard: eval "$(batchyard env)"."""
    from batchyard.client import environment

    try:
        if stack is None:
            values = environment.variables(state_dir, queue=queue)
        else:
            import boto3

            values = environment.variables_of_stack(boto3.Session(), stack, queue=queue)
    except Exception as error:
        _fail(error)
    print(environment.export_lines(values))


@app.command()
def deploy(
    stack: Annotated[
        str, typer.Option(help="Name of the stack, and prefix of its resources' names.")
    ] = "batchyard",
    param: Annotated[
        list[str] | None, typer.Option(help="A stack parameter as NAME=VALUE; may be repeated.")
    ] = None,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> None:
    """Package Batchyard and deploy it to the AWS account of your credentials."""
    import boto3

    from batchyard.cloud import deploy as deployment
    from batchyard.cloud.package import AWS_PLATFORM, AWS_PYTHON, make_package

    parameters = dict(_name_and_value(text) for text in param or [])
    try:
        _say("Packaging the functions")
        package = make_package(StateDir.at(state_dir).packages, platform=AWS_PLATFORM)
        if not package.is_compiled:
            _say(
                f"There is no python{AWS_PYTHON} on this machine to compile the functions: each "
                "starts about a second later when it is cold. Install it and deploy again."
            )
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
def destroy(
    stack: Annotated[str, typer.Option(help="Name of the stack.")],
    keep_tables: Annotated[
        bool,
        typer.Option(
            "--keep-tables",
            help="Keep the tables, manifests, task definitions and logs of jobs: the next "
            "deployment of this name takes the tables over.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a stack from the AWS account of your credentials, with all that it has made."""
    import boto3

    from batchyard.cloud.destroy import removal_of

    session = boto3.Session()
    try:
        removal = removal_of(session, stack, keep_tables=keep_tables, report=_report)
        found = removal.found()
        if not found:
            _say(f"Nothing of a stack named {stack} is left in {session.region_name}.")
            return
        _say(f"To be removed from account {removal.account_id} in {session.region_name}:")
        for one in found:
            _say(f"  {one}")
        for one in removal.kept():
            _say(f"  (kept) {one}")
    except Exception as error:
        _fail(error)
    if not yes and typer.prompt("Type the stack's name to remove all this", err=True) != stack:
        _fail(ValueError(f"Nothing was removed: that is not {stack}."))
    try:
        removal.run(_say)
    except Exception as error:
        _fail(error)
    _say(f"The stack {stack} is removed.")


@app.command()
def template() -> None:
    """Print the CloudFormation template that `deploy` uses, without the location of the code."""
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
    job: Annotated[str, typer.Argument(help="Id or ARN of the job, or of a child as ID:INDEX.")],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print lines as they come, until the job ends.")
    ] = False,
    attempt: Annotated[int | None, typer.Option(help="Print this attempt only.")] = None,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
    stack: StackOption = None,
) -> None:
    """Print what a job has written; for an array, its children's lines after their [index]."""
    from batchyard.cli.logs_view import print_log
    from batchyard.client.clients import connect

    try:
        print_log(connect(state_dir, stack), job, follow=follow, attempt=attempt, say=_say)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        _fail(error)


@app.command()
def watch(
    name: Annotated[
        str,
        typer.Argument(metavar="JOB|QUEUE", help="Id or ARN of a job, name or ARN of a queue."),
    ],
    until_idle: Annotated[
        bool,
        typer.Option(
            "--until-idle",
            help="End when the queue has no job in flight; exit code 1 if one failed meanwhile.",
        ),
    ] = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
    stack: StackOption = None,
) -> None:
    """Watch a job until it ends (exit code 0 if it succeeded, 1 if it failed), or a queue."""
    from batchyard.cli.jobs_view import watch as watch_jobs
    from batchyard.client.clients import connect

    try:
        succeeded = watch_jobs(connect(state_dir, stack), name, until_idle=until_idle)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        _fail(error)
    sys.exit(0 if succeeded else 1)


@app.command()
def replay(
    letters: Annotated[
        str,
        typer.Argument(
            metavar="LETTERS", help="What to deliver again: streams, wakes, task-events, triggers."
        ),
    ] = "streams",
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
    stack: StackOption = None,
) -> None:
    """Deliver again what ended in a dead-letter queue; exit code 1 if some of it fails again."""
    from batchyard.cli.replay_view import LETTERS, print_replay
    from batchyard.client.clients import connect
    from batchyard.cloud.local import STACK_NAME

    if letters not in LETTERS:
        raise typer.BadParameter(", ".join(LETTERS), param_hint="LETTERS")
    try:
        handled = print_replay(connect(state_dir, stack), stack or STACK_NAME, letters, say=_say)
    except Exception as error:
        _fail(error)
    sys.exit(0 if handled else 1)


@app.command()
def demo() -> None:
    """Run real jobs on a temporary local cloud, and show the results."""
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
    """Measure latency, throughput and the price of a job on a temporary local cloud."""
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
    """Return when the emulator that `up` started ends; Ctrl-C ends the wait too."""
    import time

    while "emulator" not in cloud.processes or cloud.runs("emulator"):
        time.sleep(0.5)
    _say("The emulator has ended")


def _make_default(state: StateDir) -> None:
    from batchyard.client.clients import connect
    from batchyard.client.setup import ensure_default

    _say("Making the compute environment and the job queue named default, unless they exist")
    ensure_default(connect(state.root)("batch"))


def _explain_use(cloud: "Cloud", state: StateDir, *, detached: bool) -> None:
    from batchyard.cloud import local

    option = "" if state == StateDir.at(DEFAULT_STATE_DIR) else f" --state-dir {state.root}"
    stop = f"batchyard down{option}" if detached else "Ctrl-C"
    runtime = local.runtime_of(state)
    _say(
        f"Batchyard is up on port {cloud.port}. {RUNTIME_NOTES[runtime]}\n"
        f"{ACCESS_NOTES[cloud.is_open]}\n"
        f'  Use it:   eval "$(batchyard env{option})" && aws batch describe-job-queues\n'
        f"  Its logs: {state.logs}\n"
        f"  Stop it:  {stop}"
    )


def _report(event: "StackEvent") -> None:
    style = "red" if event.failed else "green" if event.status.endswith("COMPLETE") else "dim"
    _say(f"[{style}]{event.status:24}[/] {event.resource}  {event.reason}")


def _report_failure(event: "StackEvent") -> None:
    if event.failed:
        _report(event)
