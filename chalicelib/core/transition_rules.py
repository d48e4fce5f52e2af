"""Steps from which the rules of the lifecycle are built."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from chalicelib.core.decision import Decision, Label
from chalicelib.core.events import Event
from chalicelib.core.job import Job
from chalicelib.core.retry import RetryStrategy
from chalicelib.core.states import JobStatus

Rule = Callable[[Job, Event, RetryStrategy], Decision]

# What changes in a job that no longer waits in its lane for something it cannot have.
NOT_BLOCKED: Mapping[str, None] = {"blocked_why": None, "blocked_since_ms": None}


def unchanged(job: Job, label: Label, sentence: str) -> Decision:
    """Return a decision that writes nothing: it carries the very same job."""
    return Decision(job=job, label=label, sentence=sentence)


def ignore(sentence: str) -> Rule:
    """Return the rule for an event that changes nothing in a job of this status."""

    def rule(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
        return unchanged(job, Label.IGNORED, sentence)

    return rule


def move(job: Job, event: Event, status: JobStatus, **changes: object) -> Job:
    """Return the job in `status` since the event, at its next version.

    A launch that was closed, and the instance that a task had, were of the status that ends here.
    """
    ended = {"launch_closed_at_ms": None, "on_instance": False}
    return job.next_version(status=status, changed_at_ms=event.at_ms, **{**ended, **changes})


def fail(job: Job, event: Event, reason: str, **changes: object) -> Decision:
    """Return the decision that the job has failed for `reason`."""
    stopped_at_ms = event.stopped_at_ms or event.at_ms
    failed = move(
        job,
        event,
        JobStatus.FAILED,
        status_reason=reason,
        **{"stopped_at_ms": stopped_at_ms, "waiting_on": (), **changes},
    )
    return Decision(job=failed, label=Label.FAILED, sentence=reason)


def same_version(job: Job, **changes: object) -> Job:
    """Return the job after a further step of the same decision: one write, so one version."""
    return replace(job, **changes)  # type: ignore[arg-type]


def block(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """Record why the job waits; the time since the same cause was first recorded is kept."""
    if (job.blocked_why, job.status_reason) == (event.label, event.reason):
        return unchanged(job, Label.IGNORED, "the reason is already recorded")
    since_ms = job.blocked_since_ms if job.blocked_why == event.label else event.at_ms
    blocked = job.next_version(
        status_reason=event.reason, blocked_why=event.label, blocked_since_ms=since_ms
    )
    return Decision(job=blocked, label=Label.BLOCKED, sentence=event.reason)
