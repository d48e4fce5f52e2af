"""The rules of jobs that wait for others, and of stops that come before a task does."""

from chalicelib.core.decision import Decision, Label
from chalicelib.core.events import Event, EventKind
from chalicelib.core.job import Job, StopCause
from chalicelib.core.retry import RetryStrategy
from chalicelib.core.states import JobStatus
from chalicelib.core.transition_rules import fail, move, unchanged

DEPENDENCY_REASON = "Dependent Job failed"
UNNEEDED_REASON = "Canceled: it was to run after a failure, and the job it waited for succeeded"


def meet_dependency(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """A dependency is met: the job goes on waiting for the others, or may run."""
    remaining = still_waited_for(job.waiting_on, event)
    if remaining and remaining == job.waiting_on:
        return unchanged(job, Label.IGNORED, "the job does not wait for this dependency")
    if remaining:
        waiting = job.next_version(waiting_on=remaining)
        return Decision(job=waiting, label=Label.WAITING, sentence="other dependencies are open")
    if job.stop_cause is not None:
        # A cancel of a PENDING job is applied once its dependencies are done (API: CancelJob).
        return fail(job, event, job.stop_reason or "")
    released = move(job, event, JobStatus.RUNNABLE, waiting_on=())
    return Decision(job=released, label=Label.RELEASED, sentence="all dependencies are met")


def still_waited_for(numbers: tuple[int, ...], event: Event) -> tuple[int, ...]:
    """Which of these dependencies are open after the event."""
    if event.dependencies is None:
        return ()
    return tuple(number for number in numbers if number not in event.dependencies)


def fail_dependency(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    return fail(job, event, job.stop_reason or DEPENDENCY_REASON)


def drop_unneeded(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """It was to run only after a failure that did not happen: it is cancelled, with that reason."""
    if job.stop_cause is not None:
        return fail(job, event, job.stop_reason or "")
    return fail(
        job, event, UNNEEDED_REASON, stop_cause=StopCause.CANCEL, stop_reason=UNNEEDED_REASON
    )


def stop_at_once(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """The job has no task, so it ends here and now; the first caller's reason is kept."""
    cause = job.stop_cause or cause_of(event)
    reason = job.stop_reason or event.reason
    return fail(job, event, reason, stop_cause=cause, stop_reason=reason)


def store_stop(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """A stop of a PENDING job waits for its dependencies; the first caller's reason is kept."""
    if job.stop_cause is not None:
        return unchanged(job, Label.IGNORED, "a stop has been requested before")
    # TerminateJob of a PENDING job is treated as a cancel (API reference), its flag is its own.
    stored = job.next_version(stop_cause=cause_of(event), stop_reason=event.reason)
    return Decision(job=stored, label=Label.STOP_STORED, sentence="applied after dependencies")


def cause_of(event: Event) -> StopCause:
    return StopCause.CANCEL if event.kind is EventKind.CANCEL else StopCause.TERMINATE
