"""Auto Scaling groups: what differs, and what cannot be asked for.

The requests of each strategy are checked in: `tests/unit/engine/provision/expected`.
"""

from typing import Any

import pytest

from chalicelib.core.instances.errors import UnusableResourcesError
from chalicelib.core.instances.groups import (
    Group,
    GroupInstance,
    GroupSize,
    create_group_request,
    group_changes,
    group_members,
    group_size,
    outdated,
)
from chalicelib.core.instances.launch_templates import TemplateVersion
from chalicelib.core.instances.size_classes import SizeClass
from tests.support.instance_types import types_of

ONE = SizeClass(types=types_of("m5.large", "m5a.large"))
TEMPLATE = TemplateVersion(template_id="lt-1", version="1")
TEMPLATES = {one.name: TEMPLATE for one in ONE.types}
SIZE = GroupSize(least=0, most=8, desired=0)
RESOURCES = {"subnets": ["subnet-1", "subnet-2"], "maxvCpus": 16}


def members(is_spot: bool = False, **resources: Any) -> dict[str, Any]:
    return group_members(RESOURCES | resources, ONE, TEMPLATES, SIZE, is_spot=is_spot)


def shown(**changes: Any) -> Group:
    """Return the group as Auto Scaling shows it, with its defaults."""
    given = {**members(), "DesiredCapacity": 3, "DefaultCooldown": 300, **changes}
    del given["PlacementGroup"]
    given["MixedInstancesPolicy"]["InstancesDistribution"]["SpotMaxPrice"] = ""
    return Group(name="g", arn="arn", shown=given)


def test_a_group_that_shows_what_is_wanted_and_defaults_is_not_changed() -> None:
    assert group_changes(shown(), members()) == {}


def test_the_order_of_subnets_is_no_difference() -> None:
    assert group_changes(shown(VPCZoneIdentifier="subnet-2,subnet-1"), members()) == {}


@pytest.mark.parametrize(
    ("resources", "changed"),
    [
        ({"subnets": ["subnet-1"]}, {"VPCZoneIdentifier"}),
        ({"placementGroup": "near"}, {"PlacementGroup"}),
        ({"allocationStrategy": "BEST_FIT_PROGRESSIVE_ORDERED"}, {"MixedInstancesPolicy"}),
        ({"allocationStrategy": "BEST_FIT_PROGRESSIVE"}, set()),
    ],
)
def test_only_what_differs_is_changed(resources: dict[str, Any], changed: set[str]) -> None:
    assert group_changes(shown(), members(**resources)).keys() == changed


def test_a_placement_group_that_is_removed_is_changed_to_an_empty_name() -> None:
    found = shown()
    found = Group(name="g", arn="arn", shown={**found.shown, "PlacementGroup": "near"})
    assert group_changes(found, members()) == {"PlacementGroup": ""}
    assert "PlacementGroup" not in create_group_request("g", members(), SIZE, {})


def test_a_group_that_may_not_grow_keeps_its_instances_and_minvcpus() -> None:
    resources = {"minvCpus": 4, "maxvCpus": 64, "desiredvCpus": 32}
    size = group_size(resources, ONE, is_first=True, may_grow=False, now=5)
    assert size == GroupSize(least=2, most=5, desired=2)
    size = group_size(resources, ONE, is_first=True, may_grow=False, now=0)
    assert size == GroupSize(least=2, most=2, desired=2)
    size = group_size(resources, ONE, is_first=False, may_grow=True, now=0)
    assert size == GroupSize(least=0, most=32, desired=0)


def test_an_instance_of_another_type_or_template_is_outdated() -> None:
    def instance(name: str, type_name: str, version: str | None) -> GroupInstance:
        template = None if version is None else TemplateVersion(template_id="lt-1", version=version)
        return GroupInstance(
            instance_id=name,
            type_name=type_name,
            lifecycle="InService",
            protected=True,
            template=template,
        )

    instances = (
        instance("current", "m5.large", "1"),
        instance("older", "m5.large", "0"),
        instance("other", "c5.large", "1"),
        instance("none", "m5a.large", None),
    )
    group = Group(name="g", arn="arn", shown={}, instances=instances)
    assert [one.instance_id for one in outdated(group, TEMPLATES)] == ["older", "other", "none"]


@pytest.mark.parametrize(
    ("percentage", "limited"), [(None, False), (0, False), (100, False), (60, True)]
)
def test_a_percentage_below_100_limits_the_price_of_spot_instances(
    percentage: int | None, limited: bool
) -> None:
    given = members(is_spot=True, bidPercentage=percentage)
    overrides = given["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"]
    assert all(("InstanceRequirements" in one) == limited for one in overrides)
    on_demand = members(bidPercentage=percentage)
    assert on_demand == members()


def test_a_percentage_and_an_order_of_types_exclude_each_other() -> None:
    with pytest.raises(UnusableResourcesError, match="bidPercentage 60 cannot be combined"):
        members(
            is_spot=True,
            bidPercentage=60,
            allocationStrategy="SPOT_CAPACITY_OPTIMIZED_PRIORITIZED",
        )


def test_a_percentage_takes_few_templates_of_one_size() -> None:
    types = types_of("m5.large", "m5a.large", "m4.large", "c5.large", "r5.large")
    templates = {
        one.name: TemplateVersion(template_id=f"lt-{number}", version="1")
        for number, one in enumerate(types)
    }
    with pytest.raises(UnusableResourcesError, match="at most 4 templates"):
        group_members(
            RESOURCES | {"bidPercentage": 60},
            SizeClass(types=types),
            templates,
            SIZE,
            is_spot=True,
        )
