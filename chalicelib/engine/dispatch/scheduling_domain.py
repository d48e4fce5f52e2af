"""Which queues share compute environments: they must be planned, and woken, together."""

from chalicelib.core.resources.job_queue import JobQueue
from chalicelib.core.resources.resource import JOB_QUEUE, Resource
from chalicelib.core.scheduling.snapshot import Queue
from chalicelib.wiring import Ports

# AWS allows 50 queues in an account (its quotas page); the page is read whole.
QUEUES_LIMIT = 1000


def all_queues(ports: Ports) -> tuple[Queue, ...]:
    """Every queue of the catalog as placement sees it."""
    page = ports.catalog.list_kind(JOB_QUEUE, limit=QUEUES_LIMIT)
    return tuple(queue_of_resource(resource) for resource in page.resources)


def queue_of_resource(resource: Resource) -> Queue:
    """Return a job queue as placement sees it."""
    queue = JobQueue.from_resource(resource)
    return Queue(
        name=queue.name,
        priority=queue.priority,
        usable=queue.is_usable,
        environments=queue.environments,
    )


def scheduling_domain(queues: tuple[Queue, ...], name: str) -> tuple[Queue, ...]:
    """The queue of that name and all that share an environment with it, or with one that does.

    Nothing if the queue is gone. The relation is followed to its end: a plan that places a job on
    an environment must know of every queue that has a higher claim to it.
    """
    found = {queue.name for queue in queues if queue.name == name}
    while True:
        shared = {env for queue in queues if queue.name in found for env in queue.environments}
        wider = {queue.name for queue in queues if shared.intersection(queue.environments)} | found
        if wider == found:
            return tuple(queue for queue in queues if queue.name in found)
        found = wider
