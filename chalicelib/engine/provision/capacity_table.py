"""The table of capacity: what each compute type does in the machine's steps for it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from chalicelib.core.resources.compute_environment import ComputeEnvironment
from chalicelib.core.resources.resource import Resource
from chalicelib.engine.provision.capacity import CapacitySteps
from chalicelib.engine.provision.groups import drain_groups, make_groups, remove_groups
from chalicelib.engine.provision.managed_instances import (
    drain_managed,
    make_managed,
    remove_managed,
)

if TYPE_CHECKING:
    from chalicelib.ports import AllPorts

_NONE = CapacitySteps()
# By the name of the compute type. AWS or their owner has the capacity of the other types ready.
CAPACITY: Mapping[str, CapacitySteps] = {
    "EC2": CapacitySteps(
        make=partial(make_groups, is_spot=False), drain=drain_groups, remove=remove_groups
    ),
    "SPOT": CapacitySteps(
        make=partial(make_groups, is_spot=True), drain=drain_groups, remove=remove_groups
    ),
    "ECS_MANAGED_INSTANCES": CapacitySteps(
        make=make_managed, drain=drain_managed, remove=remove_managed
    ),
}


def make_capacity(resource: Resource, ports: AllPorts) -> None:
    """Run the step `make` of the environment's compute type."""
    _steps_of(resource).make(resource, ports)


def drain_capacity(resource: Resource, ports: AllPorts) -> None:
    """Run the step `drain` of the environment's compute type."""
    _steps_of(resource).drain(resource, ports)


def remove_capacity(resource: Resource, ports: AllPorts) -> None:
    """Run the step `remove` of the environment's compute type."""
    _steps_of(resource).remove(resource, ports)


def _steps_of(resource: Resource) -> CapacitySteps:
    compute_type = ComputeEnvironment.from_resource(resource).compute_type
    return CAPACITY.get(compute_type.name, _NONE)
