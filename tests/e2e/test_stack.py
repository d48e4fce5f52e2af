"""The local cloud as a whole: two of them side by side, used by unmodified clients, then removed.

What jobs do on it is in the other files of this folder.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from batchyard.client import environment
from batchyard.cloud import local, processes
from batchyard.cloud.emulator import reserved_port
from batchyard.cloud.local import Cloud
from batchyard.cloud.paths import REPOSITORY, StateDir
from batchyard.cloud.processes import Mark
from tests.e2e.world import World, batchyard, processes_of

pytestmark = pytest.mark.e2e
DEADLINE_SECONDS = 30.0
FOREGROUND_SECONDS = 180.0


COMMAND = [sys.executable, "-c", "from batchyard.cli.main import app; app()"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(REPOSITORY / "infra")}


def await_that(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (answer := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return answer


def client(state: StateDir, service: str) -> Any:
    values = environment.variables(state.root)
    endpoint = values["AWS_ENDPOINT_URL_BATCH" if service == "batch" else "AWS_ENDPOINT_URL"]
    make: Any = boto3.client
    return make(
        service,
        endpoint_url=endpoint,
        region_name=values["AWS_REGION"],
        aws_access_key_id=values["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=values["AWS_SECRET_ACCESS_KEY"],
    )


def marks(state: StateDir) -> dict[str, Mark]:
    cloud = Cloud.load(state)
    assert cloud is not None
    return cloud.processes


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[StateDir]]:
    """Yield two local clouds, started by the command line, and remove them in any case."""
    states = [StateDir.at(tmp_path_factory.mktemp(name)) for name in ("one", "two")]
    with reserved_port() as first, reserved_port() as second:
        try:
            for state, port in zip(states, (first, second), strict=True):
                where = ["--state-dir", str(state.root), "--port", str(port)]
                batchyard("up", *where, "--runtime", "process", "--detach")
            yield states
        finally:
            for state in states:
                local.down(state, purge=True, say=print)
    assert [processes_of(state.root) for state in states] == [{}, {}]


def test_each_answers_the_batch_api_for_itself(two: list[StateDir]) -> None:
    one, other = two
    client(one, "batch").create_compute_environment(
        computeEnvironmentName="only-here",
        type="MANAGED",
        computeResources={
            "type": "FARGATE",
            "maxvCpus": 4,
            "subnets": ["subnet-1"],
            "securityGroupIds": ["sg-1"],
        },
    )
    found = client(one, "batch").describe_compute_environments()["computeEnvironments"]
    assert {entry["computeEnvironmentName"] for entry in found} == {"default", "only-here"}
    elsewhere = client(other, "batch").describe_compute_environments()["computeEnvironments"]
    assert [entry["computeEnvironmentName"] for entry in elsewhere] == ["default"]


def test_the_variables_of_env_direct_clients_to_their_cloud(two: list[StateDir]) -> None:
    lines = batchyard("env", "--state-dir", str(two[1].root)).stdout
    queues = "boto3.client('batch').describe_job_queues()['jobQueues']"
    program = f"import boto3; print(*[queue['jobQueueName'] for queue in {queues}])"
    script = f'{lines}\nexec {sys.executable} -c "{program}"'
    assert subprocess.check_output(["sh", "-c", script], text=True) == "default\n"


def test_an_unsigned_request_is_refused(two: list[StateDir]) -> None:
    url = environment.variables(two[0].root)["AWS_ENDPOINT_URL_BATCH"] + "/v1/describejobqueues"
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(urllib.request.Request(url, data=b"{}"))
    assert refusal.value.code == 403


def test_a_compute_environment_gets_an_ecs_cluster(two: list[StateDir]) -> None:
    """Stream, mapping, function, state machine and step function are wired as declared."""
    client(two[1], "batch").create_compute_environment(
        computeEnvironmentName="wired",
        type="MANAGED",
        computeResources={
            "type": "FARGATE",
            "maxvCpus": 4,
            "subnets": ["subnet-1"],
            "securityGroupIds": ["sg-1"],
        },
    )
    ecs = client(two[1], "ecs")
    await_that(
        lambda: any(arn.endswith("/batchyard_wired") for arn in ecs.list_clusters()["clusterArns"])
    )


def test_up_again_changes_nothing(two: list[StateDir]) -> None:
    before = marks(two[0])
    cloud = Cloud.load(two[0])
    assert cloud is not None
    batchyard("up", "--state-dir", str(two[0].root), "--port", str(cloud.port), "--detach")
    assert marks(two[0]) == before


def test_another_state_dir_does_not_take_over_the_port(two: list[StateDir], tmp_path: Path) -> None:
    cloud = Cloud.load(two[0])
    assert cloud is not None
    where = ["--state-dir", str(tmp_path), "--port", str(cloud.port)]
    refused = batchyard("up", "--detach", *where, check=False)
    assert refused.returncode == 1
    assert "not created from this state dir" in refused.stderr.replace("\n", " ")


def test_an_agent_that_was_killed_is_started_again(two: list[StateDir]) -> None:
    ready = two[0].agent / "agent.json"
    pid = json.loads(ready.read_text())["pid"]
    os.kill(pid, signal.SIGKILL)

    def returned() -> bool:
        try:
            return bool(json.loads(ready.read_text())["pid"] != pid)
        except (FileNotFoundError, json.JSONDecodeError):
            return False

    await_that(returned)


def test_down_stops_its_own_cloud_and_no_other(two: list[StateDir]) -> None:
    one, other = two
    # One of its processes is gone, and the record does not know it.
    os.kill(marks(one)["emulator"].pid, signal.SIGKILL)
    batchyard("down", "--state-dir", str(one.root), "--purge")
    assert processes_of(one.root) == {}
    assert [path.name for path in one.root.iterdir()] == ["lock"]
    assert all(processes.alive(mark) for mark in marks(other).values())
    queues = client(other, "batch").describe_job_queues()["jobQueues"]
    assert [queue["jobQueueName"] for queue in queues] == ["default"]
    # Down twice is down.
    batchyard("down", "--state-dir", str(one.root))


def test_down_ends_the_jobs_of_an_agent_that_was_killed(two: list[StateDir]) -> None:
    state = two[1]
    world = World(state.root)
    job_id = world.submit(world.queue(world.environment()), world.definition("sleep", "1000"))
    world.await_job(job_id, "RUNNING")
    ready = json.loads((state.agent / "agent.json").read_text())
    # The restarter first, or it would start the agent again; the agent must not see that.
    os.kill(ready["pid"], signal.SIGSTOP)
    for pid in (marks(state)["agent"].pid, ready["pid"]):
        os.kill(pid, signal.SIGKILL)
    assert "sleep 1000 " in processes_of(state.root).values()
    batchyard("down", "--state-dir", str(state.root))
    assert processes_of(state.root) == {}


def obey_ctrl_c() -> None:
    """Undo what a shell does to the commands of a script that it starts in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_in_the_foreground_it_ends_with_ctrl_c(tmp_path: Path) -> None:
    state = StateDir.at(tmp_path)
    where = ["--state-dir", str(tmp_path), "--runtime", "process"]
    with (
        reserved_port() as port,
        subprocess.Popen(
            [*COMMAND, "up", *where, "--port", str(port)],
            env=ENVIRONMENT,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=obey_ctrl_c,
        ) as foreground,
    ):
        assert foreground.stderr is not None
        # Reading its messages and its end has no deadline of its own.
        deadline = threading.Timer(FOREGROUND_SECONDS, foreground.kill)
        deadline.start()
        try:
            assert any("Batchyard is up" in line for line in foreground.stderr)
            started = marks(state)
            assert all(processes.alive(mark) for mark in started.values())
            foreground.send_signal(signal.SIGINT)
            foreground.communicate()
            assert foreground.returncode == 0
            assert processes_of(tmp_path) == {}
        finally:
            deadline.cancel()
            foreground.kill()
            batchyard("down", *where[:2], "--purge")
