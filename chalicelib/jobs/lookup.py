"""Lookup of what a request names: a job, a queue or a job definition, by name, id or ARN."""

from collections.abc import Sequence

from chalicelib.core.errors import ClientError
from chalicelib.core.ids import JobKey
from chalicelib.core.job import Job
from chalicelib.core.resources.job_definition import (
    JobDefinition,
    no_such_definition,
    parse_reference,
    row_name,
)
from chalicelib.core.resources.job_queue import JobQueue
from chalicelib.core.resources.resource import JOB_DEFINITION, JOB_QUEUE, Resource
from chalicelib.jobs.caller import Call


def job_key_in(reference: str, call: Call) -> JobKey | None:
    """Return the key of the job in an id or an ARN; None for what cannot be one."""
    public_id = call.ports.settings.scope.name_in(reference, "job")
    return JobKey.parse(public_id) if public_id else None


def is_visible(job: Job, call: Call) -> bool:
    """Return whether the call may see the job; one that it may not looks as if it did not exist."""
    return call.queue is None or job.queue == call.queue


def find_queue(reference: str, call: Call) -> JobQueue:
    """Return the queue of that name or ARN; ClientError if there is none, or none for this call."""
    name = call.ports.settings.scope.name_in(reference, JOB_QUEUE)
    is_other = call.queue is not None and name != call.queue
    found = call.definitions.find(JOB_QUEUE, name) if name and not is_other else None
    if found is None:
        raise ClientError(f"JobQueue {reference} not found.", bare=True)
    return JobQueue.from_resource(found)


def find_definition(reference: str, call: Call) -> JobDefinition:
    """Return the definition to submit with: the revision named, or the newest ACTIVE one."""
    name, revision = parse_reference(reference, call.ports.settings.scope)
    if revision is not None:
        found = call.definitions.find(JOB_DEFINITION, row_name(name, revision))
        candidates: Sequence[Resource] = [found] if found is not None and found.active else []
    else:
        candidates = call.definitions.newest(name, active_only=True)
    if not candidates:
        raise no_such_definition(reference)
    return JobDefinition.from_resource(candidates[0])
