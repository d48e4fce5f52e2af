"""The rules of `computeResources` for each type of managed compute environment.

Three groups that have little in common: Fargate, instances that AWS Batch scales (EC2 and SPOT),
and instances that ECS manages. Each refuses the members of the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalicelib.core.errors import ClientError

_MOST_SUBNETS = 16
_MOST_SECURITY_GROUPS = 5
_FARGATE_MEMBERS = frozenset({"type", "maxvCpus", "subnets", "securityGroupIds"})
_INSTANCE_MEMBERS = frozenset(
    {
        "allocationStrategy",
        "bidPercentage",
        "desiredvCpus",
        "ec2Configuration",
        "ec2KeyPair",
        "imageId",
        "instanceRole",
        "instanceTypes",
        "launchTemplate",
        "placementGroup",
        "securityGroupIds",
        "spotIamFleetRole",
        "subnets",
    }
)
_MANAGED_INSTANCES_MEMBERS = ("managedInstancesProvider", "capacityTags")

_SPOT_STRATEGIES = (
    "SPOT_CAPACITY_OPTIMIZED",
    "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED",
    "SPOT_PRICE_CAPACITY_OPTIMIZED",
)
_ORDERED_STRATEGIES = ("BEST_FIT_PROGRESSIVE_ORDERED", "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED")
_BUNDLES = ("optimal", "default_x86_64", "default_arm64")
_SCALE_DOWN_DELAY_MINUTES = range(20, 10080 + 1)
_SCALE_IN_AFTER_SECONDS = range(-1, 3600 + 1)


def validate_fargate(resources: Mapping[str, Any]) -> None:
    """Refuse all but a maximum, subnets and security groups, and wrong numbers of these."""
    for member in sorted(resources.keys() - _FARGATE_MEMBERS):
        raise ClientError(f"{member} is not applicable for Fargate.")
    subnets = resources.get("subnets", [])
    if not subnets:
        raise ClientError("Subnets are required.")
    if len(subnets) > _MOST_SUBNETS:
        raise ClientError(f"Fargate supports a maximum of {_MOST_SUBNETS} subnets.")
    groups = resources.get("securityGroupIds", [])
    if not groups:
        raise ClientError("Security group ids are required.")
    if len(groups) > _MOST_SECURITY_GROUPS:
        raise ClientError(f"Fargate supports a maximum of {_MOST_SECURITY_GROUPS} security groups.")
    if resources["maxvCpus"] < 0:
        raise ClientError("maxvCpus should be greater than or equal to minvCpus.")


def validate_fargate_update(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse a change of type, and what `validate_fargate` refuses of the updated resources."""
    if wanted["type"] != current["type"]:
        raise ClientError(
            f"Compute resource type can not be changed from {current['type']} to {wanted['type']}."
        )
    validate_fargate(wanted)


def validate_instances(resources: Mapping[str, Any]) -> None:
    """Refuse what AWS refuses of resources of type EC2 or SPOT."""
    for member in _MANAGED_INSTANCES_MEMBERS:
        if member in resources:
            raise ClientError(f"{member} is not applicable for {resources['type']}.")
    if not resources.get("instanceRole"):
        raise ClientError("Instance role is required.")
    if not resources.get("instanceTypes"):
        raise ClientError("Resource instanceTypes are required.")
    if not resources.get("subnets"):
        raise ClientError("Subnets are required.")
    if not resources.get("securityGroupIds") and not resources.get("launchTemplate"):
        raise ClientError("Security group ids are required.")
    _validate_vcpus(resources)
    _validate_strategy(resources)
    if not 0 <= resources.get("bidPercentage", 100) <= 100:
        raise ClientError("Bid percentage must be between 0 to 100.")
    if "launchTemplate" in resources:
        _validate_launch_template(resources["launchTemplate"])
    _validate_scaling_policy(resources)


def validate_managed_instances(resources: Mapping[str, Any]) -> None:
    """Refuse what AWS refuses of resources of type ECS_MANAGED_INSTANCES."""
    for member in sorted(resources.keys() & _INSTANCE_MEMBERS):
        raise ClientError(f"{member} is not applicable for ECS_MANAGED_INSTANCES.")
    provider = resources.get("managedInstancesProvider")
    if not provider:
        raise ClientError("managedInstancesProvider is required for ECS_MANAGED_INSTANCES.")
    template = provider["instanceLaunchTemplate"]
    network = template["networkConfiguration"]
    if not network["subnets"]:
        raise ClientError("Subnets are required.")
    if not network["securityGroups"]:
        raise ClientError("Security group ids are required.")
    option = template.get("capacityOptionType", "ON_DEMAND")
    if option not in ("ON_DEMAND", "SPOT"):
        raise ClientError(
            f"capacityOptionType {option} is not valid. Valid values: [ON_DEMAND, SPOT]"
        )
    seconds = provider.get("infrastructureOptimization", {}).get("scaleInAfter", 0)
    if seconds not in _SCALE_IN_AFTER_SECONDS:
        raise ClientError(f"scaleInAfter must be between -1 and 3600, got {seconds}.")
    least = resources.get("minvCpus", 0)
    if least < 0:
        raise ClientError("minvCpus should be greater than or equal to 0.")
    if resources["maxvCpus"] < least:
        raise ClientError("maxvCpus should be greater than or equal to minvCpus.")
    _validate_scaling_policy(resources)


def _validate_vcpus(resources: Mapping[str, Any]) -> None:
    if "minvCpus" not in resources:
        raise ClientError("Resource minvCpus is required.")
    least, most = resources["minvCpus"], resources["maxvCpus"]
    if least < 0:
        raise ClientError("minvCpus should be greater than or equal to 0.")
    if most < least:
        raise ClientError("maxvCpus should be greater than or equal to minvCpus.")
    if not least <= resources.get("desiredvCpus", least) <= most:
        raise ClientError("desiredvCpus should be between minvCpus and maxvCpus.")


def _validate_strategy(resources: Mapping[str, Any]) -> None:
    strategy, kind = resources.get("allocationStrategy", "BEST_FIT"), resources["type"]
    if kind == "EC2" and strategy in _SPOT_STRATEGIES:
        raise ClientError(f"Allocation strategy {strategy} requires compute resource type SPOT.")
    if kind == "SPOT" and strategy == "BEST_FIT_PROGRESSIVE_ORDERED":
        raise ClientError(f"Allocation strategy {strategy} requires compute resource type EC2.")
    if kind == "SPOT" and strategy == "BEST_FIT" and not resources.get("spotIamFleetRole"):
        raise ClientError("spotIamFleetRole is required for the BEST_FIT allocation strategy.")
    bundles = [name for name in resources["instanceTypes"] if name in _BUNDLES]
    if strategy in _ORDERED_STRATEGIES and bundles:
        raise ClientError(
            "Instance type bundles (e.g. optimal, default_x86_64) are not allowed for "
            f"{strategy} allocation strategy. Specify instance families or types directly."
        )


def _validate_launch_template(template: Mapping[str, Any]) -> None:
    if ("launchTemplateId" in template) == ("launchTemplateName" in template):
        raise ClientError(
            "LaunchTemplate should have either LaunchTemplateId or LaunchTemplateName"
        )
    targeted: set[str] = set()
    for override in template.get("overrides", []):
        if ("launchTemplateId" in override) == ("launchTemplateName" in override):
            raise ClientError(
                "LaunchTemplate.overrides should have either LaunchTemplateId or LaunchTemplateName"
            )
        targets = override.get("targetInstanceTypes", [])
        if not targeted.isdisjoint(targets):
            raise ClientError("LaunchTemplate.overrides have duplicate targetInstanceTypes")
        targeted.update(targets)


def _validate_scaling_policy(resources: Mapping[str, Any]) -> None:
    minutes = resources.get("scalingPolicy", {}).get("minScaleDownDelayMinutes", 0)
    if minutes != 0 and minutes not in _SCALE_DOWN_DELAY_MINUTES:
        raise ClientError(
            f"minScaleDownDelayMinutes must be 0 or between 20 and 10080, got {minutes}."
        )
