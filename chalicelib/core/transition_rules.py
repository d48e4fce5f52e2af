"""What the rules of the lifecycle are made of: steps that several of them take."""

from collections.abc import Callable
from dataclasses import replace

from chalicelib.core.decision import Decision, Label
from chalicelib.core.events import Event
from chalicelib.core.job import Job
from chalicelib.core.retry import RetryStrategy
from chalicelib.core.states import JobStatus

Rule = Callable[[Job, Event, RetryStrategy], Decision]


def unchanged(job: Job, label: Label, sentence: str) -> Decision:
    """Nothing is written: the decision carries the very same job."""
    return Decision(job=job, label=label, sentence=sentence)


def ignore(sentence: str) -> Rule:
    """The rule of an event that does nothing to a job in this status."""

    def rule(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
        return unchanged(job, Label.IGNORED, sentence)

    return rule


def move(job: Job, event: Event, status: JobStatus, **changes: object) -> Job:
    """The job in `status` since the event, at its next version."""
    return job.next_version(status=status, changed_at_ms=event.at_ms, **changes)


def fail(job: Job, event: Event, reason: str, **changes: object) -> Decision:
    """The job has failed for `reason`."""
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
    """A further step inside one decision: one write, so one version."""
    return replace(job, **changes)  # type: ignore[arg-type]


def block(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """Tell the user why the job waits; the time it has waited for one cause goes on counting."""
    if (job.blocked_why, job.status_reason) == (event.label, event.reason):
        return unchanged(job, Label.IGNORED, "the reason is known")
    since_ms = job.blocked_since_ms if job.blocked_why == event.label else event.at_ms
    blocked = job.next_version(
        status_reason=event.reason, blocked_why=event.label, blocked_since_ms=since_ms
    )
    return Decision(job=blocked, label=Label.BLOCKED, sentence=event.reason)
