"""Launches that made no task: given back, held back, and failed after five tries."""

from collections.abc import Sequence

import pytest

from chalicelib.core.attempt_ends import ends_attempt
from chalicelib.core.decision import Decision
from chalicelib.core.events import EventKind
from chalicelib.core.job import Job
from chalicelib.core.launch_failures import LaunchFailure
from chalicelib.core.lifecycle import decide
from chalicelib.core.retry import RetryStrategy
from chalicelib.core.states import JobStatus
from tests.support.values import NOW_MS, a_job, an_event

S, E, F = JobStatus, EventKind, LaunchFailure
AT_MS = NOW_MS + 1000  # the time of these tests' events


def refused(job: Job, failure: LaunchFailure, reason: str = "ECS said so.") -> Decision:
    kind = E.TASK_LOST if failure is F.LOST else E.LAUNCH_REFUSED
    known = None if failure is F.LOST else failure
    return decide(job, an_event(kind, of=job, reason=reason, failure=known))


def placed_again(job: Job) -> Job:
    return decide(job, an_event(E.DISPATCHED, environment="fargate")).job


def after(failures: Sequence[LaunchFailure], job: Job | None = None) -> Job:
    """Return the job after launches that ended like this, placed again after each but the last."""
    job = job or a_job(S.STARTING)
    for number, failure in enumerate(failures):
        job = refused(placed_again(job) if number else job, failure).job
    return job


@pytest.mark.parametrize("failure", [F.SERVICE, F.LOST])
def test_the_fifth_launch_without_a_task_fails_the_attempt_with_the_last_error(
    failure: LaunchFailure,
) -> None:
    fourth = after([failure] * 4)
    assert (fourth.status, fourth.failed_launches, fourth.attempt) == (S.RUNNABLE, 4, 1)

    ended = refused(placed_again(fourth), failure, "the last error").job

    assert (ended.status, ended.status_reason) == (S.FAILED, "Task failed to start")
    (attempt,) = ended.attempts
    assert attempt.container_reason == "the last error"


def test_the_next_attempt_has_five_tries_of_its_own() -> None:
    fourth = placed_again(after([F.LOST] * 4, a_job(S.STARTING, attempts_limit=2)))
    event = an_event(E.TASK_LOST, of=fourth, reason="none")
    again = decide(fourth, event, RetryStrategy(attempts=2)).job
    assert (again.status, again.attempt, again.failed_launches) == (S.RUNNABLE, 2, 0)
    assert again.held_until_ms is None
    assert after([F.LOST] * 4, placed_again(again)).status is S.RUNNABLE


@pytest.mark.parametrize("failure", [F.CAPACITY, F.RATE])
def test_what_passes_by_itself_never_fails_the_attempt(failure: LaunchFailure) -> None:
    job = after([failure] * 50)
    assert (job.status, job.failed_launches, job.dispatch_count) == (S.RUNNABLE, 0, 50)


def test_capacity_that_was_missing_in_between_does_not_start_the_count_anew() -> None:
    job = after([F.LOST, F.CAPACITY, F.SERVICE, F.RATE, F.LOST, F.CAPACITY, F.LOST])
    assert job.failed_launches == 4
    assert refused(placed_again(job), F.LOST).job.status is S.FAILED


def test_a_job_that_is_held_back_says_what_for_and_how_long() -> None:
    once, twice = after([F.LOST]), after([F.LOST, F.SERVICE])
    assert once.held_until_ms == AT_MS + 10_000
    assert once.status_reason == (
        "Launch 1 of 5 made no task: ECS said so. The job is launched again in 10 seconds."
    )
    assert twice.held_until_ms == AT_MS + 20_000
    assert "Launch 2 of 5" in (twice.status_reason or "")
    throttled = after([F.RATE])
    assert throttled.held_until_ms == AT_MS + 10_000
    assert throttled.status_reason == (
        "The launch was throttled: ECS said so. The job is launched again in 10 seconds."
    )


def test_a_job_without_capacity_is_not_held_back_since_another_environment_may_take_it() -> None:
    job = after([F.CAPACITY])
    assert (job.held_until_ms, job.status_reason) == (None, "ECS said so.")
    assert job.refusal is F.CAPACITY


def test_a_job_that_is_placed_again_is_held_back_no_more() -> None:
    again = placed_again(after([F.LOST]))
    assert (again.held_until_ms, again.refusal, again.status_reason) == (None, None, None)
    assert again.failed_launches == 1
    assert decide(again, an_event(E.TASK_RUNNING, of=again)).job.failed_launches == 0


def test_a_probe_keeps_the_time_since_which_its_job_waits_for_capacity() -> None:
    """A jobStateTimeLimitAction counts from it, and probes come more often than it takes."""
    waiting = a_job(blocked_why="CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", blocked_since_ms=5)
    event = an_event(E.DISPATCHED, environment="fargate", probe=True)
    probe = decide(waiting, event).job
    assert (probe.probe, probe.blocked_since_ms, probe.status_reason) == (True, 5, None)
    back = refused(probe, F.CAPACITY).job
    assert (back.probe, back.blocked_since_ms) == (False, 5)
    runs = decide(probe, an_event(E.TASK_RUNNING, of=probe)).job
    assert (runs.probe, runs.blocked_why, runs.blocked_since_ms) == (False, None, None)
    assert placed_again(waiting).blocked_since_ms is None, "any other launch ends the wait"


@pytest.mark.parametrize(
    ("kind", "failure", "failures", "ends"),
    [
        (E.LAUNCH_REFUSED, F.SERVICE, 3, False),
        (E.LAUNCH_REFUSED, F.SERVICE, 4, True),
        (E.LAUNCH_REFUSED, F.RATE, 4, False),
        (E.TASK_LOST, None, 3, False),
        (E.TASK_LOST, None, 4, True),
        (E.LAUNCH_FAILED, None, 0, True),
        (E.TASK_STOPPED, None, 0, True),
        (E.TASK_RUNNING, None, 4, False),
    ],
)
def test_the_retry_strategy_is_read_only_where_the_attempt_may_end(
    kind: EventKind, failure: LaunchFailure | None, failures: int, ends: bool
) -> None:
    job = a_job(S.STARTING, failed_launches=failures)
    assert ends_attempt(job, an_event(kind, of=job, failure=failure)) is ends
    assert ends_attempt(a_job(S.RUNNING), an_event(E.TASK_LOST))
