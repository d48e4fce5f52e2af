"""The demo: real input, real jobs, real results, on a local cloud that is gone afterwards.

The input is the source code of the standard library of the Python that runs this. One job surveys
it. One is asked a question that arrives late, so its first attempt gives up and is retried by rule.
One is asked nonsense, and a rule ends it at once. Then the survey is done once more, in shards, by
events alone (`demo_events.py`). All that is shown is what the API, S3 and Step Functions answer.
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
from batchyard.client.clients import Clients, connect
from batchyard.client.jobs import JobDetail, Look, looks_at
from batchyard.cloud import emulator, local
from batchyard.cloud.deploy import Report
from batchyard.cloud.local import Say
from batchyard.cloud.paths import StateDir
from batchyard.demo.events import Scene
from batchyard.demo.input import archive_of, modules

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
VALID_PATIENCE_SECONDS = 60.0
BAR_WIDTH = 30
# The process runtime ignores the image; a container engine would pull it.
IMAGE = "public.ecr.aws/docker/library/python:3-slim"


class DemoError(Exception):
    """Something did not go as the demo says it does."""


def run(*, say: Say, report: Report) -> None:
    """Run it all; raises an error if anything fails. Nothing is left behind either way."""
    console = Console(highlight=False)
    with local_cloud(say, report) as (clients, machine_arn):
        _put_input(clients, console)
        _make_queue(clients, console)
        _survey(clients, console)
        _question(clients, console)
        _nonsense(clients, console)
        _events(clients, console, machine_arn)
    console.print("\n[green]Done, and everything is stopped and removed.[/]")


@contextmanager
def local_cloud(say: Say, report: Report) -> Iterator[tuple[Clients, str]]:
    """A local cloud in a folder and on a port of its own, both gone when the block ends.

    Beside its clients, the ARN of the machine that runs a job.
    """
    root = Path(tempfile.mkdtemp(prefix="batchyard-"))
    state = StateDir.at(root)
    with emulator.reserved_port() as port:
        try:
            cloud = local.up(state, port=port, runtime="process", say=say, report=report)
            yield connect(root), cloud.outputs["RunJobMachineArn"]
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
    batch.create_compute_environment(
        computeEnvironmentName=NAME,
        type="MANAGED",
        computeResources={
            "type": "FARGATE",
            "maxvCpus": 4,
            "subnets": ["subnet-00000000"],
            "securityGroupIds": ["sg-00000000"],
        },
    )
    status = ""
    while status != "VALID":
        environment = batch.describe_compute_environments(computeEnvironments=[NAME])
        described = environment["computeEnvironments"][0]
        status = described["status"]
        if status == "INVALID" or time.monotonic() - began > VALID_PATIENCE_SECONDS:
            raise DemoError(f"The environment is {status}: {described.get('statusReason')}")
        time.sleep(0.1)
    batch.create_job_queue(
        jobQueueName=NAME,
        priority=1,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": NAME}],
    )
    _define(clients, "survey", "survey.py", ["Ref::archive", "Ref::result"])
    _define(clients, "question", "question.py", ["Ref::archive", "Ref::question", "Ref::result"])
    _define(clients, "shard", "shard.py", ["Ref::manifest", _uri("found")])
    _define(clients, "atlas", "atlas.py", [_uri("found"), _uri("atlas.json")])
    _define_line(clients)
    console.print(
        f"[bold]Ready[/] after {time.monotonic() - began:.1f} s: a Fargate environment "
        f"({described['statusReason']}), a queue, five job definitions",
        soft_wrap=True,
    )


def _define(clients: Clients, name: str, script: str, arguments: list[str]) -> None:
    _register(clients, name, [sys.executable, str(SCRIPTS / script), *arguments], memory="2048")


def _define_line(clients: Clients) -> None:
    _register(clients, "line", ["echo", "Ref::line"], memory="512")


def _register(clients: Clients, name: str, command: list[str], *, memory: str) -> None:
    clients("batch").register_job_definition(
        jobDefinitionName=name,
        type="container",
        platformCapabilities=["FARGATE"],
        parameters={"archive": _uri("stdlib.tar.gz")},
        retryStrategy={"attempts": 5, "evaluateOnExit": RULES},
        containerProperties={
            "image": IMAGE,
            "command": command,
            "executionRoleArn": "arn:aws:iam::000000000000:role/demo",
            "resourceRequirements": [
                {"type": "VCPU", "value": "0.25" if memory == "512" else "1"},
                {"type": "MEMORY", "value": memory},
            ],
        },
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
    console.print("\n[bold]A job whose question arrives late: exit code 75, retried by rule[/]")
    told = False

    def when_it_has_given_up(job: JobDetail) -> None:
        nonlocal told
        if not told and job.get("attempts"):
            told = True
            clients("s3").put_object(Bucket=BUCKET, Key="question.txt", Body=QUESTION.encode())
            console.print(f"[dim]Attempt 1 has given up. Now {_uri('question.txt')} arrives.[/]")

    parameters = {"question": _uri("question.txt"), "result": _uri("answer.json")}
    job = _run_job(clients, console, "question", parameters, on_look=when_it_has_given_up)
    codes = _exit_codes(job)
    # The late question may be too late for the second attempt as well; the rule allows for that.
    _expect(job, "SUCCEEDED", [*[TRY_AGAIN] * max(1, len(codes) - 1), 0])
    console.print("The standard library says, and says first in:")
    console.print(_bars(_result(clients, "answer.json")))


def _nonsense(clients: Clients, console: Console) -> None:
    console.print("\n[bold]A job whose question is nonsense: exit code 65, ended by rule[/]")
    clients("s3").put_object(Bucket=BUCKET, Key="nonsense.txt", Body=NONSENSE)
    parameters = {"question": _uri("nonsense.txt"), "result": _uri("never.json")}
    job = _run_job(clients, console, "question", parameters)
    _expect(job, "FAILED", [DATA_ERROR])
    console.print(
        f"It failed after 1 of {job['retryStrategy']['attempts']} attempts, as it should."
    )


def _events(clients: Clients, console: Console, machine_arn: str) -> None:
    scene = Scene(clients, console, bucket=BUCKET, run_job_machine_arn=machine_arn)
    atlas = scene.play()
    _show_survey(atlas, console)
    alone = _result(clients, "survey.json")
    counts = ("modules", "lines", "functions", "most_imported")
    if any(atlas[name] != alone[name] for name in counts):
        raise DemoError("The shards together are not what the whole was")
    console.print(f"The same as the one job found, from {atlas['shards']} shards.")


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
            f"Job {job['jobName']} was to be {status} with exit codes {exit_codes}, but is "
            f"{job['status']} ({job.get('statusReason')}) with {_exit_codes(job)}"
        )


def _exit_codes(job: JobDetail) -> list[int | None]:
    return [attempt["container"].get("exitCode") for attempt in job["attempts"]]


def _result(clients: Clients, key: str) -> Any:
    return json.loads(clients("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read())


def _uri(key: str) -> str:
    return f"s3://{BUCKET}/{key}"


def _bars(rows: Iterable[tuple[str, int, str]]) -> Table:
    """Numbers as bars, the greatest filling the width."""
    entries = list(rows)
    greatest = max((count for _, count, _ in entries), default=0) or 1
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, count, note in entries:
        bar = "█" * round(count / greatest * BAR_WIDTH)
        table.add_row(name, f"{count:,}", f"[cyan]{bar}[/]", f"[dim]{note}[/]")
    return table
