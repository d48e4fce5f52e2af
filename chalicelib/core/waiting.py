"""The rules for jobs that wait for other jobs, and for stops before a job has a task."""

from chalicelib.core.decision import Decision, Label
from chalicelib.core.events import Event, EventKind
from chalicelib.core.job import Job, StopCause
from chalicelib.core.retry import RetryStrategy
from chalicelib.core.states import JobStatus
from chalicelib.core.transition_rules import fail, move, unchanged

DEPENDENCY_REASON = "Dependent Job failed"
UNNEEDED_REASON = (
    "The job was canceled: it runs only if the job that it depends on fails, and that job succeeded"
)


def meet_dependency(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """Record a met dependency; the job waits for the others, or becomes RUNNABLE after the last."""
    remaining = still_waited_for(job.waiting_on, event)
    if remaining and remaining == job.waiting_on:
        return unchanged(job, Label.IGNORED, "the job does not wait for this dependency")
    if remaining:
        waiting = job.next_version(waiting_on=remaining)
        return Decision(job=waiting, label=Label.WAITING, sentence="other dependencies are open")
    if job.stop_cause is not None:
        # A PENDING job is cancelled once its dependencies are met (API reference, CancelJob).
        return fail(job, event, job.stop_reason or "")
    released = move(job, event, JobStatus.RUNNABLE, waiting_on=())
    return Decision(job=released, label=Label.RELEASED, sentence="all dependencies are met")


def still_waited_for(numbers: tuple[int, ...], event: Event) -> tuple[int, ...]:
    """Return which of these dependencies are open after the event."""
    if event.dependencies is None:
        return ()
    return tuple(number for number in numbers if number not in event.dependencies)


def fail_dependency(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """Fail the job, since a job that it depends on failed."""
    return fail(job, event, job.stop_reason or DEPENDENCY_REASON)


def drop_unneeded(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """Cancel a job that runs only after a failure, since the job it depends on succeeded."""
    if job.stop_cause is not None:
        return fail(job, event, job.stop_reason or "")
    return fail(
        job, event, UNNEEDED_REASON, stop_cause=StopCause.CANCEL, stop_reason=UNNEEDED_REASON
    )


def stop_at_once(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """End the job now, since it has no task; the first caller's reason is kept."""
    cause = job.stop_cause or cause_of(event)
    reason = job.stop_reason or event.reason
    return fail(job, event, reason, stop_cause=cause, stop_reason=reason)


def store_stop(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """Record a stop of a PENDING job, applied after its dependencies; the first reason is kept."""
    if job.stop_cause is not None:
        return unchanged(job, Label.IGNORED, "a stop was requested before")
    # TerminateJob treats a PENDING job as CancelJob does (API reference), but sets its own flag.
    stored = job.next_version(stop_cause=cause_of(event), stop_reason=event.reason)
    return Decision(job=stored, label=Label.STOP_STORED, sentence="applied after dependencies")


def cause_of(event: Event) -> StopCause:
    """Return the cause that a stop request records."""
    return StopCause.CANCEL if event.kind is EventKind.CANCEL else StopCause.TERMINATE
