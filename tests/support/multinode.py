"""Scenes of multi-node jobs: an unmanaged environment, a definition of three nodes, its tasks."""

from typing import Any

from tests.support.fake_ecs import Task
from tests.support.scenes import ROLE, make_queue, submit
from tests.support.world import World

Json = dict[str, Any]

ADDRESS = "10.0.0.7"
MAIN_ADDRESS = "AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS"
REFUSAL = {"arn": "x", "reason": "RESOURCE:CPU"}


def a_container(*command: str, vcpus: int = 1) -> Json:
    return {
        "image": "busybox",
        "command": list(command) or ["true"],
        "executionRoleArn": ROLE,
        "resourceRequirements": [
            {"type": "VCPU", "value": str(vcpus)},
            {"type": "MEMORY", "value": "1024"},
        ],
    }


def node_properties(
    *, nodes: int = 3, main: int = 0, ranges: dict[str, Json] | None = None
) -> Json:
    """Every node runs `work`, and the first one `lead`, unless `ranges` say otherwise."""
    given = ranges or {"0:": a_container("work"), "0": a_container("lead", vcpus=2)}
    return {
        "numNodes": nodes,
        "mainNode": main,
        "nodeRangeProperties": [
            {"targetNodes": target, "container": container} for target, container in given.items()
        ],
    }


def make_multinode_stage(world: World, *, properties: Json | None = None, **members: Any) -> None:
    """Environment `metal`, queue `queue` and the definition `multinode`."""
    world.api(
        "CreateComputeEnvironment",
        {"computeEnvironmentName": "metal", "type": "UNMANAGED", "serviceRole": ROLE},
    )
    world.run_until_idle()
    make_queue(world, environments=("metal",))
    request = {
        "jobDefinitionName": "multinode",
        "type": "multinode",
        "nodeProperties": properties or node_properties(),
    }
    world.api("RegisterJobDefinition", request | members)
    world.run_until_idle()


def submit_multinode_job(world: World, name: str = "multinode", **members: Any) -> str:
    return submit(world, name, jobDefinition="multinode", **members)


def tasks_of(world: World, job_id: str) -> dict[str, Task]:
    """The live tasks of the job by the part in their fence: `job` for the main node, `n1`, ..."""
    return {
        task.started_by.split("/")[1]: task
        for task in world.ecs.live()
        if task.started_by.startswith(f"{job_id}/")
    }


def start_main(world: World, job_id: str, *, address: str | None = ADDRESS) -> None:
    """The main node runs, and the others are launched."""
    world.ecs.start(tasks_of(world, job_id)["job"], address=address)
    world.advance(10)


def start_others(world: World, job_id: str) -> None:
    for part, task in tasks_of(world, job_id).items():
        if part != "job":
            world.ecs.start(task)
    world.run_until_idle()


def running_multinode_job(world: World, **members: Any) -> str:
    """A job all of whose nodes run."""
    job_id = submit_multinode_job(world, **members)
    world.run_until_idle()
    start_main(world, job_id)
    start_others(world, job_id)
    return job_id


def end_main(world: World, job_id: str, exit_code: int = 0) -> None:
    world.ecs.finish(tasks_of(world, job_id)["job"], exit_code)
    world.run_until_idle()


def node_statuses(world: World, job_id: str, nodes: int = 3) -> list[str]:
    """The status of each node as DescribeJobs shows it."""
    ids = [f"{job_id}#{index}" for index in range(nodes)]
    return [job["status"] for job in world.api("DescribeJobs", {"jobs": ids})["jobs"]]
