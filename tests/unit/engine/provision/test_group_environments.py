"""EC2 and SPOT environments from the API to the last of their groups, by the whole machine."""

from typing import Any

import pytest

from tests.support.scenes import make_definition, make_queue, running, submit
from tests.support.world import World

NAME = "spot"
GROUP = "yard_spot"


def create(world: World, **resources: Any) -> None:
    world.iam.profiles["ecsInstanceRole"] = "arn:aws:iam::123456789012:role/ecsInstanceRole"
    world.api(
        "CreateComputeEnvironment",
        {
            "computeEnvironmentName": NAME,
            "type": "MANAGED",
            "computeResources": {
                "type": "SPOT",
                "allocationStrategy": "SPOT_PRICE_CAPACITY_OPTIMIZED",
                "minvCpus": 0,
                "maxvCpus": 64,
                "instanceTypes": ["m5.large", "m5.4xlarge"],
                "subnets": ["subnet-1"],
                "securityGroupIds": ["sg-1"],
                "instanceRole": "ecsInstanceRole",
                **resources,
            },
        },
    )
    world.advance(60)


def described(world: World) -> dict[str, Any] | None:
    found = world.api("DescribeComputeEnvironments", {"computeEnvironments": [NAME]})
    return next(iter(found["computeEnvironments"]), None)


def status(world: World) -> tuple[str, str]:
    found = described(world)
    assert found is not None
    return found["status"], found["statusReason"]


def update(world: World, **members: Any) -> None:
    world.api("UpdateComputeEnvironment", {"computeEnvironment": NAME, **members})
    world.run_until_idle()


def test_an_environment_is_valid_when_its_providers_are_attached(quick: World) -> None:
    create(quick)
    assert status(quick) == ("VALID", "ComputeEnvironment Healthy")
    attached = quick.ecs.clusters[GROUP]["providers"]
    assert attached == list(quick.ecs.providers)
    assert sorted(quick.groups.groups) == [GROUP, f"{GROUP}.1"]


def test_jobs_run_on_the_smallest_instances_that_hold_them(quick: World) -> None:
    create(quick)
    make_queue(quick, environments=(NAME,))
    make_definition(quick, platformCapabilities=["EC2"])
    used = {}
    for vcpus in (1, 8):
        needs = [{"type": "VCPU", "value": str(vcpus)}, {"type": "MEMORY", "value": "2048"}]
        job_id = submit(quick, containerOverrides={"resourceRequirements": needs})
        quick.run_until_idle()
        request = quick.task_of(job_id).request
        used[vcpus] = request["capacityProviderStrategy"][0]["capacityProvider"]
    small, large = quick.ecs.clusters[GROUP]["providers"]
    assert used == {1: small, 8: large}


def test_an_infrastructure_update_is_updating_until_instances_are_replaced(quick: World) -> None:
    create(quick, desiredvCpus=2)
    update(quick, computeResources={"ec2KeyPair": "mine"})
    quick.advance(300)
    now, reason = status(quick)
    assert now == "UPDATING"
    assert "instances of the earlier configuration, which are being replaced: 1" in reason
    quick.groups.replace(GROUP)
    quick.advance(600)
    assert status(quick) == ("VALID", "ComputeEnvironment Healthy")


def test_a_larger_limit_makes_groups_of_larger_instances_and_attaches_them(quick: World) -> None:
    create(quick, instanceTypes=["m5"], maxvCpus=8)
    assert len(quick.groups.groups) == 3
    update(quick, computeResources={"maxvCpus": 64})
    quick.advance(60)
    assert status(quick)[0] == "VALID"
    assert quick.ecs.clusters[GROUP]["providers"] == list(quick.ecs.providers)
    assert len(quick.groups.groups) > 3


def test_an_environment_that_asks_for_the_impossible_is_invalid_with_the_reason(
    quick: World,
) -> None:
    create(quick, subnets=["subnet-9"])
    quick.advance(1200)
    now, reason = status(quick)
    assert now == "INVALID"
    assert reason == "CLIENT_ERROR - The subnets subnet-9 do not exist. Correct subnets."


def test_an_invalid_environment_is_deleted_with_what_was_made_of_it(quick: World) -> None:
    create(quick, imageId="ami-arm")
    quick.advance(1200)
    assert status(quick)[0] == "INVALID"
    update(quick, state="DISABLED")
    quick.advance(1200)
    quick.api("DeleteComputeEnvironment", {"computeEnvironment": NAME})
    quick.advance(1200)
    assert described(quick) is None
    assert GROUP not in quick.ecs.clusters


@pytest.mark.parametrize("seconds", [0, 90])
def test_a_deleted_environment_leaves_nothing_behind(quick: World, seconds: int) -> None:
    create(quick, desiredvCpus=2)
    quick.groups.delete_seconds = seconds
    quick.ecs.provider_seconds = seconds
    update(quick, state="DISABLED")
    quick.advance(60)
    quick.api("DeleteComputeEnvironment", {"computeEnvironment": NAME})
    quick.advance(3600)
    assert described(quick) is None
    assert not quick.ecs.providers
    assert not quick.groups.groups
    assert not quick.ec2.templates
    assert GROUP not in quick.ecs.clusters


def test_an_environment_is_deleted_after_a_queue_whose_job_was_running(quick: World) -> None:
    create(quick)
    make_queue(quick, environments=(NAME,))
    make_definition(quick, platformCapabilities=["EC2"])
    job_id = running(quick)
    update(quick, state="DISABLED")
    quick.advance(60)
    quick.api("UpdateJobQueue", {"jobQueue": "queue", "state": "DISABLED"})
    quick.api("DeleteJobQueue", {"jobQueue": "queue"})
    quick.advance(600)
    assert quick.job(job_id).status.value == "FAILED"
    quick.api("DeleteComputeEnvironment", {"computeEnvironment": NAME})
    quick.advance(3600)
    assert described(quick) is None
