"""The demo: real jobs on real input, on a temporary local cloud.

The input is the source code of the standard library of the Python that runs this. One job surveys
it. One reads a question that arrives late, so its first attempt exits with 75 and is retried by a
rule. One reads a question that is not text, and a rule ends it at once. Then the survey is done
again in shards, started by events alone (`demo.events`), and on instances that come and go
(`demo.instances`). All that is shown is what the API, S3, Step Functions and the fleet answer.
"""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from batchyard.cli.jobs_view import attempts_table, show_job
from batchyard.client import setup
from batchyard.client.clients import Clients, connect
from batchyard.client.fleet import FleetCalls, fleet_of
from batchyard.client.jobs import JobDetail, Look, looks_at
from batchyard.cloud import emulator, local
from batchyard.cloud.local import Say
from batchyard.cloud.paths import StateDir
from batchyard.cloud.stacks import Report
from batchyard.demo.events import SHARDS, Scene
from batchyard.demo.input import archive_of, modules
from batchyard.demo.instances import InstanceScene

SCRIPTS = Path(__file__).resolve().parent / "data"
BUCKET = "batchyard-demo"
NAME = "demo"  # of the environment and of the queue
QUESTION = "spam eggs XXX TODO hack magic evil sorry"
NONSENSE = b"\xff\xfe\xfa"
DATA_ERROR, TRY_AGAIN = 65, 75  # the exit codes of question.py
RULES = [
    {"onExitCode": str(TRY_AGAIN), "action": "RETRY"},
    {"onExitCode": "*", "action": "EXIT"},
]
VCPUS = 4
# So that a person need not wait: an idle instance leaves, and one that is interrupted goes.
IDLE_SECONDS, NOTICE_SECONDS = 3, 0.3
BAR_WIDTH = 30
# The process runtime ignores the image; a container engine would pull it.
IMAGE = "public.ecr.aws/docker/library/python:3-slim"


class DemoError(Exception):
    """A step of the demo did not have the expected result."""


def run(*, say: Say, report: Report) -> None:
    """Run the whole demo; raises an error if a step fails. Everything is removed in any case."""
    console = Console(highlight=False)
    with local_cloud(say, report) as (clients, machine_arn, fleet):
        _put_input(clients, console)
        _make_queue(clients, console)
        _survey(clients, console)
        _question(clients, console)
        _nonsense(clients, console)
        manifest = _events(clients, console, machine_arn)
        scene = InstanceScene(clients, fleet, console, bucket=BUCKET)
        scene.play(shards=SHARDS, manifest=manifest)
    console.print("\n[green]Done. Everything is stopped and removed.[/]")


@contextmanager
def local_cloud(say: Say, report: Report) -> Iterator[tuple[Clients, str, FleetCalls]]:
    """Provide a temporary local cloud: clients, ARN of its `run_job` state machine, its fleet.

    Its folder is removed and its port released when the block ends.
    """
    root = Path(tempfile.mkdtemp(prefix="batchyard-"))
    state = StateDir.at(root)
    with emulator.reserved_port() as port:
        try:
            cloud = local.up(
                state,
                port=port,
                runtime="process",
                say=say,
                report=report,
                emulator_settings=emulator.fleet_settings(idle=IDLE_SECONDS, notice=NOTICE_SECONDS),
            )
            yield connect(root), cloud.outputs["RunJobMachineArn"], fleet_of(root)
        finally:
            local.down(state, purge=True, say=say)
            shutil.rmtree(root, ignore_errors=True)


def _put_input(clients: Clients, console: Console) -> None:
    paths = modules()
    archive = archive_of(paths)
    clients("s3").create_bucket(Bucket=BUCKET)
    clients("s3").put_object(Bucket=BUCKET, Key="stdlib.tar.gz", Body=archive)
    console.print(
        f"\n[bold]Input[/]: the standard library of Python {sys.version.split()[0]}, "
        f"{len(paths)} modules, {len(archive):,} bytes in {_uri('stdlib.tar.gz')}",
        soft_wrap=True,
    )


def _make_queue(clients: Clients, console: Console) -> None:
    batch = clients("batch")
    began = time.monotonic()
    setup.ensure_environment(batch, NAME, vcpus=VCPUS)
    setup.ensure_queue(batch, NAME, NAME)
    _define(clients, "survey", "survey.py", ["Ref::archive", "Ref::result"])
    _define(clients, "question", "question.py", ["Ref::archive", "Ref::question", "Ref::result"])
    _define(clients, "shard", "shard.py", ["Ref::manifest", _uri("found")])
    _define(clients, "atlas", "atlas.py", [_uri("found"), _uri("atlas.json")])
    _define_line(clients)
    console.print(
        f"[bold]Ready[/] after {time.monotonic() - began:.1f} s: a Fargate environment, a queue, "
        "five job definitions",
        soft_wrap=True,
    )


def _define(clients: Clients, name: str, script: str, arguments: list[str]) -> None:
    _register(clients, name, [sys.executable, str(SCRIPTS / script), *arguments], memory="2048")


def _define_line(clients: Clients) -> None:
    _register(clients, "line", ["echo", "Ref::line"], memory="512")


def _register(clients: Clients, name: str, command: list[str], *, memory: str) -> None:
    setup.register_definition(
        clients("batch"),
        name,
        command,
        image=IMAGE,
        vcpus="0.25" if memory == "512" else "1",
        memory=memory,
        execution_role=clients.execution_role,
        parameters={"archive": _uri("stdlib.tar.gz")},
        retryStrategy={"attempts": 5, "evaluateOnExit": RULES},
    )


def _survey(clients: Clients, console: Console) -> None:
    console.print("\n[bold]A job that reads from S3, works, and writes to S3[/]")
    job = _run_job(clients, console, "survey", {"result": _uri("survey.json")})
    _expect(job, "SUCCEEDED", [0])
    _show_survey(_result(clients, "survey.json"), console)


def _show_survey(result: Mapping[str, Any], console: Console) -> None:
    console.print(
        f"Result: {result['modules']} modules, {result['lines']:,} lines, "
        f"{result['functions']:,} functions. Imported by most:"
    )
    console.print(_bars((name, count, "") for name, count in result["most_imported"]))
    length, function, module = result["longest_functions"][0]
    console.print(f"The longest function is {function} in {module}, {length} lines.")


def _question(clients: Clients, console: Console) -> None:
    console.print("\n[bold]A job whose input arrives late: exit code 75, retried by a rule[/]")
    uploaded = False

    def upload_after_first_attempt(job: JobDetail) -> None:
        nonlocal uploaded
        if not uploaded and job.get("attempts"):
            uploaded = True
            clients("s3").put_object(Bucket=BUCKET, Key="question.txt", Body=QUESTION.encode())
            console.print(f"[dim]Attempt 1 has ended. Now {_uri('question.txt')} is uploaded.[/]")

    parameters = {"question": _uri("question.txt"), "result": _uri("answer.json")}
    job = _run_job(clients, console, "question", parameters, on_look=upload_after_first_attempt)
    codes = _exit_codes(job)
    # The question may come too late for the second attempt as well; the rule retries again.
    _expect(job, "SUCCEEDED", [*[TRY_AGAIN] * max(1, len(codes) - 1), 0])
    console.print("How often each word occurs in the standard library, and where first:")
    console.print(_bars(_result(clients, "answer.json")))


def _nonsense(clients: Clients, console: Console) -> None:
    console.print("\n[bold]A job whose input is not text: exit code 65, ended by a rule[/]")
    clients("s3").put_object(Bucket=BUCKET, Key="nonsense.txt", Body=NONSENSE)
    parameters = {"question": _uri("nonsense.txt"), "result": _uri("never.json")}
    job = _run_job(clients, console, "question", parameters)
    _expect(job, "FAILED", [DATA_ERROR])
    console.print(
        f"It failed after 1 of {job['retryStrategy']['attempts']} attempts, as the rule says."
    )


def _events(clients: Clients, console: Console, machine_arn: str) -> str:
    """Play the jobs that events submit; return the manifest of the uploads."""
    scene = Scene(clients, console, bucket=BUCKET, run_job_machine_arn=machine_arn)
    atlas = scene.play()
    _show_survey(atlas, console)
    alone = _result(clients, "survey.json")
    counts = ("modules", "lines", "functions", "most_imported")
    if any(atlas[name] != alone[name] for name in counts):
        raise DemoError("The results of the shards together differ from the result of the one job")
    console.print(f"The same result as that of the one job, from {atlas['shards']} shards.")
    return scene.manifest


def _run_job(
    clients: Clients,
    console: Console,
    definition: str,
    parameters: Mapping[str, str],
    on_look: Callable[[JobDetail], None] = lambda job: None,
) -> JobDetail:
    """Submit a job and show it until it has ended."""
    submitted = clients("batch").submit_job(
        jobName=definition, jobQueue=NAME, jobDefinition=definition, parameters=dict(parameters)
    )

    def looks() -> Iterator[Look]:
        for look in looks_at(clients, submitted["jobId"]):
            on_look(look[0])
            yield look

    job = show_job(looks(), console)
    if not console.is_terminal:
        console.print(attempts_table(job))
    return job


def _expect(job: JobDetail, status: str, exit_codes: list[int]) -> None:
    if job["status"] != status or _exit_codes(job) != exit_codes:
        raise DemoError(
            f"Job {job['jobName']} should be {status} with exit codes {exit_codes}. It is "
            f"{job['status']} ({job.get('statusReason')}) with {_exit_codes(job)}."
        )


def _exit_codes(job: JobDetail) -> list[int | None]:
    return [attempt["container"].get("exitCode") for attempt in job["attempts"]]


def _result(clients: Clients, key: str) -> Any:
    return json.loads(clients("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read())


def _uri(key: str) -> str:
    return f"s3://{BUCKET}/{key}"


def _bars(rows: Iterable[tuple[str, int, str]]) -> Table:
    """Return numbers as bars; the largest has the full width."""
    entries = list(rows)
    greatest = max((count for _, count, _ in entries), default=0) or 1
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, count, note in entries:
        bar = "█" * round(count / greatest * BAR_WIDTH)
        table.add_row(name, f"{count:,}", f"[cyan]{bar}[/]", f"[dim]{note}[/]")
    return table
