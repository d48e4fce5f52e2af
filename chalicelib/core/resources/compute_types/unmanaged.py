"""UNMANAGED: instances that their owner registers in the environment's cluster."""

from chalicelib.core.errors import ClientError
from chalicelib.core.resources.compute_types.compute_type import (
    ComputeResources,
    ComputeType,
    EcsSupport,
)
from chalicelib.core.resources.platforms import Platform


def _refuse(resources: ComputeResources) -> None:
    raise ClientError("computeResources is not applicable for UNMANAGED compute environments.")


UNMANAGED = ComputeType(
    name="UNMANAGED",
    platform=Platform.EC2,
    queue_type="ECS",
    validate=_refuse,
    is_managed=False,
    ecs=EcsSupport(
        capacity_providers=lambda target: (),
        run_task=lambda target, task: {"launchType": "EC2"},
        network_mode="host",
        has_task_size=False,
    ),
)
