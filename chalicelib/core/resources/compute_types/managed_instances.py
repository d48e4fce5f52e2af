"""ECS_MANAGED_INSTANCES: instances that ECS manages, by a capacity provider of their own kind."""

from collections.abc import Mapping
from typing import Any

from chalicelib.core.errors import ClientError
from chalicelib.core.instances.names import provider_name
from chalicelib.core.resources.compute_types.compute_type import (
    ComputeResources,
    ComputeType,
    EcsSupport,
    Target,
)
from chalicelib.core.resources.compute_types.scaling_policy import validate_scaling_policy
from chalicelib.core.resources.platforms import Platform
from chalicelib.core.resources.updates import merge_managed_provider

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
_SCALE_IN_AFTER_SECONDS = range(-1, 3600 + 1)


def _validate(resources: ComputeResources) -> None:
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
    validate_scaling_policy(resources)


def _run_task(target: Target, task: Mapping[str, Any]) -> dict[str, Any]:
    provider = provider_name(target.cluster)
    asked: dict[str, Any] = {
        "capacityProviderStrategy": [{"capacityProvider": provider, "weight": 1}]
    }
    if task.get("networkMode") != "host":
        # A task has an interface of its own, which is to be where its instance can be.
        template = target.resources["managedInstancesProvider"]["instanceLaunchTemplate"]
        network = template["networkConfiguration"]
        asked["networkConfiguration"] = {
            "awsvpcConfiguration": {
                "subnets": list(network["subnets"]),
                "securityGroups": list(network["securityGroups"]),
            }
        }
    return asked


def _is_spot(resources: ComputeResources) -> bool:
    """Return whether ECS launches Spot instances; it does not unless it is asked to."""
    provider = resources.get("managedInstancesProvider") or {}
    template = provider.get("instanceLaunchTemplate") or {}
    return bool(template.get("capacityOptionType") == "SPOT")


ECS_MANAGED_INSTANCES = ComputeType(
    name="ECS_MANAGED_INSTANCES",
    platform=Platform.MANAGED_INSTANCES,
    queue_type="ECS_MANAGED_INSTANCES",
    validate=_validate,
    merge=merge_managed_provider,
    ecs=EcsSupport(
        capacity_providers=lambda target: (provider_name(target.cluster),),
        run_task=_run_task,
        network_mode="awsvpc",
        has_task_size=True,
        task_members=("networkMode", "runtimePlatform"),
        makes_capacity=True,
    ),
    is_spot=_is_spot,
)
