"""The end of an attempt, and of a launch that made no task: give back, retry, fail or succeed.

A launch without a task is not the end of its attempt at once: the job goes back to its lane, and is
launched again when what refused it may have passed (`launch_failures.py`).
"""

from dataclasses import replace

from chalicelib.core.decision import Decision, Label
from chalicelib.core.events import Event, EventKind
from chalicelib.core.job import Job, StopCause
from chalicelib.core.launch_failures import (
    TRIES_LIMIT,
    LaunchFailure,
    failures_after,
    hold_seconds,
    hold_sentence,
)
from chalicelib.core.outcome import NO_OUTCOME, outcome_of
from chalicelib.core.retry import RetryAction, RetryStrategy, decide_retry
from chalicelib.core.spot import FREE_LOSSES_LIMIT
from chalicelib.core.states import JobStatus
from chalicelib.core.transition_rules import NOT_BLOCKED, fail, move, same_version

START_FAILURE_REASON = "Task failed to start"


def give_back(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """Return the job to the front of its lane, in the same attempt: its launch made no task.

    Unless it was for lack of capacity, which its environment remembers, the job is held back for a
    while, longer each time. The last of its tries ends the attempt.
    """
    if job.stop_cause is not None:
        return fail(job, event, job.stop_reason or "")
    failure = failure_of(event)
    failures = failures_after(failure, job.failed_launches)
    if failures >= TRIES_LIMIT:
        cause = replace(event, reason=START_FAILURE_REASON, container_reason=event.reason)
        return end_attempt(job, cause, strategy)
    seconds, reason = hold_seconds(failure, failures, job.dispatch_count), event.reason
    if seconds is not None:
        reason = hold_sentence(failure, failures, seconds, event.reason)
    back = move(
        job,
        event,
        JobStatus.RUNNABLE,
        environment=None,
        status_reason=reason or None,
        failed_launches=failures,
        refusal=failure,
        held_until_ms=None if seconds is None else event.at_ms + seconds * 1000,
        probe=False,
    )
    return Decision(job=back, label=Label.GIVEN_BACK, sentence=reason)


def failure_of(event: Event) -> LaunchFailure:
    """Return why a launch that the event reports made no task."""
    if event.kind is EventKind.TASK_LOST:
        return LaunchFailure.LOST
    return event.failure or LaunchFailure.SERVICE


def ends_attempt(job: Job, event: Event) -> bool:
    """Return whether the event may end the job's attempt, so that its retry strategy is needed."""
    if event.kind is EventKind.LAUNCH_REFUSED or (
        event.kind is EventKind.TASK_LOST and job.status is JobStatus.STARTING
    ):
        return failures_after(failure_of(event), job.failed_launches) >= TRIES_LIMIT
    return event.kind in {EventKind.TASK_STOPPED, EventKind.LAUNCH_FAILED, EventKind.TASK_LOST}


def end_attempt(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """End the attempt, whose task stopped, could not start, or no longer exists."""
    stopped_at_ms = event.stopped_at_ms or event.at_ms
    ended = move(
        job,
        event,
        job.status,
        status_reason=event.reason,
        task_arn=event.task_arn or job.task_arn,
        host=job.host or event.host,
        started_at_ms=job.started_at_ms or event.started_at_ms,
        stopped_at_ms=stopped_at_ms,
        failed_launches=0,
        probe=False,
        **NOT_BLOCKED,
        **outcome_of(job, event)._asdict(),
    )
    if ended.exit_code == 0 and not _stopped_by_request(job, stopped_at_ms):
        done = same_version(ended, status=JobStatus.SUCCEEDED, stop_cause=None, stop_reason=None)
        return Decision(job=done, label=Label.SUCCEEDED, sentence=event.reason)
    if job.stop_cause is not None:
        failed = same_version(ended, status=JobStatus.FAILED, status_reason=job.stop_reason)
        return Decision(job=failed, label=Label.FAILED, sentence=job.stop_reason or "")
    return _fail_or_retry(ended, event, strategy)


def _stopped_by_request(job: Job, stopped_at_ms: int) -> bool:
    """Return whether a stop ended the attempt, not a container that ended before its deadline."""
    if job.stop_cause is StopCause.TIMEOUT:
        return job.deadline_ms is None or stopped_at_ms > job.deadline_ms
    return job.stop_cause is not None


def _fail_or_retry(ended: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """Fail the job or make its next attempt, by its retry strategy.

    An attempt that is free is followed by another whatever the strategy says: it is about attempts
    that the job's own program ended.
    """
    ended, is_free = _count_loss(ended, event)
    sentence = "the attempt uses up none of the job's attempts"
    if not is_free:
        verdict = decide_retry(
            strategy,
            ended.attempts_used,
            status_reason=event.reason,
            reason=ended.container_reason,
            exit_code=ended.exit_code,
        )
        sentence = verdict.sentence
        if verdict.action is RetryAction.EXIT:
            failed = same_version(ended, status=JobStatus.FAILED)
            return Decision(job=failed, label=Label.FAILED, sentence=sentence)
    again = same_version(
        ended,
        status=JobStatus.RUNNABLE,
        history=(*ended.history, ended.last_attempt()),
        attempt=ended.attempt + 1,
        free_attempts=ended.free_attempts + int(is_free),
        dispatch_count=0,
        environment=None,
        task_arn=None,
        host=None,
        started_at_ms=None,
        stopped_at_ms=None,
        **NO_OUTCOME._asdict(),
    )
    return Decision(job=again, label=Label.RETRIED, sentence=sentence)


def _count_loss(ended: Job, event: Event) -> tuple[Job, bool]:
    """Return the job with the attempt counted if it was a Spot loss, and whether it is free."""
    policy, is_free = event.spot_policy, event.is_free
    if policy is not None:
        losses = ended.spot_losses + 1
        is_free = is_free or policy.losses_are_free
        ended = same_version(
            ended,
            spot_losses=losses,
            avoids_spot=ended.avoids_spot or losses >= policy.losses_before_on_demand,
        )
    return ended, is_free and ended.free_attempts < FREE_LOSSES_LIMIT
