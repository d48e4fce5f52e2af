"""UpdateComputeEnvironment for each compute type: what may change, and what is refused."""

from typing import Any

import pytest

from chalicelib.core.errors import ClientError
from chalicelib.core.validation.compute_environment import validate_create, validate_update
from tests.unit.core.validation.test_compute_environment import (
    EC2,
    MANAGED,
    PROVIDER,
    SERVICE_LINKED,
    UNMANAGED,
    managed,
)

PROGRESSIVE = managed(EC2, allocationStrategy="BEST_FIT_PROGRESSIVE")
SPOT = managed(EC2, type="SPOT", allocationStrategy="SPOT_CAPACITY_OPTIMIZED", bidPercentage=60)
OWN_ROLE = {"serviceRole": "arn:aws:iam::123456789012:role/batch"}


def update(environment: dict[str, Any], **request: Any) -> dict[str, Any]:
    return validate_update(validate_create(environment), request)


def resources(environment: dict[str, Any], **given: Any) -> dict[str, Any]:
    updated: dict[str, Any] = update(environment, computeResources=given)["computeResources"]
    return updated


def refusal(environment: dict[str, Any], **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        update(environment, **request)
    return caught.value.message


@pytest.mark.parametrize("role", [{}, {"serviceRole": SERVICE_LINKED}])
@pytest.mark.parametrize(
    "given",
    [
        {"maxvCpus": 32, "minvCpus": 4, "desiredvCpus": 8},
        {"instanceTypes": ["m5", "c5.large"]},
        {"subnets": ["subnet-2"], "securityGroupIds": ["sg-2"]},
        {"allocationStrategy": "BEST_FIT_PROGRESSIVE_ORDERED", "instanceTypes": ["m5"]},
        {"launchTemplate": {"launchTemplateName": "own", "version": "$Latest"}},
        {"ec2Configuration": [{"imageType": "ECS_AL2023"}]},
        {"imageId": "ami-1", "ec2KeyPair": "pair", "placementGroup": "cluster"},
        {"tags": {"team": "blue"}, "instanceRole": "other"},
        {"updateToLatestImageVersion": True},
    ],
)
def test_an_environment_with_the_service_linked_role_can_be_updated(
    given: dict[str, Any], role: dict[str, str]
) -> None:
    assert resources(PROGRESSIVE | role, **given) == PROGRESSIVE["computeResources"] | given


def test_an_environment_with_another_role_can_be_scaled_only() -> None:
    environment = PROGRESSIVE | OWN_ROLE
    assert resources(environment, maxvCpus=64)["maxvCpus"] == 64
    given = {"subnets": ["subnet-2"], "imageId": "ami-1", "maxvCpus": 64}
    assert refusal(environment, computeResources=given) == (
        "Following fields [imageId, subnets] can be updated only for Non-fargate Compute "
        "Environment having a Batch Service Linked Role"
    )


@pytest.mark.parametrize(
    ("before", "after"), [({}, OWN_ROLE), (OWN_ROLE, {"serviceRole": SERVICE_LINKED})]
)
def test_the_service_role_stays_linked_or_not(
    before: dict[str, str], after: dict[str, str]
) -> None:
    assert "can not be changed from a service-linked role" in refusal(PROGRESSIVE | before, **after)


def test_a_role_of_the_owners_can_be_replaced_by_another() -> None:
    other = {"serviceRole": "arn:aws:iam::123456789012:role/other"}
    assert update(PROGRESSIVE | OWN_ROLE, **other)["serviceRole"] == other["serviceRole"]


def test_on_demand_can_become_spot_and_spot_on_demand() -> None:
    given = {"type": "SPOT", "allocationStrategy": "SPOT_PRICE_CAPACITY_OPTIMIZED"}
    assert resources(PROGRESSIVE, **given)["type"] == "SPOT"
    back = {"type": "EC2", "allocationStrategy": "BEST_FIT_PROGRESSIVE"}
    assert resources(SPOT, **back)["type"] == "EC2"
    assert refusal(SPOT, computeResources={"type": "EC2"}) == (
        "Allocation strategy SPOT_CAPACITY_OPTIMIZED requires compute resource type SPOT."
    )


@pytest.mark.parametrize(
    ("environment", "kind"),
    [(PROGRESSIVE, "FARGATE"), (PROGRESSIVE, "ECS_MANAGED_INSTANCES"), (managed(MANAGED), "EC2")],
)
def test_other_types_stay_as_they_are(environment: dict[str, Any], kind: str) -> None:
    assert refusal(environment, computeResources={"type": kind}).startswith(
        "Compute resource type can not be changed from "
    )


def test_an_update_policy_is_stored_and_changed_member_by_member() -> None:
    stored = update(PROGRESSIVE, updatePolicy={"jobExecutionTimeoutMinutes": 60})
    assert stored["updatePolicy"] == {"jobExecutionTimeoutMinutes": 60}
    again = validate_update(stored, {"updatePolicy": {"terminateJobsOnUpdate": True}})
    assert again["updatePolicy"] == {
        "jobExecutionTimeoutMinutes": 60,
        "terminateJobsOnUpdate": True,
    }


def test_a_managed_instances_provider_is_updated_in_part() -> None:
    change = {"infrastructureOptimization": {"scaleInAfter": 60}}
    updated = resources(managed(MANAGED), managedInstancesProvider=change, capacityTags={"a": "b"})
    assert updated["managedInstancesProvider"] == PROVIDER | change
    assert updated["capacityTags"] == {"a": "b"}
    late = {"infrastructureOptimization": {"scaleInAfter": 3601}}
    assert refusal(managed(MANAGED), computeResources={"managedInstancesProvider": late}) == (
        "scaleInAfter must be between -1 and 3600, got 3601."
    )


@pytest.mark.parametrize("member", ["instanceTypes", "subnets", "imageId", "desiredvCpus"])
def test_members_of_other_instances_are_refused_for_managed_ones(member: str) -> None:
    assert refusal(managed(MANAGED), computeResources={member: ["x"]}) == (
        f"{member} is not applicable for ECS_MANAGED_INSTANCES."
    )


@pytest.mark.parametrize("environment", [PROGRESSIVE, SPOT])
def test_a_managed_instances_provider_is_refused_for_other_instances(
    environment: dict[str, Any],
) -> None:
    kind = environment["computeResources"]["type"]
    given = {"managedInstancesProvider": {"propagateTags": "NONE"}}
    assert refusal(environment, computeResources=given) == (
        f"managedInstancesProvider is not applicable for {kind}."
    )


def test_an_unmanaged_environment_keeps_no_update_policy() -> None:
    assert refusal(UNMANAGED, updatePolicy={"terminateJobsOnUpdate": True}) == (
        "updatePolicy is not applicable for UNMANAGED compute environments."
    )
