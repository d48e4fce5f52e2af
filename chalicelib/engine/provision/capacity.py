"""What is made, beside its ECS cluster, for an environment that buys instances.

The table of `capacity_table.py` has the steps of each compute type whose `ecs.makes_capacity` is
set; a type that is not in it makes nothing. The machine runs them in this order:

    make_cluster, `make`, attach_providers, accept
    `drain`, detach_providers, `remove`, remove_cluster, remove

Each takes the environment's row as it is now and may run any number of times: it describes first
and changes what differs. While AWS carries something out it raises PassingError with the sentence
that the row's statusReason then shows, and the machine runs it again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chalicelib.core.resources.compute_environment import ComputeEnvironment
from chalicelib.core.resources.resource import Resource
from chalicelib.engine.provision.common import ChangedMeanwhileError
from chalicelib.ports import PassingError

if TYPE_CHECKING:
    from chalicelib.core.task_size import TaskSize
    from chalicelib.ports import AllPorts, HasCatalog, HasEcs

CapacityStep = Callable[[Resource, "AllPorts"], None]


def nothing(resource: Resource, ports: AllPorts) -> None:
    """Do nothing: the step of a type that needs none here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacitySteps:
    """The steps of one compute type.

    `make` creates or changes what scales its instances, and writes `holds` and `made` of the row by
    `remember`. `drain` stops scaling out and waits until no task is left. `remove` deletes what
    `make` made, and waits until no instance is left.
    """

    make: CapacityStep = nothing
    drain: CapacityStep = nothing
    remove: CapacityStep = nothing


def remember(
    resource: Resource,
    ports: HasCatalog,
    *,
    holds: Sequence[TaskSize] | None = None,
    made: Mapping[str, Any] | None = None,
) -> Resource:
    """Write what provisioning found out into the row, if it differs; return the row as it then is.

    None leaves a member as it is. Raises ChangedMeanwhileError if the row changed after it was
    read, upon which the machine runs the step again.
    """
    environment = ComputeEnvironment.from_resource(resource)
    changed = environment.provisioned(holds=holds, made=made)
    if changed == environment:
        return resource
    written = changed.to_resource()
    # Closes the race with an update or a deletion: what was found out is of the row that was read.
    if not ports.catalog.put(written, replacing=resource):
        raise ChangedMeanwhileError(resource.name)
    return written


def require_no_tasks(cluster: str, ports: HasEcs) -> None:
    """Raise PassingError while tasks run in the cluster."""
    tasks = ports.ecs.list_tasks(cluster)
    if tasks:
        raise PassingError(f"tasks that still run in the cluster {cluster}: {len(tasks)}")
