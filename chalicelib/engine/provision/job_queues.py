"""Provision job queues: nothing is made for one, and its jobs are terminated before it goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chalicelib.core.events import EventKind
from chalicelib.core.ids import JobKey
from chalicelib.core.resources.job_queue import JobQueue
from chalicelib.core.resources.resource import Resource
from chalicelib.core.states import TERMINAL, JobStatus
from chalicelib.engine.dispatch.scheduling_domain import queue_from_resource
from chalicelib.engine.provision.common import ChangedMeanwhileError, Step
from chalicelib.jobs.stop import stop_job

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import Clock, HasCatalog, HasJobs, HasLanes

    class DrainPorts(Clock, HasCatalog, HasJobs, HasLanes, Protocol):
        """What this module asks of the outside world."""


DELETED_REASON = "JobQueue deleted"
DRAIN_PAGE = 100  # jobs of each status that one drain step stops


def drain(resource: Resource, ports: DrainPorts) -> dict[str, Any]:
    """Terminate a page of the queue's jobs; return how many it found that had not ended."""
    if resource.status != "DELETING":
        return {"remaining": 0}  # a new queue of the same name keeps its jobs
    # The lane is read strongly: it has a job of a moment ago before the index shows the job.
    lanes = queue_from_resource(resource).lanes
    found = {ready.job_id for lane in lanes for ready in ports.lanes.heads(lane, DRAIN_PAGE)}
    for status in JobStatus:
        if status not in TERMINAL:
            jobs = ports.jobs.list_oldest(resource.name, status, limit=DRAIN_PAGE)
            found |= {job.job_id for job in jobs}
    for job_id in sorted(found):
        stop_job(JobKey(job_id), EventKind.DISCARD, DELETED_REASON, ports)
    return {"remaining": len(found)}


def remove_queue(resource: Resource, ports: HasCatalog) -> None:
    """Remove the row of a queue that is DELETING, and its count from its environments."""
    if resource.status != "DELETING":
        return
    # Closes the race with an update: the environments are those of the row that was read.
    environments = JobQueue.from_resource(resource).environments
    if not ports.catalog.remove_linked(resource, unlink=environments):
        raise ChangedMeanwhileError(resource.name)


STEPS: Mapping[str, Step] = {"drain": drain, "remove": remove_queue}
