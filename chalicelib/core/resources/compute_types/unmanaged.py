"""UNMANAGED: instances that their owner registers in the environment's cluster.

Or capacity providers that their owner associates with it. RunTask is asked for neither a launch
type nor a strategy: ECS then uses the cluster's default capacity provider strategy, whose group may
scale from zero, and the launch type EC2 where the cluster has none (API reference, RunTask).
"""

from collections.abc import Mapping
from typing import Any

from chalicelib.core.errors import ClientError
from chalicelib.core.resources.compute_types.compute_type import (
    ComputeResources,
    ComputeType,
    EcsSupport,
    Target,
)
from chalicelib.core.resources.platforms import Platform


def _refuse(resources: ComputeResources) -> None:
    raise ClientError("computeResources is not applicable for UNMANAGED compute environments.")


def _run_task(target: Target, task: Mapping[str, Any]) -> dict[str, Any]:
    return {}


UNMANAGED = ComputeType(
    name="UNMANAGED",
    platform=Platform.EC2,
    queue_type="ECS",
    validate=_refuse,
    is_managed=False,
    runs_nodes=True,
    ecs=EcsSupport(
        capacity_providers=lambda target: None,
        run_task=_run_task,
        network_mode="host",
        has_task_size=False,
    ),
)
