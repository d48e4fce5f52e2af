"""Who may use which role in a compute environment: the stack's patterns, the caller's rights."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.managed_instances import NAME, managed_provider
from tests.support.stack import ACCOUNT
from tests.support.world import ApiError, World
from tests.support.world import world as a_world

IAM = f"arn:aws:iam::{ACCOUNT}"
INFRASTRUCTURE = f"{IAM}:role/ecsInfrastructureRole"
INSTANCES = f"{IAM}:role/ecsInstanceRole"
ROOT = f"{IAM}:root"
EC2: dict[str, Any] = {
    "type": "EC2",
    "minvCpus": 0,
    "maxvCpus": 4,
    "instanceRole": "profile",
    "instanceTypes": ["m5.large"],
    "subnets": ["subnet-1"],
    "securityGroupIds": ["sg-1"],
}
MANAGED: dict[str, Any] = {
    "type": "ECS_MANAGED_INSTANCES",
    "maxvCpus": 4,
    "managedInstancesProvider": {
        **managed_provider(ec2InstanceProfileArn=f"{IAM}:instance-profile/path/profile"),
        "infrastructureRoleArn": INFRASTRUCTURE,
    },
}


@pytest.fixture(name="world")
def make_world() -> Iterator[World]:
    """Return a stack that checks its callers, and passes the roles that it does by default."""
    with a_world(
        in_memory=True,
        check_pass_role=True,
        instance_role_pattern="*ecsInstanceRole*",
        infrastructure_role_pattern="*ecsInfrastructureRole*",
    ) as made:
        made.iam.profiles["profile"] = INSTANCES
        yield made


def create(world: World, caller: str, resources: dict[str, Any]) -> None:
    request = {"computeEnvironmentName": NAME, "type": "MANAGED", "computeResources": resources}
    world.api("CreateComputeEnvironment", request, caller=caller)


def refusal(world: World, caller: str, resources: dict[str, Any]) -> ApiError:
    with pytest.raises(ApiError) as refused:
        create(world, caller, resources)
    found = world.api("DescribeComputeEnvironments", {"computeEnvironments": [NAME]})
    assert found["computeEnvironments"] == [], "nothing is written"
    return refused.value


@pytest.mark.parametrize(
    ("resources", "services"),
    [
        (EC2, ["ec2.amazonaws.com"]),
        (
            EC2 | {"type": "SPOT", "allocationStrategy": "SPOT_CAPACITY_OPTIMIZED"},
            ["ec2.amazonaws.com"],
        ),
        (MANAGED, ["ecs.amazonaws.com", "ec2.amazonaws.com"]),
    ],
)
def test_a_caller_passes_the_roles_to_the_services_that_take_them(
    world: World, resources: dict[str, Any], services: list[str]
) -> None:
    caller = world.iam.add_user("dev", passes=(INFRASTRUCTURE, INSTANCES))
    create(world, caller, resources)
    assert world.iam.services == services
    world.catalog_stream.draw()
    world.catalog_stream.records.clear()


@pytest.mark.parametrize("missing", [INFRASTRUCTURE, INSTANCES])
def test_a_caller_that_may_not_pass_a_role_makes_no_environment(world: World, missing: str) -> None:
    passes = tuple({INFRASTRUCTURE, INSTANCES} - {missing})
    caller = world.iam.add_user("dev", passes=passes)
    refused = refusal(world, caller, MANAGED)
    assert refused.status == 403
    assert f"iam:PassRole on resource: {missing}" in refused.message


def test_a_role_outside_of_the_pattern_is_refused_for_everybody(world: World) -> None:
    world.iam.profiles["profile"] = f"{IAM}:role/admin"
    caller = world.iam.add_user("dev", passes=("*",))
    assert "(stack parameter InstanceRolePattern)" in refusal(world, caller, EC2).message
    provider = MANAGED["managedInstancesProvider"] | {"infrastructureRoleArn": f"{IAM}:role/admin"}
    resources = MANAGED | {"managedInstancesProvider": provider}
    assert "(stack parameter InfrastructureRolePattern)" in refusal(world, ROOT, resources).message


@pytest.mark.parametrize("role", [None, ""])
def test_an_instance_profile_without_a_role_is_refused(world: World, role: str | None) -> None:
    world.iam.profiles = {} if role is None else {"profile": role}
    caller = world.iam.add_user("dev", passes=("*",))
    assert "Instance profile profile does not exist, or has no role." in (
        refusal(world, caller, EC2).message
    )


def test_root_passes_every_role_of_the_pattern_and_iam_is_not_asked(world: World) -> None:
    create(world, ROOT, EC2)
    assert not [call for call in world.calls if call.startswith("iam.")]
    world.catalog_stream.draw()
    world.catalog_stream.records.clear()


def test_iam_that_is_busy_lets_the_caller_try_again(world: World) -> None:
    caller = world.iam.add_user("dev", passes=("*",))
    world.iam.throttled = True
    assert refusal(world, caller, EC2).status == 429
