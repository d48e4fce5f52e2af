"""Everything that a plan is made of, read once."""

from chalicelib.core.arrays import children_to_dispatch
from chalicelib.core.resources.compute_environment import ComputeEnvironment
from chalicelib.core.resources.resource import COMPUTE_ENVIRONMENT, Resource
from chalicelib.core.scheduling.snapshot import Environment, Snapshot
from chalicelib.engine.dispatch.scheduling_domain import all_queues, scheduling_domain
from chalicelib.wiring import Ports

PLACEMENTS_LIMIT = 90  # so many children of an array fit one transaction, with all that is theirs


def read_snapshot(queue_name: str, ports: Ports) -> Snapshot:
    """Everything a plan for this queue and its neighbours is made of."""
    queues = scheduling_domain(all_queues(ports), queue_name)
    names = [name for queue in queues for name in queue.environments]
    environments = ports.catalog.find_many(COMPUTE_ENVIRONMENT, names)
    lanes = {queue.name: ports.lanes.heads(queue.name, PLACEMENTS_LIMIT) for queue in queues}
    arrays = [ready.key for lane in lanes.values() for ready in lane if ready.is_array]
    parents = ports.jobs.find_jobs(arrays) if arrays else {}
    return Snapshot(
        queues=queues,
        environments={
            name: environment_of_resource(resource) for name, resource in environments.items()
        },
        capacities=ports.lanes.capacities(names) if any(lanes.values()) else {},
        lanes=lanes,
        # An array of which all is dispatched but the row says otherwise is looked at like any.
        children={key: max(1, children_to_dispatch(parent)) for key, parent in parents.items()},
    )


def environment_of_resource(resource: Resource) -> Environment:
    """Return a compute environment as placement sees it."""
    environment = ComputeEnvironment.from_resource(resource)
    return Environment(
        name=environment.name,
        usable=environment.is_usable,
        limit_cpu_units=environment.limit_cpu_units,
    )
