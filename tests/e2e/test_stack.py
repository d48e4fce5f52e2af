"""The local cloud as a whole: two of them side by side, reached by unmodified clients, then gone.

What jobs do on it is told in the other files of this folder.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from batchyard import environment, local, processes
from batchyard.local import Cloud
from batchyard.paths import REPOSITORY, StateDir
from batchyard.processes import Mark

pytestmark = pytest.mark.e2e
DEADLINE_SECONDS = 30.0


def batchyard(*arguments: str) -> str:
    """The command line, as a user calls it; what it printed for machines."""
    done = subprocess.run(
        [sys.executable, "-c", "from batchyard.cli import app; app()", *arguments],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "infra")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


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
    """Two local clouds, brought up by the command line, taken down whatever happens."""
    states = [StateDir.at(tmp_path_factory.mktemp(name)) for name in ("one", "two")]
    try:
        for state in states:
            where = ["--state-dir", str(state.root), "--port", str(free_port())]
            batchyard("up", *where, "--runtime", "process", "--detach")
        yield states
    finally:
        for state in states:
            local.down(state, purge=True, say=print)


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
    assert [entry["computeEnvironmentName"] for entry in found] == ["only-here"]
    assert client(other, "batch").describe_compute_environments()["computeEnvironments"] == []


def test_the_command_line_tells_clients_where_to_go(two: list[StateDir]) -> None:
    lines = batchyard("env", "--state-dir", str(two[1].root))
    program = "import boto3; print(boto3.client('batch').describe_job_queues()['jobQueues'])"
    script = f'{lines}\nexec {sys.executable} -c "{program}"'
    assert subprocess.check_output(["sh", "-c", script], text=True) == "[]\n"


def test_an_unsigned_request_is_refused(two: list[StateDir]) -> None:
    url = environment.variables(two[0].root)["AWS_ENDPOINT_URL_BATCH"] + "/v1/describejobqueues"
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(urllib.request.Request(url, data=b"{}"))
    assert refusal.value.code == 403


def test_a_row_of_the_catalog_leads_to_a_cluster(two: list[StateDir]) -> None:
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
        lambda: any(arn.endswith("/batchyard-wired") for arn in ecs.list_clusters()["clusterArns"])
    )


def test_up_again_changes_nothing(two: list[StateDir]) -> None:
    before = marks(two[0])
    cloud = Cloud.load(two[0])
    assert cloud is not None
    batchyard("up", "--state-dir", str(two[0].root), "--port", str(cloud.port), "--detach")
    assert marks(two[0]) == before


def test_a_killed_agent_comes_back(two: list[StateDir]) -> None:
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
    # A half-dead cloud: one of its processes is gone without anybody's having said so.
    stopped = marks(one)
    os.kill(stopped["emulator"].pid, signal.SIGKILL)
    batchyard("down", "--state-dir", str(one.root), "--purge")
    for mark in stopped.values():
        assert not processes.alive(mark)
        assert not processes._group_left(mark)
    assert [path.name for path in one.root.iterdir()] == ["lock"]
    assert all(processes.alive(mark) for mark in marks(other).values())
    assert client(other, "batch").describe_job_queues()["jobQueues"] == []
    # Down twice is down.
    batchyard("down", "--state-dir", str(one.root))
