"""Values for tests of pure functions: jobs in any status, and events."""

from dataclasses import replace
from typing import Any

from chalicelib.core.events import Event, EventKind
from chalicelib.core.ids import Fence
from chalicelib.core.job import Job
from chalicelib.core.states import PLACED, TERMINAL, JobStatus

JOB_ID = "0000000a-0000-4000-8000-000000000000"
TASK_ARN = "arn:aws:ecs:us-east-1:123456789012:task/yard_fargate/00000000000000000000000000000001"
NOW_MS = 1_800_000_000_000


def a_job(status: JobStatus = JobStatus.RUNNABLE, **changes: Any) -> Job:
    """Return a job of one vCPU in that status, with `changes`."""
    job = Job(
        job_id=JOB_ID,
        name="job",
        queue="queue",
        definition="work:1",
        status=status,
        cpu_units=1024,
        memory_mib=2048,
        created_at_ms=NOW_MS,
        changed_at_ms=NOW_MS,
    )
    if status in PLACED | TERMINAL:
        job = replace(job, dispatch_count=1, environment="fargate")
    if status is JobStatus.RUNNING or status in TERMINAL:
        job = replace(job, task_arn=TASK_ARN, started_at_ms=NOW_MS)
    if status in TERMINAL:
        job = replace(job, stopped_at_ms=NOW_MS)
    return replace(job, **changes)


def an_event(kind: EventKind, *, of: Job | None = None, **members: Any) -> Event:
    """Return an event a second after NOW_MS; with `of` it reports about that job's placement.

    The task that it reports about is TASK_ARN unless `members` name another.
    """
    fence: Fence | None = of.fence if of else None
    if kind in {EventKind.TASK_RUNNING, EventKind.TASK_STOPPED}:
        members = {"task_arn": TASK_ARN, **members}
    return Event(**{"kind": kind, "at_ms": NOW_MS + 1000, "fence": fence, **members})
