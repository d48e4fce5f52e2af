"""Tasks on instances: placed by the fleet, run by the agent, and lost with their instances."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from batchyard.client.fleet import fleet_of
from tests.e2e.instance_cloud import InstanceCloud
from tests.e2e.world import World, batchyard, until

pytestmark = pytest.mark.e2e
PATIENCE_SECONDS = 30.0
STACK = "batchyard"


@pytest.fixture(scope="module")
def instances(world: World) -> Iterator[InstanceCloud]:
    instances = InstanceCloud(world.clients, fleet_of(world.state_dir), stack=STACK)
    yield instances
    for group in instances.groups.describe_auto_scaling_groups()["AutoScalingGroups"]:
        name = group["AutoScalingGroupName"]
        if name.startswith("group-"):
            instances.groups.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)


def shell(script: str) -> dict[str, Any]:
    return {"entryPoint": ["sh", "-c"], "command": [script]}


def await_statuses(instances: InstanceCloud, name: str, arns: list[str], *wanted: str) -> list[Any]:
    return until(
        lambda: instances.tasks(name, arns),
        lambda tasks: {task["lastStatus"] for task in tasks} <= set(wanted),
        seconds=PATIENCE_SECONDS,
    )


def test_forty_tasks_run_on_instances_that_come_from_zero_and_go_back_to_zero(
    instances: InstanceCloud,
) -> None:
    instances.make_group("forty", "m6i.xlarge", maximum=5)
    definition = instances.define("forty", **shell("sleep 0.2"))
    arns = [arn for _ in range(4) for arn in instances.run("forty", definition, count=10)]
    tasks = await_statuses(instances, "forty", arns, "STOPPED")
    assert {task["stopCode"] for task in tasks} == {"EssentialContainerExited"}
    assert len({task["containerInstanceArn"] for task in tasks}) == 5
    until(
        lambda: instances.group("forty")["Instances"], lambda one: not one, seconds=PATIENCE_SECONDS
    )


def test_a_lost_host_takes_its_task_along(instances: InstanceCloud, world: World) -> None:
    instances.make_group("lost", "m6i.large")
    arns = instances.run("lost", instances.define("lost", **shell("sleep 100")))
    await_statuses(instances, "lost", arns, "RUNNING")
    shown = json.loads(
        batchyard("local", "fleet", "--json", "--state-dir", str(world.state_dir)).stdout
    )
    (instance,) = [one for one in shown["instances"] if arns[0] in one["tasks"]]
    said = batchyard("local", "lose-host", instance["id"], "--state-dir", str(world.state_dir))
    assert instance["id"] in said.stderr
    (task,) = await_statuses(instances, "lost", arns, "STOPPED")
    assert task["stopCode"] == "TerminationNotice"
    assert task["stoppedReason"] == f"Host EC2 (instance {instance['id']}) terminated."


def test_the_command_line_says_what_it_cannot_do(world: World) -> None:
    options = ["--environment", "nowhere", "--state-dir", str(world.state_dir)]
    done = batchyard("local", "interrupt", *options, check=False)
    assert done.returncode == 1
    assert "There is no Spot instance" in done.stderr
