"""Reading the snapshot that a plan is made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.arrays import children_to_dispatch
from chalicelib.core.resources.compute_environment import ComputeEnvironment
from chalicelib.core.resources.platforms import Platform
from chalicelib.core.resources.resource import COMPUTE_ENVIRONMENT, Resource
from chalicelib.core.scheduling.snapshot import Environment, Snapshot
from chalicelib.engine.dispatch.permits import read_permits
from chalicelib.engine.dispatch.scheduling_domain import all_queues, scheduling_domain

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import Clock, HasCatalog, HasJobs, HasLanes, HasSettings

    class ReadSnapshotPorts(Clock, HasCatalog, HasJobs, HasLanes, HasSettings, Protocol):
        """What this module asks of the outside world."""


PLACEMENTS_LIMIT = 90  # children of an array that fit one transaction with their other rows


def read_snapshot(queue_name: str, ports: ReadSnapshotPorts) -> Snapshot:
    """Return the snapshot of the queue's scheduling domain, empty if the queue does not exist.

    Reads each lane with one query; capacities, launch permits and arrays only where a lane has
    ready rows. The lanes come first: a job that is given back for lack of capacity is written after
    the cooling of its environment, so whoever sees the one sees the other.
    """
    queues = scheduling_domain(all_queues(ports), queue_name)
    names = [name for queue in queues for name in queue.environments]
    environments = ports.catalog.find_many(COMPUTE_ENVIRONMENT, names)
    lanes = {
        lane: ports.lanes.heads(lane, PLACEMENTS_LIMIT) for queue in queues for lane in queue.lanes
    }
    arrays = [ready.key for heads in lanes.values() for ready in heads if ready.is_array]
    parents = ports.jobs.find_jobs(arrays) if arrays else {}
    has_work = any(lanes.values())
    return Snapshot(
        queues=queues,
        environments={
            name: environment_from_resource(resource) for name, resource in environments.items()
        },
        capacities=ports.lanes.capacities(names) if has_work else {},
        lanes=lanes,
        # At least 1: the row of an array that has nothing left to dispatch must reach the commit,
        # which deletes it.
        children={key: max(1, children_to_dispatch(parent)) for key, parent in parents.items()},
        permits=read_permits(ports) if has_work else None,
        now_ms=ports.now_ms(),
    )


def environment_from_resource(resource: Resource) -> Environment:
    """Return a compute environment as placement sees it."""
    environment = ComputeEnvironment.from_resource(resource)
    return Environment(
        name=environment.name,
        usable=environment.is_usable,
        limit_cpu_units=environment.limit_cpu_units,
        is_changing=environment.is_changing,
        provisioning_limit=environment.compute_type.provisioning_limit,
        is_spot=environment.is_spot,
        is_on_instances=environment.compute_type.platform is not Platform.FARGATE,
        holds=environment.holds or environment.compute_type.holds,
        runs_nodes=environment.compute_type.runs_nodes,
    )
