"""EC2 and SPOT: instances of Auto Scaling groups, which ECS scales by their capacity providers.

A task goes to the group whose instances are the smallest that hold it (`core/instances/slots.py`).
Tasks share the network of their instance, as in AWS Batch. The nodes of a multi-node parallel job
get an interface each, whose address ECS reports: the other nodes need that of the main node (AWS
Batch user guide, "Compute environment considerations for MNP").
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chalicelib.core.errors import ClientError
from chalicelib.core.instances.instance_types import BUNDLES, refuse_mixed_architectures
from chalicelib.core.instances.names import provider_name
from chalicelib.core.instances.slots import slot_for, slots_of
from chalicelib.core.resources.compute_types.compute_type import (
    ComputeResources,
    ComputeType,
    EcsSupport,
    NodeNetwork,
    Target,
    always_spot,
)
from chalicelib.core.resources.compute_types.scaling_policy import validate_scaling_policy
from chalicelib.core.resources.platforms import Platform
from chalicelib.core.resources.updates import merge_instances

_TYPES = frozenset({"EC2", "SPOT"})
_MANAGED_INSTANCES_MEMBERS = ("managedInstancesProvider", "capacityTags")
_SPOT_STRATEGIES = (
    "SPOT_CAPACITY_OPTIMIZED",
    "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED",
    "SPOT_PRICE_CAPACITY_OPTIMIZED",
)
_ORDERED_STRATEGIES = ("BEST_FIT_PROGRESSIVE_ORDERED", "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED")
_TEMPLATE_VERSION = re.compile(r"[0-9]*|\$Default|\$Latest")
_MOST_TEMPLATE_OVERRIDES = 10
_MOST_TASK_SUBNETS = 16  # of one task (ECS API reference, AwsVpcConfiguration)
# Of the instances with enough vCPUs, the one with the least memory left: types of 2, 4 and 8 GiB a
# vCPU stand side by side in an environment, and this keeps memory for the jobs that need it. For
# jobs of one shape it is the same as packing by vCPU.
_BINPACK = {"type": "binpack", "field": "memory"}


def _validate(resources: ComputeResources) -> None:
    for member in _MANAGED_INSTANCES_MEMBERS:
        if member in resources:
            raise ClientError(f"{member} is not applicable for {resources['type']}.")
    if not resources.get("instanceRole"):
        raise ClientError("Instance role is required.")
    if "minvCpus" not in resources:
        raise ClientError("Resource minvCpus is required.")
    if not resources.get("instanceTypes"):
        raise ClientError("Resource instanceTypes are required.")
    mixed = refuse_mixed_architectures(resources["instanceTypes"])
    if mixed is not None:
        raise ClientError(mixed)
    if not resources.get("subnets"):
        raise ClientError("Subnets are required.")
    if not resources.get("securityGroupIds") and not resources.get("launchTemplate"):
        raise ClientError("Security group ids are required.")
    _validate_vcpus(resources)
    _validate_strategy(resources)
    # On-Demand Instances have no bid, and clients send any number with them.
    if resources["type"] == "SPOT" and not 0 <= resources.get("bidPercentage", 100) <= 100:
        raise ClientError("Bid percentage must be between 0 to 100.")
    if "launchTemplate" in resources:
        _validate_launch_template(resources["launchTemplate"])
    validate_scaling_policy(resources)


def _validate_vcpus(resources: ComputeResources) -> None:
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
    bundles = [name for name in resources["instanceTypes"] if name in BUNDLES]
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


def _run_task(target: Target, task: Mapping[str, Any]) -> dict[str, Any]:
    number = 0 if target.task is None else slot_for(target.task, slots_of(target.made))
    provider = provider_name(target.cluster, number)
    return {
        "capacityProviderStrategy": [{"capacityProvider": provider, "weight": 1}],
        "placementStrategy": [_BINPACK],
    }


def _providers(target: Target) -> tuple[str, ...]:
    numbers = range(max(1, len(slots_of(target.made))))
    return tuple(provider_name(target.cluster, number) for number in numbers)


def _node_interface(target: Target) -> dict[str, Any]:
    """Return where a node's interface is made; without security groups it has those of its VPC."""
    network = {"subnets": list(target.resources["subnets"][:_MOST_TASK_SUBNETS])}
    groups = target.resources.get("securityGroupIds")
    if groups:
        network["securityGroups"] = list(groups)
    return {"networkConfiguration": {"awsvpcConfiguration": network}}


def _instances(name: str, *, runs_nodes: bool) -> ComputeType:
    return ComputeType(
        name=name,
        platform=Platform.EC2,
        queue_type="ECS",
        validate=_validate,
        merge=merge_instances,
        may_become=_TYPES - {name},
        replaces_instances=True,
        is_for_eks=True,
        ecs=EcsSupport(
            capacity_providers=_providers,
            run_task=_run_task,
            network_mode="host",
            has_task_size=False,
            node_network=NodeNetwork(mode="awsvpc", run_task=_node_interface),
            makes_capacity=True,
        ),
        runs_nodes=runs_nodes,
    )


EC2 = _instances("EC2", runs_nodes=True)
# A node that is lost ends the work of all, and AWS Batch runs none of them on Spot Instances.
SPOT = replace(_instances("SPOT", runs_nodes=False), is_spot=always_spot)
