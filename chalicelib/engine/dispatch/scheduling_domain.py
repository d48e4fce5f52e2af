"""Scheduling domains: queues that share compute environments and are planned together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.resources.job_queue import JobQueue
from chalicelib.core.resources.resource import JOB_QUEUE, Resource
from chalicelib.core.scheduling.snapshot import Queue

if TYPE_CHECKING:
    from chalicelib.ports import HasCatalog

# AWS allows 50 queues in an account (AWS Batch service quotas), so one page holds all of them.
QUEUES_LIMIT = 1000


def all_queues(ports: HasCatalog) -> tuple[Queue, ...]:
    """Return every queue of the catalog."""
    page = ports.catalog.list_kind(JOB_QUEUE, limit=QUEUES_LIMIT)
    return tuple(queue_from_resource(resource) for resource in page.resources)


def queue_from_resource(resource: Resource) -> Queue:
    """Return a job queue as placement sees it."""
    queue = JobQueue.from_resource(resource)
    return Queue(
        name=queue.name,
        priority=queue.priority,
        usable=queue.is_usable,
        environments=queue.environments,
    )


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
