"""What is told to the outside of a job's row having changed: its statuses, and why it waits.

Pure, and a part of `consequences.py`. A status that was passed inside one write, or before there
was a row to write, is told all the same, in its order; what is told is the job as it was then.
"""

from dataclasses import dataclass, replace

from chalicelib.core.job import Job
from chalicelib.core.states import JobStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """Tell EventBridge that the job reached `job.status`."""

    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishBlocked:
    """Tell EventBridge that the job is the head of its queue and cannot be placed."""

    job: Job


Publication = Publish | PublishBlocked


def states_of(old: Job | None, new: Job) -> tuple[Publish, ...]:
    """The statuses that the job or child reached in this write.

    Nodes publish nothing: their changes are those of their job, which is its main node.
    """
    if old is not None and old.status is new.status:
        return ()
    passed = _passed_runnable(old, new) or _passed_running(old, new)
    return (*((Publish(job=passed),) if passed else ()), Publish(job=new))


def blocks_of(old: Job | None, new: Job) -> tuple[PublishBlocked, ...]:
    """The block that this write tells of, if its cause is another than before.

    An array waits for the next of its children, so it is told of as RUNNABLE like any other head,
    whatever its row's status.
    """
    known = old.blocked_why if old is not None else None
    if new.blocked_why is None or new.blocked_why == known:
        return ()
    return (PublishBlocked(job=replace(new, status=JobStatus.RUNNABLE)),)


def _passed_runnable(old: Job | None, new: Job) -> Job | None:
    """The child as it was RUNNABLE, when it got its row only as it was dispatched.

    When it became so is on no record; its row's time is the first at which it is known to be.
    """
    if old is not None or not new.key.is_child or new.status is not JobStatus.STARTING:
        return None
    return replace(new, status=JobStatus.RUNNABLE, environment=None, dispatch_count=0)


def _passed_running(old: Job | None, new: Job) -> Job | None:
    """The job as it was RUNNING, when its start and end were reported together in one write."""
    if old is None or old.status is not JobStatus.STARTING:
        return None
    ended = new.is_terminal or new.attempt > old.attempt
    attempt = new.history[-1] if new.attempt > old.attempt else new.last_attempt()
    if not ended or attempt.started_at_ms is None:
        return None
    return old.running_image(attempt)
