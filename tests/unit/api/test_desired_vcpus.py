"""`desiredvCpus` as DescribeComputeEnvironments shows it: what the groups really aim for."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.api.desired_vcpus import REMEMBERED_MS
from chalicelib.core.instances.groups import Group
from chalicelib.core.instances.names import group_name
from chalicelib.core.resources.compute_environment import ComputeEnvironment
from chalicelib.core.resources.resource import COMPUTE_ENVIRONMENT
from tests.support.clients import client_error
from tests.support.scenes import make_environment
from tests.support.world import ApiError, World

RESOURCES = {
    "type": "EC2",
    "minvCpus": 0,
    "maxvCpus": 256,
    "desiredvCpus": 4,
    "instanceTypes": ["optimal"],
    "subnets": ["subnet-1"],
    "securityGroupIds": ["sg-1"],
    "instanceRole": "arn:aws:iam::123456789012:instance-profile/x",
}
SLOTS = [[2, 4096, 0], [8, 16384, 0], None, [32, 65536, 0]]


class Groups:
    """What Auto Scaling says of groups: how many instances each aims for."""

    def __init__(self) -> None:
        self.desired: dict[str, int] = {}
        self.calls: list[tuple[str, ...]] = []
        self.error: Exception | None = None

    def find_groups(self, names: Any) -> dict[str, Group]:
        assert len(names) <= 50
        self.calls.append(tuple(names))
        if self.error is not None:
            raise self.error
        return {
            name: Group(name=name, arn="", shown={"DesiredCapacity": self.desired[name]})
            for name in names
            if name in self.desired
        }


@pytest.fixture(name="groups")
def make_groups(world: World) -> Groups:
    groups = Groups()
    world.ports.__dict__["auto_scaling"] = groups
    return groups


def put(world: World, name: str = "ec2", *, slots: Any = SLOTS, **resources: Any) -> None:
    """Put an environment that has been made, with groups of these sizes, into the catalog."""
    members = {
        "computeEnvironmentName": name,
        "type": "MANAGED",
        "state": "ENABLED",
        "computeResources": RESOURCES | resources,
        "tags": {},
    }
    environment = ComputeEnvironment.from_members(members, status="VALID")
    made = replace(environment, made={"slots": slots} if slots else {})
    assert world.ports.catalog.put(made.to_resource(), replacing=None)
    world.run_until_idle()


def shown(world: World, *names: str) -> dict[str, int | None]:
    request = {"computeEnvironments": list(names)} if names else {}
    answer = world.api("DescribeComputeEnvironments", request)
    return {
        one["computeEnvironmentName"]: one["computeResources"].get("desiredvCpus")
        for one in answer["computeEnvironments"]
    }


def aim(groups: Groups, world: World, name: str, *instances: int) -> None:
    cluster = world.settings.cluster_of(name)
    for number, count in enumerate(instances):
        groups.desired[group_name(cluster, number)] = count


def test_the_vcpus_of_all_groups_of_an_environment_are_counted(
    world: World, groups: Groups
) -> None:
    put(world)
    aim(groups, world, "ec2", 3, 2, 99, 1)
    assert shown(world, "ec2") == {"ec2": 3 * 2 + 2 * 8 + 32}
    assert len(groups.calls) == 1


def test_the_value_moves_while_instances_come_and_go(world: World, groups: Groups) -> None:
    put(world, desiredvCpus=0)
    values: list[int | None] = []
    for count in (0, 5, 2, 0):
        aim(groups, world, "ec2", count)
        values += shown(world).values()
        world.now_ms += REMEMBERED_MS
    assert values == [0, 10, 4, 0]


def test_it_is_read_once_in_some_seconds_and_written_never(world: World, groups: Groups) -> None:
    put(world)
    aim(groups, world, "ec2", 1)
    shown(world)
    aim(groups, world, "ec2", 7)
    world.calls.clear()
    world.now_ms += REMEMBERED_MS - 1
    assert shown(world) == {"ec2": 2}
    assert len(groups.calls) == 1
    world.now_ms += 1
    assert shown(world) == {"ec2": 14}
    assert not [one for one in world.calls if one.endswith(("PutItem", "UpdateItem"))]


def test_a_page_of_environments_takes_a_few_calls(world: World, groups: Groups) -> None:
    for number in range(30):
        put(world, f"ec2-{number:02d}")
        aim(groups, world, f"ec2-{number:02d}", 0, 0, 0, 1)
    assert set(shown(world).values()) == {32}
    assert len(groups.calls) == 2, "ninety groups"


@pytest.mark.parametrize(
    "error", [client_error("AccessDenied", "no", "Describe"), TimeoutError("slow")]
)
def test_what_cannot_be_read_is_shown_as_it_is_stored(
    world: World, groups: Groups, error: Exception
) -> None:
    put(world)
    put(world, "other", desiredvCpus=6)
    aim(groups, world, "ec2", 1)
    assert shown(world, "ec2") == {"ec2": 2}
    groups.error = error
    assert shown(world) == {"ec2": 2, "other": 6}, "what was read a moment ago still counts"
    world.now_ms += REMEMBERED_MS
    assert shown(world) == {"ec2": 4, "other": 6}


def test_a_group_that_is_gone_aims_for_nothing(world: World, groups: Groups) -> None:
    put(world)
    assert shown(world) == {"ec2": 0}


def test_an_environment_without_groups_costs_no_call(world: World, groups: Groups) -> None:
    make_environment(world)
    put(world, "new", slots=None)
    assert shown(world) == {"fargate": None, "new": 4}
    assert groups.calls == []


def test_desired_vcpus_are_raised_from_what_they_really_are(world: World, groups: Groups) -> None:
    """The stored value, 4, is of an earlier request; the groups have scaled in since, or out."""
    put(world)
    asked = {"computeEnvironment": "ec2", "computeResources": {"desiredvCpus": 3}}
    groups.desired = {group_name("yard_ec2"): 2}
    with pytest.raises(ApiError, match="Manually scaling down compute environment"):
        world.api("UpdateComputeEnvironment", asked)
    groups.desired = {group_name("yard_ec2"): 1}
    world.now_ms += REMEMBERED_MS
    world.api("UpdateComputeEnvironment", asked)
    row = world.ports.catalog.find(COMPUTE_ENVIRONMENT, "ec2")
    assert row is not None
    assert ComputeEnvironment.from_resource(row).resources["desiredvCpus"] == 3
    world.catalog_stream.draw()
    world.catalog_stream.records.clear()
