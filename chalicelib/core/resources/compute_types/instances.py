"""EC2 and SPOT: instances that AWS Batch scales. Validated, and not supported yet."""

import re
from collections.abc import Mapping
from typing import Any

from chalicelib.core.errors import ClientError
from chalicelib.core.resources.compute_types.compute_type import ComputeResources, ComputeType
from chalicelib.core.resources.compute_types.scaling_policy import validate_scaling_policy
from chalicelib.core.resources.platforms import Platform

_MANAGED_INSTANCES_MEMBERS = ("managedInstancesProvider", "capacityTags")
_SPOT_STRATEGIES = (
    "SPOT_CAPACITY_OPTIMIZED",
    "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED",
    "SPOT_PRICE_CAPACITY_OPTIMIZED",
)
_ORDERED_STRATEGIES = ("BEST_FIT_PROGRESSIVE_ORDERED", "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED")
_TEMPLATE_VERSION = re.compile(r"[0-9]*|\$Default|\$Latest")
_MOST_TEMPLATE_OVERRIDES = 10
_BUNDLES = ("optimal", "default_x86_64", "default_arm64")


def _validate(resources: ComputeResources) -> None:
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
    validate_scaling_policy(resources)


def _validate_vcpus(resources: ComputeResources) -> None:
    if "minvCpus" not in resources:
        raise ClientError("Resource minvCpus is required.")
    least, most = resources["minvCpus"], resources["maxvCpus"]
    if least < 0:
        raise ClientError("minvCpus should be greater than or equal to 0.")
    if most < least:
        raise ClientError("maxvCpus should be greater than or equal to minvCpus.")
    if not least <= resources.get("desiredvCpus", least) <= most:
        raise ClientError("desiredvCpus should be between minvCpus and maxvCpus.")


def _validate_strategy(resources: ComputeResources) -> None:
    strategy, kind = resources.get("allocationStrategy", "BEST_FIT"), resources["type"]
    if kind == "EC2" and strategy in _SPOT_STRATEGIES:
        raise ClientError(f"Allocation strategy {strategy} requires compute resource type SPOT.")
    if kind == "SPOT" and strategy == "BEST_FIT_PROGRESSIVE_ORDERED":
        raise ClientError(f"Allocation strategy {strategy} requires compute resource type EC2.")
    if kind == "SPOT" and strategy == "BEST_FIT" and not resources.get("spotIamFleetRole"):
        raise ClientError("compute resource spotIamFleetRole is required.")
    bundles = [name for name in resources["instanceTypes"] if name in _BUNDLES]
    if strategy in _ORDERED_STRATEGIES and bundles:
        raise ClientError(
            "Instance type bundles (e.g. optimal, default_x86_64) are not allowed for "
            f"{strategy} allocation strategy. Specify instance families or types directly."
        )


def _validate_launch_template(template: Mapping[str, Any]) -> None:
    if ("launchTemplateId" in template) == ("launchTemplateName" in template):
        raise ClientError(
            "One of LaunchTemplateId and LaunchTemplateName or LaunchTemplate.overrides should be "
            "provided"
        )
    _validate_version(template)
    targeted: set[str] = set()
    overrides = template.get("overrides", [])
    if len(overrides) > _MOST_TEMPLATE_OVERRIDES:
        raise ClientError(
            f"LaunchTemplate.overrides size cannot be greater than {_MOST_TEMPLATE_OVERRIDES}"
        )
    for override in overrides:
        _validate_version(override)
        if ("launchTemplateId" in override) == ("launchTemplateName" in override):
            raise ClientError(
                "LaunchTemplate.overrides should have either LaunchTemplateId or LaunchTemplateName"
            )
        targets = override.get("targetInstanceTypes", [])
        if not targets:
            raise ClientError("LaunchTemplate.overrides.targetInstanceTypes[] is required")
        if not targeted.isdisjoint(targets):
            raise ClientError("LaunchTemplate.overrides have duplicate targetInstanceTypes")
        targeted.update(targets)


def _validate_version(template: Mapping[str, Any]) -> None:
    if _TEMPLATE_VERSION.fullmatch(template.get("version", "")) is None:
        raise ClientError(
            "LaunchTemplateVersion must be either empty or a number or $Default or $Latest"
        )


def _instances(name: str) -> ComputeType:
    return ComputeType(
        name=name,
        platform=Platform.EC2,
        queue_type="ECS",
        validate=_validate,
        is_for_eks=True,
    )


EC2 = _instances("EC2")
SPOT = _instances("SPOT")
