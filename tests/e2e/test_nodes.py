"""Multi-node jobs whose nodes find one another and talk, on the local cloud."""

import sys
from typing import Any

import pytest

from batchyard.client import setup
from batchyard.cloud.emulator import reserved_port
from tests.e2e.world import Job, World, until

pytestmark = pytest.mark.e2e

# Receives from each other node once, prints what it received, fails in the attempts it is given.
MAIN = """
import os, socket, sys
with socket.create_server(("", int(os.environ["PORT"]))) as server:
    received = []
    for _ in range(int(os.environ["AWS_BATCH_JOB_NUM_NODES"]) - 1):
        connection, _ = server.accept()
        with connection, connection.makefile() as lines:
            received.append(lines.readline().strip())
print(*sorted(received), flush=True)
print("end", flush=True)
sys.exit(int(os.environ["AWS_BATCH_JOB_ATTEMPT"]) <= int(os.environ["FAILURES"]))
"""
# Says who it is to the main node, and waits to be stopped.
OTHER = """
import os, socket, time
print("attempt", os.environ["AWS_BATCH_JOB_ATTEMPT"], flush=True)
address = (os.environ["AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS"], int(os.environ["PORT"]))
for _ in range(100):
    try:
        with socket.create_connection(address) as connection:
            connection.sendall(f"node {os.environ['AWS_BATCH_JOB_NODE_INDEX']}\\n".encode())
        break
    except ConnectionRefusedError:
        time.sleep(0.1)
time.sleep(600)
"""
TALK = ([sys.executable, "-c", MAIN], [sys.executable, "-c", OTHER])


@pytest.fixture(scope="module")
def queue(world: World) -> str:
    return world.queue(world.unmanaged_environment())


@pytest.fixture(scope="module")
def ec2_queue(world: World) -> str:
    """Return a queue whose instances hold two nodes each."""
    name = world.new_name("nodes")
    setup.ensure_instances(world.batch, name, kind="EC2", types=["m6i.large"], vcpus=8)
    return world.queue(name)


def multinode_job(world: World, main: list[str], others: list[str]) -> str:
    """Register a definition of three nodes; return its name."""
    name = world.new_name("multinode")

    def container(command: list[str]) -> dict[str, Any]:
        needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}]
        return {"image": "busybox", "command": command, "resourceRequirements": needs}

    world.batch.register_job_definition(
        jobDefinitionName=name,
        type="multinode",
        nodeProperties={
            "numNodes": 3,
            "mainNode": 0,
            "nodeRangeProperties": [
                {"targetNodes": "0", "container": container(main)},
                {"targetNodes": "1:", "container": container(others)},
            ],
        },
    )
    return name


def submit_talk(world: World, queue: str, port: int, *, failures: int, **members: Any) -> str:
    """Submit a job whose nodes talk on that port; its main node fails in its first attempts."""
    reported = {"PORT": str(port), "FAILURES": str(failures)}
    environment = [{"name": name, "value": value} for name, value in reported.items()]
    overrides = [
        {"targetNodes": target, "containerOverrides": {"environment": environment}}
        for target in ("0", "1:")
    ]
    nodes = {"nodePropertyOverrides": overrides}
    return world.submit(queue, multinode_job(world, *TALK), nodeOverrides=nodes, **members)


def listed(world: World, job_id: str, status: str) -> list[str]:
    page = world.batch.list_jobs(multiNodeJobId=job_id, jobStatus=status)
    return [summary["jobId"] for summary in page["jobSummaryList"]]


def nodes_of(world: World, job_id: str) -> list[Job]:
    ids = [f"{job_id}#{index}" for index in range(3)]
    nodes: list[Job] = world.batch.describe_jobs(jobs=ids)["jobs"]
    return nodes


def test_three_nodes_exchange_messages(world: World, queue: str) -> None:
    with reserved_port() as port:
        job_id = submit_talk(world, queue, port, failures=0)
        job = world.await_job(job_id, "SUCCEEDED")
    assert job["nodeProperties"]["numNodes"] == 3
    assert "container" not in job
    [attempt] = job["attempts"]
    assert attempt["container"]["exitCode"] == 0
    assert world.log_of(attempt["container"], last_line="end") == ["node 1 node 2", "end"]

    # The others were stopped when the main one ended.
    main, *others = until(
        lambda: nodes_of(world, job_id),
        lambda nodes: all("exitCode" in node["container"] for node in nodes),
        seconds=30,
    )
    assert [node["nodeDetails"]["nodeIndex"] for node in (main, *others)] == [0, 1, 2]
    assert main["nodeDetails"]["isMainNode"]
    assert (main["status"], main["container"]["taskArn"]) == (
        "SUCCEEDED",
        attempt["container"]["taskArn"],
    )
    for node in others:
        assert (node["status"], node["container"]["exitCode"]) == ("FAILED", 143)
        assert main["startedAt"] <= node["startedAt"] <= node["stoppedAt"]
    assert listed(world, job_id, "SUCCEEDED") == [f"{job_id}#0"]
    assert listed(world, job_id, "FAILED") == [f"{job_id}#1", f"{job_id}#2"]


def test_nodes_run_on_instances_that_come_for_them(world: World, ec2_queue: str) -> None:
    with reserved_port() as port:
        job_id = submit_talk(world, ec2_queue, port, failures=0)
        job = world.await_job(job_id, "SUCCEEDED")
    [attempt] = job["attempts"]
    assert world.log_of(attempt["container"], last_line="end") == ["node 1 node 2", "end"]
    nodes = until(
        lambda: nodes_of(world, job_id),
        lambda nodes: all("exitCode" in node["container"] for node in nodes),
        seconds=30,
    )
    instances = {node["container"]["containerInstanceArn"] for node in nodes}
    assert len(instances) == 2, "two nodes of a vCPU share one of two"


def test_the_main_node_s_failure_runs_every_node_again(world: World, queue: str) -> None:
    with reserved_port() as port:
        job_id = submit_talk(world, queue, port, failures=1, retryStrategy={"attempts": 2})
        job = world.await_job(job_id, "SUCCEEDED")
    assert [a["container"]["exitCode"] for a in job["attempts"]] == [1, 0]
    node = until(
        lambda: world.job(f"{job_id}#2"),
        lambda seen: "exitCode" in seen["container"],
        seconds=30,
    )
    assert world.log_of(node["container"], last_line="attempt 2") == ["attempt 2"]
    # Its first attempt is known if its start was reported before the main node had ended.
    assert [a["container"]["exitCode"] for a in node["attempts"]] in ([143], [143, 143])


def test_terminating_the_job_stops_all_its_nodes(world: World, queue: str) -> None:
    definition = multinode_job(world, ["sleep", "600"], ["sleep", "600"])
    job_id = world.submit(queue, definition)
    ids = [f"{job_id}#{index}" for index in range(3)]
    until(lambda: listed(world, job_id, "RUNNING"), lambda seen: seen == ids, seconds=60)
    world.batch.terminate_job(jobId=f"{job_id}#1", reason="a node alone")
    assert listed(world, job_id, "RUNNING") == ids
    world.batch.terminate_job(jobId=job_id, reason="seen enough")
    assert world.await_job(job_id, "FAILED")["statusReason"] == "seen enough"
    ended = until(
        lambda: nodes_of(world, job_id),
        lambda nodes: all("exitCode" in node["container"] for node in nodes),
        seconds=30,
    )
    assert [node["container"]["exitCode"] for node in ended] == [143] * 3
