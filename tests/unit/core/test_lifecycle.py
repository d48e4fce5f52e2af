"""The lifecycle: the table as a whole, then each rule."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.core.decision import Decision, Label
from chalicelib.core.events import Event, EventKind
from chalicelib.core.ids import Fence
from chalicelib.core.job import Job, StopCause
from chalicelib.core.lifecycle import TIMEOUT_REASON, TRANSITIONS, decide
from chalicelib.core.retry import ExitRule, RetryAction, RetryStrategy
from chalicelib.core.states import PLACED, TERMINAL, JobStatus
from chalicelib.core.waiting import DEPENDENCY_REASON
from tests.support.values import NOW_MS, TASK_ARN, a_job, an_event

OTHER_TASK = f"{TASK_ARN[:-1]}2"
S, E = JobStatus, EventKind

# What may differ between two jobs in one status, as far as a rule looks at it.
VARIANTS: tuple[dict[str, Any], ...] = (
    {},
    {"timeout_seconds": 60},
    {"attempts_limit": 3},
    {"attempts_limit": 3, "attempt": 3},
    {"stop_cause": StopCause.TERMINATE, "stop_reason": "enough"},
    {"stop_cause": StopCause.TIMEOUT, "stop_reason": TIMEOUT_REASON, "timeout_seconds": 60},
    {"stop_cause": StopCause.CANCEL, "stop_reason": "no more"},
    {"waiting_on": (0, 1)},
)
EVENTS: tuple[dict[str, Any], ...] = (
    {},
    {"exit_code": 0, "reason": "Essential container in task exited"},
    {"exit_code": 1, "reason": "Essential container in task exited"},
    {"at_ms": NOW_MS + 3_600_000, "task_arn": OTHER_TASK},
    {"dependencies": frozenset({1})},
)


def fences_of(job: Job) -> list[Fence | None]:
    """Return no fencing token, the job's own, an earlier placement's and a later attempt's."""
    earlier = replace(job.fence, dispatch_count=job.dispatch_count - 1)
    return [None, job.fence, earlier, replace(job.fence, attempt=job.attempt + 1)]


def product() -> list[tuple[Job, Event]]:
    """Return every status and kind of event, in every variant."""
    found = []
    for status, variant in itertools.product(S, VARIANTS):
        job = a_job(status, **variant)
        for kind, members, fence in itertools.product(E, EVENTS, fences_of(job)):
            found.append((job, replace(an_event(kind, **members), fence=fence)))
    return found


PRODUCT = product()


def test_every_pair_of_status_and_event_has_a_rule() -> None:
    assert set(TRANSITIONS) == set(itertools.product(S, E))


def test_every_decision_is_one_write_or_none_and_says_why() -> None:
    for job, event in PRODUCT:
        decision = decide(job, event)
        assert decision.sentence or decision.job is not job, (job, event)
        if decision.job is not job:
            assert decision.job.version == job.version + 1, (job, event)


def test_deciding_twice_on_one_fact_changes_nothing_the_second_time() -> None:
    for job, event in PRODUCT:
        after = decide(job, event).job
        assert decide(after, event).job is after, (job, event)


def test_a_job_that_has_ended_stays_as_it_is() -> None:
    for job, event in PRODUCT:
        if job.status in TERMINAL:
            assert decide(job, event).job is job, (job, event)


def test_a_report_of_another_placement_is_never_applied() -> None:
    for job, event in PRODUCT:
        if event.fence not in {None, job.fence}:
            decision = decide(job, event)
            assert decision.job is job
            assert decision.label in {Label.STALE, Label.ORPHAN_TASK}


def test_a_terminal_job_knows_when_it_stopped_and_no_other_does() -> None:
    for job, event in PRODUCT:
        after = decide(job, event).job
        assert (after.stopped_at_ms is not None) == after.is_terminal, (job, event)


def test_only_a_placed_job_has_an_environment() -> None:
    for job, event in PRODUCT:
        after = decide(job, event).job
        if after is not job and not after.is_terminal:
            assert (after.environment is not None or event.kind is E.DISPATCHED) == (
                after.status in PLACED
            ), (job, event)


def test_every_label_is_produced() -> None:
    of_arrays = {Label.CLOSED}
    assert {decide(job, event).label for job, event in PRODUCT} == set(Label) - of_arrays


def decided(job: Job, kind: EventKind, **members: object) -> Decision:
    fenced = {E.TASK_RUNNING, E.TASK_STOPPED, E.TASK_LOST, E.DEADLINE} | {
        E.LAUNCH_FAILED,
        E.LAUNCH_REFUSED,
    }
    return decide(job, an_event(kind, of=job if kind in fenced else None, **members))


@pytest.mark.parametrize("kind", [E.CANCEL, E.TERMINATE])
@pytest.mark.parametrize("status", [S.SUBMITTED, S.RUNNABLE])
def test_a_stop_before_placement_ends_the_job_at_once(kind: EventKind, status: JobStatus) -> None:
    job = decided(a_job(status, attempts_limit=5), kind, reason="enough").job
    assert (job.status, job.status_reason, job.attempts) == (S.FAILED, "enough", ())
    assert job.stop_cause == StopCause(kind.value)


@pytest.mark.parametrize("kind", [E.CANCEL, E.TERMINATE])
def test_a_stop_of_a_pending_job_waits_for_its_dependencies(kind: EventKind) -> None:
    stored = decided(a_job(S.PENDING), kind, reason="enough")
    assert (stored.label, stored.job.status) == (Label.STOP_STORED, S.PENDING)
    assert decided(stored.job, kind, reason="again").job.stop_reason == "enough"
    for end in (E.DEPENDENCY_MET, E.DEPENDENCY_FAILED):
        job = decided(stored.job, end).job
        assert (job.status, job.status_reason) == (S.FAILED, "enough")


def test_a_pending_job_goes_with_its_dependencies() -> None:
    assert decided(a_job(S.PENDING), E.DEPENDENCY_MET).job.status is S.RUNNABLE
    failed = decided(a_job(S.PENDING), E.DEPENDENCY_FAILED).job
    assert (failed.status, failed.status_reason) == (S.FAILED, DEPENDENCY_REASON)


@pytest.mark.parametrize("status", sorted(PLACED))
def test_a_cancel_leaves_a_placed_job_alone(status: JobStatus) -> None:
    job = a_job(status)
    assert decided(job, E.CANCEL, reason="enough").job is job


@pytest.mark.parametrize("status", sorted(PLACED))
def test_a_terminate_of_a_placed_job_is_final_whatever_its_retries(status: JobStatus) -> None:
    stopping = decided(a_job(status, attempts_limit=3), E.TERMINATE, reason="enough")
    assert (stopping.label, stopping.job.status) == (Label.STOPPING, status)
    ended = decided(stopping.job, E.TASK_STOPPED, exit_code=143, reason="by user").job
    assert (ended.status, ended.status_reason, ended.exit_code) == (S.FAILED, "enough", 143)


def test_a_job_terminated_while_starting_is_stopped_when_its_task_runs() -> None:
    stopping = decided(a_job(S.STARTING), E.TERMINATE, reason="enough").job
    started = decided(stopping, E.TASK_RUNNING).job
    assert (started.status, started.stop_cause) == (S.RUNNING, StopCause.TERMINATE)


@pytest.mark.parametrize("kind", [E.LAUNCH_REFUSED, E.TASK_LOST])
def test_a_launch_that_comes_to_nothing_ends_a_job_that_was_terminated(kind: EventKind) -> None:
    stopping = decided(a_job(S.STARTING), E.TERMINATE, reason="enough").job
    job = decided(stopping, kind, reason="RESOURCE:CPU").job
    assert (job.status, job.status_reason, job.attempts) == (S.FAILED, "enough", ())


@pytest.mark.parametrize("kind", [E.LAUNCH_REFUSED, E.TASK_LOST])
def test_a_launch_that_comes_to_nothing_costs_no_attempt(kind: EventKind) -> None:
    back = decided(a_job(S.STARTING), kind, reason="RESOURCE:CPU")
    assert (back.label, back.job.status, back.job.attempt) == (Label.GIVEN_BACK, S.RUNNABLE, 1)
    assert back.job.is_retry
    again = decided(back.job, E.DISPATCHED, environment="other").job
    assert (again.attempt, again.dispatch_count, again.environment) == (1, 2, "other")


def test_a_task_of_a_placement_that_was_given_back_is_an_orphan() -> None:
    back = decided(a_job(S.STARTING), E.TASK_LOST, reason="none was started").job
    late = an_event(E.TASK_RUNNING, of=back)
    assert decide(back, late).label is Label.ORPHAN_TASK
    again = decided(back, E.DISPATCHED, environment="fargate").job
    assert decide(again, late).label is Label.ORPHAN_TASK


def test_a_late_report_of_a_known_task_is_no_orphan() -> None:
    job = a_job(S.RUNNING, attempts_limit=2)
    again = decided(job, E.TASK_STOPPED, exit_code=1, reason="exited").job
    assert decide(again, an_event(E.TASK_RUNNING, of=job)).label is Label.STALE
    ended = decided(a_job(S.RUNNING), E.TASK_STOPPED, exit_code=0, reason="exited").job
    assert decide(ended, an_event(E.TASK_RUNNING, of=job)).label is Label.IGNORED


def test_a_failed_attempt_is_kept_and_the_next_one_begins_clean() -> None:
    job = a_job(S.RUNNING, attempts_limit=2, timeout_seconds=60)
    again = decided(
        job, E.TASK_STOPPED, exit_code=1, reason="exited", container_reason="OutOfMemoryError"
    ).job
    assert (again.status, again.attempt, again.dispatch_count) == (S.RUNNABLE, 2, 0)
    assert (again.exit_code, again.task_arn, again.stopped_at_ms) == (None, None, None)
    (attempt,) = again.attempts
    assert (attempt.exit_code, attempt.container_reason) == (1, "OutOfMemoryError")
    assert (attempt.task_arn, attempt.started_at_ms) == (TASK_ARN, NOW_MS)
    last = decided(
        replace(again, status=S.RUNNING, dispatch_count=1),
        E.TASK_STOPPED,
        exit_code=2,
        reason="exited",
    ).job
    assert (last.status, [a.exit_code for a in last.attempts]) == (S.FAILED, [1, 2])


def test_the_rules_of_the_strategy_may_end_a_job_early() -> None:
    rule = ExitRule(action=RetryAction.EXIT, on_exit_code="3")
    strategy = RetryStrategy(attempts=3, rules=(rule,))
    job = a_job(S.RUNNING, attempts_limit=3)
    stopped = an_event(E.TASK_STOPPED, of=job, exit_code=3, reason="exited")
    assert decide(job, stopped, strategy).job.status is S.FAILED
    assert decide(job, stopped).job.status is S.RUNNABLE


def test_a_task_that_could_not_start_is_an_attempt_without_a_start() -> None:
    failed = decided(
        a_job(S.STARTING),
        E.TASK_STOPPED,
        reason="Task failed to start",
        container_reason="CannotPullContainerError",
    ).job
    (attempt,) = failed.attempts
    assert failed.status is S.FAILED
    assert (attempt.started_at_ms, attempt.exit_code) == (None, None)
    assert attempt.container_reason == "CannotPullContainerError"


def test_a_launch_that_can_never_succeed_fails_the_attempt_with_its_reason() -> None:
    failed = decided(
        a_job(S.STARTING), E.LAUNCH_FAILED, reason="Task failed to start", container_reason="no"
    ).job
    assert failed.status is S.FAILED
    assert [a.container_reason for a in failed.attempts] == ["no"]


def test_a_deadline_counts_from_the_start_and_stops_the_job_once() -> None:
    job = a_job(S.RUNNING, timeout_seconds=60, attempts_limit=3)
    early = decided(job, E.DEADLINE, at_ms=NOW_MS + 59_999)
    assert early.job is job
    stopping = decided(job, E.DEADLINE, at_ms=NOW_MS + 60_000).job
    assert (stopping.status, stopping.stop_cause) == (S.RUNNING, StopCause.TIMEOUT)
    killed = decided(
        stopping, E.TASK_STOPPED, exit_code=137, reason="exited", stopped_at_ms=NOW_MS + 60_001
    ).job
    assert (killed.status, killed.status_reason) == (S.FAILED, TIMEOUT_REASON)


def test_a_container_that_exits_well_before_its_deadline_beats_the_stop() -> None:
    job = a_job(S.RUNNING, timeout_seconds=60, stop_cause=StopCause.TIMEOUT, stop_reason="late")
    done = decided(
        job, E.TASK_STOPPED, exit_code=0, reason="exited", stopped_at_ms=NOW_MS + 60_000
    ).job
    assert (done.status, done.stop_cause) == (S.SUCCEEDED, None)
    late = decided(
        job, E.TASK_STOPPED, exit_code=0, reason="exited", stopped_at_ms=NOW_MS + 60_001
    ).job
    assert (late.status, late.status_reason) == (S.FAILED, "late")


def test_a_blocked_head_counts_its_wait_by_cause() -> None:
    first = decided(a_job(), E.BLOCKED, label="A", reason="a").job
    assert (first.status, first.blocked_why, first.status_reason) == (S.RUNNABLE, "A", "a")
    assert decided(first, E.BLOCKED, label="A", reason="a", at_ms=NOW_MS + 9000).job is first
    reworded = decided(first, E.BLOCKED, label="A", reason="b", at_ms=NOW_MS + 9000).job
    assert reworded.blocked_since_ms == first.blocked_since_ms
    other = decided(reworded, E.BLOCKED, label="B", reason="b", at_ms=NOW_MS + 9000).job
    assert other.blocked_since_ms == NOW_MS + 9000
    placed = decided(other, E.DISPATCHED, environment="fargate").job
    assert (placed.blocked_why, placed.blocked_since_ms, placed.status_reason) == (None, None, None)
