"""Where a job's task runs: containerInstanceArn and networkInterfaces in DescribeJobs."""

from typing import Any

import pytest

from tests.support.clients import service_model
from tests.support.multinode import (
    ADDRESS,
    a_container,
    make_multinode_stage,
    start_main,
    submit_multinode_job,
)
from tests.support.scenes import finish, make_stage, make_task_definition, running, submit
from tests.support.world import World

Json = dict[str, Any]
INSTANCE = (
    "arn:aws:ecs:us-east-1:123456789012:container-instance/yard_metal/"
    "00000000000000000000000000c0ffee"
)


def interface(number: int) -> Json:
    """Return the network interface of the task of that number, as the fake of ECS makes it."""
    return {
        "attachmentId": f"{number:08x}-ddfb-4d10-8ebe-8ac87ddba5b8",
        "privateIpv4Address": f"10.0.0.{number}",
    }


def make_metal_stage(world: World) -> None:
    make_multinode_stage(world)
    definition = {
        "jobDefinitionName": "work",
        "type": "container",
        "containerProperties": a_container(),
    }
    world.api("RegisterJobDefinition", definition)


def test_a_job_on_fargate_shows_its_network_interface_in_every_attempt(world: World) -> None:
    make_stage(world)
    job_id = running(world, retryStrategy={"attempts": 2})
    assert world.detail(job_id)["container"]["networkInterfaces"] == [interface(1)]
    finish(world, job_id, 1)
    waiting = world.detail(job_id)
    assert waiting["container"]["networkInterfaces"] == [], "the next attempt does not run yet"
    world.ecs.start(world.task_of(job_id))
    finish(world, job_id)
    detail = world.detail(job_id)
    assert detail["container"]["networkInterfaces"] == [interface(2)]
    attempts = [attempt["container"]["networkInterfaces"] for attempt in detail["attempts"]]
    assert attempts == [[interface(1)], [interface(2)]]
    assert "containerInstanceArn" not in detail["container"]


def test_a_job_on_an_instance_shows_the_instance_in_every_attempt(world: World) -> None:
    make_metal_stage(world)
    job_id = running(world, retryStrategy={"attempts": 2})
    assert world.detail(job_id)["container"]["containerInstanceArn"] == INSTANCE
    finish(world, job_id, 1)
    assert "containerInstanceArn" not in world.detail(job_id)["container"]
    world.ecs.start(world.task_of(job_id))
    finish(world, job_id)
    detail = world.detail(job_id)
    shown = [detail["container"], *(attempt["container"] for attempt in detail["attempts"])]
    assert [one["containerInstanceArn"] for one in shown] == [INSTANCE] * 3
    assert [one["networkInterfaces"] for one in shown] == [[]] * 3


def test_a_job_whose_start_was_never_reported_shows_its_host_by_its_end(world: World) -> None:
    make_metal_stage(world)
    job_id = submit(world)
    world.run_until_idle()
    task = world.task_of(job_id)
    world.ecs.start(task, address=ADDRESS)
    world.sqs.task_events.messages.clear()
    finish(world, job_id)
    container = world.detail(job_id)["container"]
    assert container["containerInstanceArn"] == INSTANCE
    assert [one["privateIpv4Address"] for one in container["networkInterfaces"]] == [ADDRESS]


def test_the_containers_of_a_task_share_its_network_interface(world: World) -> None:
    make_stage(world)
    make_task_definition(world, {"name": "main"}, {"name": "helper"})
    job_id = running(world)
    finish(world, job_id)
    detail = world.detail(job_id)
    (task,) = detail["ecsProperties"]["taskProperties"]
    (attempt,) = detail["attempts"][0]["taskProperties"]
    for shown in (task, attempt):
        assert [one["networkInterfaces"] for one in shown["containers"]] == [[interface(1)]] * 2


def test_the_task_of_several_containers_on_an_instance_shows_the_instance(world: World) -> None:
    make_multinode_stage(world)
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]
    containers = [
        {"name": name, "image": "busybox", "resourceRequirements": needs} for name in ("a", "b")
    ]
    world.api(
        "RegisterJobDefinition",
        {
            "jobDefinitionName": "work",
            "type": "container",
            "ecsProperties": {"taskProperties": [{"containers": containers}]},
        },
    )
    job_id = running(world)
    finish(world, job_id)
    detail = world.detail(job_id)
    assert detail["ecsProperties"]["taskProperties"][0]["containerInstanceArn"] == INSTANCE
    attempt = detail["attempts"][0]["taskProperties"][0]
    assert attempt["containerInstanceArn"] == INSTANCE


def test_every_node_shows_its_own_host(world: World) -> None:
    make_multinode_stage(world)
    job_id = submit_multinode_job(world)
    world.run_until_idle()
    start_main(world, job_id)
    world.advance(10)
    others = [task for task in world.ecs.live() if "/n" in task.started_by]
    for number, task in enumerate(others):
        world.ecs.start(task, address=f"10.0.1.{number}")
    world.run_until_idle()
    for index in range(3):
        container = world.detail(f"{job_id}#{index}")["container"]
        assert container["containerInstanceArn"] == INSTANCE
        (shown,) = container["networkInterfaces"]
        assert shown["privateIpv4Address"] == (ADDRESS if index == 0 else f"10.0.1.{index - 1}")


@pytest.mark.parametrize(
    ("shape", "members"),
    [
        ("ContainerDetail", {"containerInstanceArn", "networkInterfaces"}),
        ("AttemptContainerDetail", {"containerInstanceArn", "networkInterfaces"}),
        ("EcsTaskDetails", {"containerInstanceArn"}),
        ("TaskContainerDetails", {"networkInterfaces"}),
        ("AttemptEcsTaskDetails", {"containerInstanceArn"}),
        ("AttemptTaskContainerDetails", {"networkInterfaces"}),
        ("NetworkInterface", {"attachmentId", "ipv6Address", "privateIpv4Address"}),
    ],
)
def test_the_members_are_where_the_model_of_batch_has_them(shape: str, members: set[str]) -> None:
    assert members <= service_model("batch").shape_for(shape).members.keys()  # type: ignore[attr-defined]
