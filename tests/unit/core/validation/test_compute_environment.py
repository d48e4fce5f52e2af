"""Compute environments: creation of each type, updates of the supported ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from chalicelib.core.errors import ClientError, NotSupportedError
from chalicelib.core.validation.compute_environment import validate_create, validate_update
from tests.unit.core.validation.definitions import changed

FARGATE = {"type": "FARGATE", "maxvCpus": 16, "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"]}
EC2 = {
    "type": "EC2",
    "minvCpus": 0,
    "maxvCpus": 16,
    "subnets": ["subnet-1"],
    "securityGroupIds": ["sg-1"],
    "instanceRole": "ecsInstanceRole",
    "instanceTypes": ["optimal"],
}
TEMPLATE = {
    "ec2InstanceProfileArn": "arn",
    "networkConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]},
}
PROVIDER = {"infrastructureRoleArn": "arn", "instanceLaunchTemplate": TEMPLATE}
MANAGED = {"type": "ECS_MANAGED_INSTANCES", "maxvCpus": 4, "managedInstancesProvider": PROVIDER}
UNMANAGED = {"computeEnvironmentName": "own", "type": "UNMANAGED", "serviceRole": "arn"}


def managed(base: Mapping[str, Any] = FARGATE, /, **change: Any) -> dict[str, Any]:
    return {
        "computeEnvironmentName": "environment",
        "type": "MANAGED",
        "computeResources": changed(base, change),
    }


def refusal(request: dict[str, Any]) -> str:
    with pytest.raises(ClientError) as caught:
        validate_create(request)
    assert not isinstance(caught.value, NotSupportedError)
    return caught.value.message


def update_refusal(environment: dict[str, Any], **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        validate_update(validate_create(environment), request)
    return caught.value.message


@pytest.mark.parametrize("request_", [managed(), managed(type="FARGATE_SPOT"), UNMANAGED])
def test_what_is_offered_is_accepted(request_: dict[str, Any]) -> None:
    assert validate_create(request_) == request_ | {"state": "ENABLED", "tags": {}}


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (
            managed() | {"computeEnvironmentName": "a b"},
            "Compute Environment name should match a valid pattern.",
        ),
        (
            managed() | {"state": "DISABLED"},
            "Compute Environment must be created in ENABLED state.",
        ),
        (
            changed(managed(), {"computeResources": None}),
            "computeResources must be provided for a MANAGED compute environment",
        ),
        (
            managed() | {"unmanagedvCpus": 1},
            "unmanagedvCpus is not applicable for managed Compute Environments",
        ),
        (changed(UNMANAGED, {"serviceRole": None}), "ServiceRole is required."),
        (
            UNMANAGED | {"computeResources": FARGATE},
            "Cannot create an UNMANAGED Fargate Compute Environment.",
        ),
        (
            UNMANAGED | {"computeResources": EC2},
            "computeResources is not applicable for UNMANAGED compute environments.",
        ),
        (
            UNMANAGED | {"unmanagedvCpus": -1},
            "unmanagedvCpus should be greater than or equal to 0.",
        ),
        (managed(subnets=[]), "Subnets are required."),
        (managed(subnets=["s"] * 17), "Fargate supports a maximum of 16 subnets."),
        (managed(securityGroupIds=None), "Security group ids are required."),
        (managed(securityGroupIds=["s"] * 6), "Fargate supports a maximum of 5 security groups."),
        (managed(maxvCpus=-1), "maxvCpus should be greater than or equal to minvCpus."),
    ],
)
def test_a_wrong_environment_is_refused(request_: dict[str, Any], sentence: str) -> None:
    assert refusal(request_) == sentence


@pytest.mark.parametrize(
    "member",
    [
        "allocationStrategy",
        "bidPercentage",
        "capacityTags",
        "desiredvCpus",
        "ec2Configuration",
        "ec2KeyPair",
        "imageId",
        "instanceRole",
        "instanceTypes",
        "launchTemplate",
        "managedInstancesProvider",
        "minvCpus",
        "placementGroup",
        "scalingPolicy",
        "spotIamFleetRole",
        "tags",
    ],
)
def test_fargate_takes_nothing_of_instances(member: str) -> None:
    assert refusal(managed(FARGATE | {member: 0})) == f"{member} is not applicable for Fargate."


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"instanceRole": None}, "Instance role is required."),
        ({"instanceTypes": None}, "Resource instanceTypes are required."),
        (
            {"instanceTypes": ["optimal", "m6g.large"]},
            "arm-based instance type cannot be used with other instance types.",
        ),
        ({"subnets": None}, "Subnets are required."),
        ({"securityGroupIds": None}, "Security group ids are required."),
        ({"minvCpus": None}, "Resource minvCpus is required."),
        ({"minvCpus": -1}, "minvCpus should be greater than or equal to 0."),
        ({"minvCpus": 17}, "maxvCpus should be greater than or equal to minvCpus."),
        ({"desiredvCpus": 17}, "desiredvCpus should be between minvCpus and maxvCpus."),
        (
            {"type": "SPOT", "spotIamFleetRole": "arn", "bidPercentage": 101},
            "Bid percentage must be between 0 to 100.",
        ),
        (
            {"allocationStrategy": "SPOT_CAPACITY_OPTIMIZED"},
            "Allocation strategy SPOT_CAPACITY_OPTIMIZED requires compute resource type SPOT.",
        ),
        (
            {"type": "SPOT", "allocationStrategy": "BEST_FIT_PROGRESSIVE_ORDERED"},
            "Allocation strategy BEST_FIT_PROGRESSIVE_ORDERED requires compute resource type EC2.",
        ),
        ({"type": "SPOT"}, "compute resource spotIamFleetRole is required."),
        (
            {"allocationStrategy": "BEST_FIT_PROGRESSIVE_ORDERED"},
            "Instance type bundles (e.g. optimal, default_x86_64) are not allowed for "
            "BEST_FIT_PROGRESSIVE_ORDERED allocation strategy. "
            "Specify instance families or types directly.",
        ),
        (
            {"launchTemplate": {"launchTemplateId": "lt-1", "launchTemplateName": "n"}},
            "One of LaunchTemplateId and LaunchTemplateName or LaunchTemplate.overrides should be "
            "provided",
        ),
        (
            {"launchTemplate": {"launchTemplateId": "lt-1", "version": "newest"}},
            "LaunchTemplateVersion must be either empty or a number or $Default or $Latest",
        ),
        (
            {
                "launchTemplate": {
                    "launchTemplateId": "lt-1",
                    "overrides": [{"launchTemplateId": "lt-2"}],
                }
            },
            "LaunchTemplate.overrides.targetInstanceTypes[] is required",
        ),
        (
            {
                "launchTemplate": {
                    "launchTemplateId": "lt-1",
                    "overrides": [{"launchTemplateId": "lt-2"}] * 11,
                }
            },
            "LaunchTemplate.overrides size cannot be greater than 10",
        ),
        (
            {"launchTemplate": {"launchTemplateId": "lt-1", "overrides": [{}]}},
            "LaunchTemplate.overrides should have either LaunchTemplateId or LaunchTemplateName",
        ),
        (
            {
                "launchTemplate": {
                    "launchTemplateId": "lt-1",
                    "overrides": [
                        {"launchTemplateId": "lt-2", "targetInstanceTypes": ["m5.large"]},
                        {"launchTemplateId": "lt-3", "targetInstanceTypes": ["m5.large"]},
                    ],
                }
            },
            "LaunchTemplate.overrides have duplicate targetInstanceTypes",
        ),
        (
            {"scalingPolicy": {"minScaleDownDelayMinutes": 19}},
            "minScaleDownDelayMinutes must be 0 or between 20 and 10080, got 19.",
        ),
        ({"capacityTags": {"a": "b"}}, "capacityTags is not applicable for EC2."),
    ],
)
def test_wrong_instances_are_refused_for_what_is_wrong(
    change: dict[str, Any], sentence: str
) -> None:
    assert refusal(managed(EC2, **change)) == sentence


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"subnets": ["s"]}, "subnets is not applicable for ECS_MANAGED_INSTANCES."),
        (
            {"managedInstancesProvider": None},
            "managedInstancesProvider is required for ECS_MANAGED_INSTANCES.",
        ),
        (
            {
                "managedInstancesProvider": PROVIDER
                | {"instanceLaunchTemplate": TEMPLATE | {"capacityOptionType": "FREE"}}
            },
            "capacityOptionType FREE is not valid. Valid values: [ON_DEMAND, SPOT]",
        ),
        (
            {
                "managedInstancesProvider": PROVIDER
                | {"infrastructureOptimization": {"scaleInAfter": -2}}
            },
            "scaleInAfter must be between -1 and 3600, got -2.",
        ),
        ({"minvCpus": 5}, "maxvCpus should be greater than or equal to minvCpus."),
        ({"minvCpus": -1}, "minvCpus should be greater than or equal to 0."),
    ],
)
def test_wrong_managed_instances_are_refused_for_what_is_wrong(
    change: dict[str, Any], sentence: str
) -> None:
    assert refusal(managed(MANAGED, **change)) == sentence


def test_a_managed_instance_needs_a_network() -> None:
    for missing, sentence in (
        ("subnets", "Subnets are required."),
        ("securityGroups", "Security group ids are required."),
    ):
        network = {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]} | {missing: []}
        template = TEMPLATE | {"networkConfiguration": network}
        provider = PROVIDER | {"instanceLaunchTemplate": template}
        assert refusal(managed(MANAGED, managedInstancesProvider=provider)) == sentence


EKS = {
    "eksClusterArn": "arn:aws:eks:us-east-1:123456789012:cluster/c",
    "kubernetesNamespace": "batch",
}


@pytest.mark.parametrize(
    "request_",
    [
        managed(EC2),
        managed(EC2, type="SPOT", allocationStrategy="SPOT_CAPACITY_OPTIMIZED"),
        managed(MANAGED),
    ],
)
def test_an_environment_with_instances_is_stored_as_it_was_given(request_: dict[str, Any]) -> None:
    assert validate_create(request_) == {"tags": {}, **request_, "state": "ENABLED"}


def test_an_environment_on_eks_is_called_unsupported() -> None:
    request = managed(EC2, allocationStrategy="BEST_FIT_PROGRESSIVE") | {"eksConfiguration": EKS}
    with pytest.raises(NotSupportedError, match="Amazon EKS is not supported yet"):
        validate_create(request)


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (
            managed(EC2) | {"eksConfiguration": EKS | {"kubernetesNamespace": "default"}},
            "kubernetesNamespace cannot be the default Kubernetes namespace",
        ),
        (
            managed(EC2) | {"eksConfiguration": EKS | {"kubernetesNamespace": "kube-system"}},
            "kubernetesNamespace cannot be a reserved Kubernetes system namespace",
        ),
        (
            managed(EC2) | {"eksConfiguration": EKS | {"kubernetesNamespace": "n" * 64}},
            "kubernetesNamespace must less than or equal to 63 characters",
        ),
        (
            managed(EC2) | {"eksConfiguration": EKS | {"kubernetesNamespace": "Batch"}},
            "kubernetesNamespace must be a valid Kubernetes namespace.",
        ),
        (
            managed(EC2) | {"eksConfiguration": EKS | {"eksClusterArn": "cluster"}},
            "eksClusterArn must be an EKS cluster ARN.",
        ),
        (
            managed() | {"eksConfiguration": EKS},
            "Supported compute types for EKS compute environments are [EC2, SPOT]",
        ),
        (
            managed(EC2) | {"eksConfiguration": EKS},
            "allocationStrategy is required for EKS Compute Environments.",
        ),
        (
            UNMANAGED | {"eksConfiguration": EKS},
            "eksConfiguration is not applicable for UNMANAGED compute environments.",
        ),
    ],
)
def test_a_wrong_kubernetes_environment_is_refused(request_: dict[str, Any], sentence: str) -> None:
    assert refusal(request_) == sentence


SERVICE_LINKED = (
    "arn:aws:iam::123456789012:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch"
)
NOTHING = "One of [state | compute-resources | service-role | unmanaged-vcpus] is required."


def test_an_unmanaged_environment_has_a_role_of_its_owners() -> None:
    assert refusal(UNMANAGED | {"serviceRole": SERVICE_LINKED}) == (
        "Service Linked Role cannot be used with UNMANAGED Compute Environment."
    )


def test_an_update_to_zero_is_a_change() -> None:
    environment = validate_create(UNMANAGED | {"unmanagedvCpus": 4})
    assert validate_update(environment, {"unmanagedvCpus": 0})["unmanagedvCpus"] == 0


def test_an_update_changes_what_it_names() -> None:
    environment = validate_create(managed())
    updated = validate_update(
        environment, {"state": "DISABLED", "computeResources": {"maxvCpus": 32}}
    )
    assert updated["state"] == "DISABLED"
    assert updated["computeResources"] == FARGATE | {"maxvCpus": 32}
    assert environment["state"] == "ENABLED"
    assert environment["computeResources"] == FARGATE


def test_an_unmanaged_environment_can_be_updated() -> None:
    request = {"unmanagedvCpus": 8, "serviceRole": "other"}
    updated = validate_update(validate_create(UNMANAGED), request)
    assert updated == UNMANAGED | {"state": "ENABLED", "tags": {}} | request


@pytest.mark.parametrize(
    ("environment", "request_", "sentence"),
    [
        (
            managed(),
            {"computeResources": {"type": "FARGATE_SPOT"}},
            "Compute resource type can not be changed from FARGATE to FARGATE_SPOT.",
        ),
        (
            managed(),
            {"computeResources": {"desiredvCpus": 1}},
            "desiredvCpus is not applicable for Fargate.",
        ),
        (
            managed(),
            {"updatePolicy": {"terminateJobsOnUpdate": True}},
            "updatePolicy is not applicable for Fargate.",
        ),
        (
            managed(),
            {"unmanagedvCpus": 1},
            "unmanagedvCpus is not applicable for managed Compute Environments",
        ),
        (
            managed(),
            {"eksConfiguration": {}},
            "eksConfiguration is not applicable for ECS compute environments.",
        ),
        (
            UNMANAGED,
            {"computeResources": {"maxvCpus": 1}},
            "computeResources is not applicable for UNMANAGED compute environments.",
        ),
        (UNMANAGED, {"serviceRole": ""}, "ServiceRole is required."),
        (
            UNMANAGED,
            {"serviceRole": SERVICE_LINKED},
            "Service Linked Role cannot be used with UNMANAGED Compute Environment.",
        ),
        (managed(), {}, NOTHING),
        (managed(), {"computeResources": {}, "updatePolicy": {}}, NOTHING),
        (UNMANAGED, {}, NOTHING),
    ],
)
def test_a_wrong_update_is_refused(
    environment: dict[str, Any], request_: dict[str, Any], sentence: str
) -> None:
    assert update_refusal(environment, **request_) == sentence
