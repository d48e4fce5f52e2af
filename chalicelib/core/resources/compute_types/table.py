"""The table of compute types: each type is one row."""

from collections.abc import Mapping
from typing import Any

from chalicelib.core.errors import NotSupportedError
from chalicelib.core.resources.compute_types.compute_type import ComputeType
from chalicelib.core.resources.compute_types.fargate import FARGATE, FARGATE_SPOT
from chalicelib.core.resources.compute_types.instances import EC2, SPOT
from chalicelib.core.resources.compute_types.managed_instances import ECS_MANAGED_INSTANCES
from chalicelib.core.resources.compute_types.unmanaged import UNMANAGED

COMPUTE_TYPES: Mapping[str, ComputeType] = {
    compute_type.name: compute_type
    for compute_type in (
        FARGATE,
        FARGATE_SPOT,
        UNMANAGED,
        EC2,
        SPOT,
        ECS_MANAGED_INSTANCES,
    )
}
# The types of job queue that can be made: those of which an environment can be made.
SUPPORTED_QUEUE_TYPES = frozenset(
    compute_type.queue_type for compute_type in COMPUTE_TYPES.values() if compute_type.ecs
)


def compute_type_named(name: str) -> ComputeType:
    """Return the type of that name.

    NotSupportedError for a name that only later versions of the API's model have.
    """
    if name not in COMPUTE_TYPES:
        raise NotSupportedError(f"A compute environment of type {name}")
    return COMPUTE_TYPES[name]


def compute_type_of(environment: Mapping[str, Any]) -> ComputeType:
    """Return the compute type of an environment that is given by the API's members."""
    if environment["type"] == "UNMANAGED":
        return UNMANAGED
    return compute_type_named(environment["computeResources"]["type"])
