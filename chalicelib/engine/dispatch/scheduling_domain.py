"""Scheduling domains: queues that share compute environments and are planned together."""

from chalicelib.core.resources.resource import JOB_QUEUE, Resource
from chalicelib.core.scheduling.snapshot import Queue
from chalicelib.wiring import Ports

# AWS allows 50 queues in an account (AWS Batch service quotas), so one page holds all of them.
QUEUES_LIMIT = 1000


def all_queues(ports: Ports) -> tuple[Queue, ...]:
    """Return every queue of the catalog."""
    page = ports.catalog.list_kind(JOB_QUEUE, limit=QUEUES_LIMIT)
    return tuple(queue_of_resource(resource) for resource in page.resources)


def queue_of_resource(resource: Resource) -> Queue:
    return Queue(
        name=resource.name,
        priority=int(resource.document.get("priority", 0)),
        usable=resource.status in {"VALID", "UPDATING"},
        environments=environments_of(resource),
    )


def environments_of(queue: Resource) -> tuple[str, ...]:
    """Return the names of a queue's compute environments in the order of preference."""
    order = queue.document.get("computeEnvironmentOrder") or []
    entries = sorted(order, key=lambda entry: entry["order"])
    return tuple(str(entry["computeEnvironment"]) for entry in entries)


def scheduling_domain(queues: tuple[Queue, ...], name: str) -> tuple[Queue, ...]:
    """Return the queue of that name and all queues linked to it by shared environments.

    Empty if the queue does not exist. Two queues are linked also through third ones: a plan that
    places a job in an environment must know every queue that is to be served before.
    """
    found = {queue.name for queue in queues if queue.name == name}
    while True:
        shared = {env for queue in queues if queue.name in found for env in queue.environments}
        wider = {queue.name for queue in queues if shared.intersection(queue.environments)} | found
        if wider == found:
            return tuple(queue for queue in queues if queue.name in found)
        found = wider
