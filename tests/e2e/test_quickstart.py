"""The README's quickstart on a fresh cloud, pasted into a shell, and what `down` keeps of it."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchyard.client.triggers import TriggerCalls
from batchyard.cloud.emulator import reserved_port
from batchyard.cloud.paths import REPOSITORY
from tests.e2e.world import World, batchyard, processes_of, until

pytestmark = pytest.mark.e2e
BLOCK = re.compile(
    r"<!-- quickstart: begin -->\n```bash\n(.*?)```\n<!-- quickstart: end -->", re.DOTALL
)
CHECKOUT = ("Makefile", "app.py", "chalicelib", "infra", "pyproject.toml", "statemachines")
QUICKSTART_SECONDS = 240


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that looks like a checkout with its `.venv`, where no cloud was ever started."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in CHECKOUT:
        (folder / name).symlink_to(REPOSITORY / name)
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(Path(sys.prefix) / "bin")
    # Newer than the lock, so that `make` installs nothing.
    (folder / ".venv" / ".local").touch()
    try:
        yield folder
    finally:
        batchyard("down", "--state-dir", str(folder / ".batchyard"), "--purge")
    assert processes_of(folder) == {}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with reserved_port() as port:
        yield port


@pytest.fixture(scope="module")
def pasted(checkout: Path, port: int) -> "subprocess.CompletedProcess[str]":
    """The shell that has read the README's block, line by line, from its standard input."""
    [block] = BLOCK.findall((REPOSITORY / "README.md").read_text())
    ours = {name: text for name, text in os.environ.items() if not name.startswith("AWS_")}
    # The port is the only thing that a person would not set: another cloud may have 4566.
    ours |= {"BATCHYARD_PORT": str(port), "PYTHONPATH": str(REPOSITORY / "infra")}
    return subprocess.run(
        ["bash", "--noprofile", "--norc"],
        input=block,
        cwd=checkout,
        env=ours,
        capture_output=True,
        text=True,
        check=False,
        timeout=QUICKSTART_SECONDS,
    )


def test_the_quickstart_ends_with_the_line_that_the_job_printed(
    pasted: "subprocess.CompletedProcess[str]",
) -> None:
    assert pasted.returncode == 0, pasted.stderr
    assert pasted.stdout.splitlines()[-1:] == ["hello"], pasted.stdout + pasted.stderr
    assert "The runtime is " in pasted.stderr


def test_down_keeps_jobs_logs_queues_triggers_and_buckets_for_the_next_up(
    pasted: "subprocess.CompletedProcess[str]", checkout: Path
) -> None:
    state_dir = checkout / ".batchyard"
    options = ["--state-dir", str(state_dir)]
    before = World(state_dir)
    [summary] = before.batch.list_jobs(jobQueue="default", jobStatus="SUCCEEDED")["jobSummaryList"]
    before.clients("s3").create_bucket(Bucket="inbox")
    before.clients("s3").put_object(Bucket="inbox", Key="early", Body=b"1")
    document = {
        "source": {"uploads": {"bucket": "inbox"}},
        "request": {"jobName": "load", "jobQueue": "default", "jobDefinition": "hello"},
    }
    batchyard("trigger", "put", "uploads", "-", *options, text=json.dumps(document))

    assert "Kept for the next" in batchyard("down", *options).stderr
    assert processes_of(checkout) == {}
    batchyard("up", *options, "--runtime", "process", "--detach")

    world = World(state_dir)
    job = world.job(summary["jobId"])
    assert (job["status"], job["createdAt"]) == ("SUCCEEDED", summary["createdAt"])
    assert batchyard("logs", summary["jobId"], *options).stdout == "hello\n"
    queues = world.batch.describe_job_queues()["jobQueues"]
    assert [(queue["jobQueueName"], queue["status"]) for queue in queues] == [("default", "VALID")]
    assert world.clients("s3").get_object(Bucket="inbox", Key="early")["Body"].read() == b"1"
    # What came back also works: the streams, the functions, the agent.
    again = world.submit("default", "hello")
    assert world.await_job(again)["status"] == "SUCCEEDED"
    world.clients("s3").put_object(Bucket="inbox", Key="late", Body=b"2")
    triggers = TriggerCalls(world.clients)
    [firing] = until(lambda: triggers.firings("uploads"), bool, seconds=60)
    assert world.await_job(firing["jobId"])["status"] == "SUCCEEDED"


def test_watch_until_idle_fails_when_a_job_failed_meanwhile(
    pasted: "subprocess.CompletedProcess[str]", checkout: Path
) -> None:
    options = ["--state-dir", str(checkout / ".batchyard")]
    world = World(checkout / ".batchyard")
    failing = world.definition("sh", "-c", "sleep 5; exit 3")
    job_id = world.submit("default", failing)
    watched = batchyard("watch", "default", "--until-idle", *options, check=False)
    assert (watched.returncode, job_id in watched.stdout) == (1, True), watched.stdout
    # The job that failed before is not counted again.
    assert batchyard("watch", "default", "--until-idle", *options).returncode == 0


def test_logs_and_watch_of_an_array_show_its_children(
    pasted: "subprocess.CompletedProcess[str]", checkout: Path
) -> None:
    options = ["--state-dir", str(checkout / ".batchyard")]
    world = World(checkout / ".batchyard")
    script = 'echo "I am $AWS_BATCH_JOB_ARRAY_INDEX"; [ "$AWS_BATCH_JOB_ARRAY_INDEX" != 1 ]'
    array = world.submit(
        "default", world.definition("sh", "-c", script), arrayProperties={"size": 3}
    )
    watched = batchyard("watch", array, *options, check=False)
    assert watched.returncode == 1
    assert "FAILED 1" in watched.stdout
    assert "first failed child [1]: exit code 1" in watched.stdout
    logs = batchyard("logs", array, *options)
    assert logs.stdout.splitlines() == ["[1] I am 1", "[0] I am 0", "[2] I am 2"]
    assert "0 more are not shown" in logs.stderr


@pytest.mark.slow
def test_what_happened_since_the_last_down_is_lost_when_the_emulator_is_killed(
    pasted: "subprocess.CompletedProcess[str]", checkout: Path, tmp_path: Path
) -> None:
    options = ["--state-dir", str(checkout / ".batchyard")]
    flag = tmp_path / "flag"
    world = World(checkout / ".batchyard")
    job_id = world.submit(
        "default", world.definition("sh", "-c", f"[ -e {flag} ] || exec sleep 600")
    )
    world.await_job(job_id, "RUNNING")
    assert "jobs that were running are stopped" in batchyard("down", *options).stderr
    batchyard("up", *options, "--runtime", "process", "--detach")
    world = World(checkout / ".batchyard")
    world.await_job(job_id, "FAILED")

    os.kill(world.cloud.processes["emulator"].pid, signal.SIGKILL)
    flag.touch()
    again = batchyard("up", *options, "--runtime", "process", "--detach").stderr
    assert "what happened since it was started is lost" in again
    # The job is RUNNING again, as it was at `down`, and its task is started once more.
    assert World(checkout / ".batchyard").await_job(job_id)["status"] == "SUCCEEDED"
