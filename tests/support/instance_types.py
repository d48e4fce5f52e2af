"""Real EC2 instance types, from the data that moto ships."""

from functools import cache
from typing import Any

from moto.ec2.models.instance_types import INSTANCE_TYPES

from chalicelib.core.instances.instance_types import InstanceType, instance_type_from, resolve


def described(name: str) -> dict[str, Any]:
    """Return the type as DescribeInstanceTypes shows it."""
    shown: dict[str, Any] = INSTANCE_TYPES[name]
    return shown


@cache
def all_types() -> tuple[InstanceType, ...]:
    """Return all types that ECS can use."""
    found = (instance_type_from(one) for one in INSTANCE_TYPES.values())
    return tuple(one for one in found if one is not None)


def types_of(*names: str) -> tuple[InstanceType, ...]:
    """Return the types that this `instanceTypes` stands for."""
    return resolve(names, all_types())
