"""What an update makes of `computeResources`, and which updates replace instances."""

from typing import Any

import pytest

from chalicelib.core.errors import ClientError
from chalicelib.core.resources.updates import (
    SCALING_MEMBERS,
    infrastructure_changes,
    merge_instances,
    merge_managed_provider,
    merge_without_empty,
)

EC2: dict[str, Any] = {
    "type": "EC2",
    "minvCpus": 0,
    "maxvCpus": 16,
    "desiredvCpus": 4,
    "allocationStrategy": "BEST_FIT_PROGRESSIVE",
    "subnets": ["subnet-1"],
    "securityGroupIds": ["sg-1"],
    "instanceRole": "ecsInstanceRole",
    "instanceTypes": ["optimal"],
    "imageId": "ami-1",
    "ec2KeyPair": "pair",
    "placementGroup": "cluster",
    "launchTemplate": {"launchTemplateName": "own"},
}
BEST_FIT = {name: value for name, value in EC2.items() if name != "allocationStrategy"}
DOWN = (
    "Manually scaling down compute environment is not supported. Disconnecting job queues from "
    "compute environment will cause it to scale-down to minvCpus."
)


@pytest.mark.parametrize("member", sorted(SCALING_MEMBERS))
def test_a_change_of_limits_is_a_scaling_update(member: str) -> None:
    changed = {"scalingPolicy": {"minScaleDownDelayMinutes": 30}}.get(member, 8)
    assert infrastructure_changes(EC2, EC2 | {member: changed}) == ()


def test_any_other_change_is_an_infrastructure_update_that_names_it() -> None:
    after = {**EC2, "imageId": "ami-2", "maxvCpus": 32, "tags": {"a": "b"}}
    del after["ec2KeyPair"]
    assert infrastructure_changes(EC2, after) == ("ec2KeyPair", "imageId", "tags")


def test_an_update_to_the_latest_image_replaces_instances_once() -> None:
    wanted = merge_instances(EC2, {"updateToLatestImageVersion": True})
    assert infrastructure_changes(EC2, wanted) == ("updateToLatestImageVersion",)
    later = merge_instances(wanted, {"maxvCpus": 32})
    assert infrastructure_changes(wanted, later) == ()
    assert later == EC2 | {"maxvCpus": 32}


@pytest.mark.parametrize(
    ("member", "empty"),
    [
        ("imageId", ""),
        ("ec2KeyPair", ""),
        ("placementGroup", ""),
        ("securityGroupIds", []),
        ("launchTemplate", {}),
    ],
)
def test_an_empty_member_removes_what_instances_have(member: str, empty: Any) -> None:
    wanted = merge_instances(EC2, {member: empty})
    assert wanted == {name: value for name, value in EC2.items() if name != member}


def test_an_empty_member_changes_nothing_on_fargate() -> None:
    current = {"maxvCpus": 4, "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"]}
    given = {"maxvCpus": 8, "subnets": [], "securityGroupIds": ["sg-2"]}
    assert merge_without_empty(current, given) == {
        "maxvCpus": 8,
        "subnets": ["subnet-1"],
        "securityGroupIds": ["sg-2"],
    }


def test_desired_vcpus_are_moved_upward_only() -> None:
    assert merge_instances(EC2, {"desiredvCpus": 8})["desiredvCpus"] == 8
    with pytest.raises(ClientError) as caught:
        merge_instances(EC2, {"desiredvCpus": 3})
    assert caught.value.message == DOWN


@pytest.mark.parametrize(
    ("given", "desired"), [({"maxvCpus": 2}, 2), ({"minvCpus": 8}, 8), ({"maxvCpus": 64}, 4)]
)
def test_desired_vcpus_of_an_earlier_request_give_way_to_new_limits(
    given: dict[str, int], desired: int
) -> None:
    assert merge_instances(EC2, given)["desiredvCpus"] == desired


def test_with_best_fit_only_the_limits_can_be_updated() -> None:
    assert merge_instances(BEST_FIT, {"maxvCpus": 32})["maxvCpus"] == 32
    given = {"instanceTypes": ["m5"], "allocationStrategy": "BEST_FIT_PROGRESSIVE"}
    with pytest.raises(ClientError) as caught:
        merge_instances(BEST_FIT, given)
    assert caught.value.message == (
        "Following fields [allocationStrategy, instanceTypes] can not be updated for a Compute "
        "Environment with allocation strategy BEST_FIT. Create a new Compute Environment instead."
    )


def test_a_part_of_a_managed_instances_provider_can_be_updated() -> None:
    template = {"ec2InstanceProfileArn": "p", "capacityOptionType": "SPOT", "monitoring": "BASIC"}
    current = {
        "maxvCpus": 4,
        "managedInstancesProvider": {
            "infrastructureRoleArn": "r",
            "instanceLaunchTemplate": template,
        },
    }
    change = {"instanceLaunchTemplate": {"monitoring": "DETAILED"}, "propagateTags": "NONE"}
    wanted = merge_managed_provider(current, {"managedInstancesProvider": change})
    assert wanted["managedInstancesProvider"] == {
        "infrastructureRoleArn": "r",
        "propagateTags": "NONE",
        "instanceLaunchTemplate": template | {"monitoring": "DETAILED"},
    }
    assert current["managedInstancesProvider"]["instanceLaunchTemplate"] == template  # type: ignore[index]
