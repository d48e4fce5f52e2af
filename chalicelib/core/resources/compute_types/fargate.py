"""FARGATE and FARGATE_SPOT: tasks on capacity that AWS manages."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from chalicelib.core.errors import ClientError
from chalicelib.core.resources.compute_types.compute_type import (
    ComputeResources,
    ComputeType,
    EcsSupport,
    Target,
    always_spot,
    never_spot,
)
from chalicelib.core.resources.platforms import Platform
from chalicelib.core.resources.updates import merge_without_empty
from chalicelib.core.task_size import TaskSize

_MOST_SUBNETS = 16
_MOST_SECURITY_GROUPS = 5
_MEMBERS = frozenset({"type", "maxvCpus", "subnets", "securityGroupIds"})


def _validate(resources: ComputeResources) -> None:
    """Refuse members of other types, and wrong numbers of subnets and security groups."""
    for member in sorted(resources.keys() - _MEMBERS):
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


def _run_task(provider: str, target: Target, task: Mapping[str, Any]) -> dict[str, Any]:
    network = task.get("networkConfiguration") or {}
    return {
        "capacityProviderStrategy": [{"capacityProvider": provider, "weight": 1}],
        "platformVersion": task.get("platformVersion") or "LATEST",
        "networkConfiguration": {
            "awsvpcConfiguration": {
                "subnets": list(target.resources["subnets"]),
                "securityGroups": list(target.resources["securityGroupIds"]),
                "assignPublicIp": network.get("assignPublicIp") or "DISABLED",
            }
        },
    }


def _fargate(name: str, is_spot: Callable[[ComputeResources], bool] = never_spot) -> ComputeType:
    """Return the type of that name; ECS has a capacity provider of the same name."""
    return ComputeType(
        name=name,
        platform=Platform.FARGATE,
        queue_type="ECS_FARGATE",
        validate=_validate,
        is_spot=is_spot,
        merge=merge_without_empty,
        ecs=EcsSupport(
            capacity_providers=lambda target: (name,),
            run_task=partial(_run_task, name),
            network_mode="awsvpc",
            has_task_size=True,
            task_members=("ephemeralStorage", "runtimePlatform"),
        ),
        provisioning_limit=None,
        holds=(TaskSize(cpu_units=32 * 1024, memory_mib=249_856),),
    )


FARGATE = _fargate("FARGATE")
FARGATE_SPOT = _fargate("FARGATE_SPOT", always_spot)
