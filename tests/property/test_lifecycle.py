"""Safety of the lifecycle under any sequence of events, current or stale, in any order."""

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.core.capacity import capacity_change_of
from chalicelib.core.consequences import effects_of
from chalicelib.core.decision import Label
from chalicelib.core.effects import Launch, Publish
from chalicelib.core.events import Event, EventKind
from chalicelib.core.ids import Fence
from chalicelib.core.job import Job, ready_of
from chalicelib.core.launch_failures import TRIES_LIMIT, LaunchFailure
from chalicelib.core.lifecycle import decide
from chalicelib.core.retry import ExitRule, RetryAction, RetryStrategy
from chalicelib.core.states import JobStatus
from tests.property.paths import is_path
from tests.support.values import NOW_MS, a_job

# What only ECS, the launch machine, our clock and the sweeper report: always of one placement.
REPORTS = {
    EventKind.LAUNCH_REFUSED,
    EventKind.LAUNCH_FAILED,
    EventKind.TASK_RUNNING,
    EventKind.TASK_STOPPED,
    EventKind.TASK_LOST,
    EventKind.DEADLINE,
}

# What a job waits for in each status: drawn more often, so that lives go on.
NEXT = {
    JobStatus.PENDING: [EventKind.DEPENDENCY_MET],
    JobStatus.RUNNABLE: [EventKind.DISPATCHED],
    JobStatus.STARTING: [EventKind.TASK_RUNNING, EventKind.LAUNCH_REFUSED, EventKind.TASK_STOPPED],
    JobStatus.RUNNING: [EventKind.TASK_STOPPED, EventKind.TASK_LOST, EventKind.DEADLINE],
    JobStatus.SUCCEEDED: [EventKind.TASK_RUNNING, EventKind.TERMINATE],
    JobStatus.FAILED: [EventKind.TASK_STOPPED, EventKind.DISPATCHED],
}

fences = st.sampled_from(["present"] * 4 + ["earlier placement", "earlier attempt"])
rules = st.lists(
    st.builds(
        ExitRule,
        action=st.sampled_from(RetryAction),
        on_exit_code=st.sampled_from([None, "1", "1*", "2"]),
        on_status_reason=st.sampled_from([None, "Essential*", "Host*"]),
    ),
    max_size=3,
).map(tuple)


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    return a_job(
        draw(st.sampled_from([JobStatus.RUNNABLE, JobStatus.RUNNABLE, JobStatus.PENDING])),
        attempts_limit=draw(st.sampled_from([3, 2, 1])),
        timeout_seconds=draw(st.sampled_from([None, 60])),
    )


happenings = st.lists(
    st.fixed_dictionaries(
        {
            "next": st.one_of(st.integers(0, 2), st.integers(0, 2), st.none()),
            "kind": st.sampled_from(EventKind),
            "fence": fences,
            "exit_code": st.sampled_from([1, 1, 0, 12, None]),
            "failure": st.sampled_from([None, *LaunchFailure]),
            "reason": st.sampled_from(["Essential container in task exited", "Host EC2 lost"]),
            "after_ms": st.sampled_from([0, 1, 1000, 70_000]),
        }
    ),
    min_size=6,
    max_size=25,
)


def event_of(job: Job, happening: dict[str, Any], now_ms: int) -> Event:
    """Return an event as reported about the job as it is now, or as it was before."""
    kind = happening["kind"]
    if happening["next"] is not None:
        waits_for = NEXT[job.status]
        kind = waits_for[happening["next"] % len(waits_for)]
    fence: Fence | None = None
    if kind in REPORTS:
        fence = job.fence
        if happening["fence"] == "earlier placement":
            fence = replace(fence, dispatch_count=fence.dispatch_count - 1)
        elif happening["fence"] == "earlier attempt":
            fence = replace(fence, attempt=fence.attempt - 1)
    reported = kind in {EventKind.TASK_RUNNING, EventKind.TASK_STOPPED}
    return Event(
        kind=kind,
        at_ms=now_ms,
        fence=fence,
        reason=happening["reason"],
        label="CAPACITY_IN_USE" if kind is EventKind.BLOCKED else None,
        environment="fargate" if kind is EventKind.DISPATCHED else None,
        task_arn=f"task/{fence}" if reported else None,
        started_at_ms=now_ms if kind is EventKind.TASK_RUNNING else None,
        stopped_at_ms=now_ms if kind is EventKind.TASK_STOPPED else None,
        exit_code=happening["exit_code"] if kind is EventKind.TASK_STOPPED else None,
        failure=happening["failure"] if kind is EventKind.LAUNCH_REFUSED else None,
    )


@settings(max_examples=250)
@given(job=jobs(), happened=happenings, exit_rules=rules)
def test_a_job_is_safe_whatever_happens_to_it(
    job: Job, happened: list[dict[str, Any]], exit_rules: tuple[ExitRule, ...]
) -> None:
    strategy = RetryStrategy(attempts=job.attempts_limit, rules=exit_rules)
    now_ms, in_use = NOW_MS, 0
    launched: list[Fence] = []
    published = [effect.job.status for effect in effects_of(None, job) if type(effect) is Publish]
    for happening in happened:
        now_ms += happening["after_ms"]
        event = event_of(job, happening, now_ms)
        decision = decide(job, event, strategy)
        new = decision.job

        assert decision.sentence
        if new is job:
            assert decision.label in {Label.IGNORED, Label.STALE, Label.ORPHAN_TASK}
            continue
        assert not job.is_terminal, "terminal is final"
        assert event.fence in {None, job.fence}, "an older placement is never applied"
        assert new.version == job.version + 1
        assert decide(new, event, strategy).job is new, "one fact changes a job once"

        change = capacity_change_of(job, new)
        in_use += change.tasks if change else 0
        assert in_use == int(new.holds_capacity)
        assert (ready_of(new) is not None) == (new.status is JobStatus.RUNNABLE)
        assert new.attempt <= new.attempts_limit
        assert len(new.history) == new.attempt - 1
        assert new.failed_launches < TRIES_LIMIT, "no launch is repeated for ever"

        effects = effects_of(job, new)
        launched += [effect.job.fence for effect in effects if type(effect) is Launch]
        published += [effect.job.status for effect in effects if type(effect) is Publish]
        job = new
    assert len(set(launched)) == len(launched), "no placement is launched twice"
    assert is_path(published), published
    assert published[-1] == job.status


@settings(max_examples=250)
@given(job=jobs(), happened=happenings)
def test_a_job_whose_stop_was_asked_for_runs_no_further_attempt(
    job: Job, happened: list[dict[str, Any]]
) -> None:
    now_ms = NOW_MS
    for happening in happened:
        now_ms += happening["after_ms"]
        new = decide(job, event_of(job, happening, now_ms)).job
        if job.stop_cause is not None:
            assert new.attempt == job.attempt
            assert new.status is not JobStatus.RUNNABLE or job.status is JobStatus.RUNNABLE
            assert new.stop_cause == job.stop_cause or new.status is JobStatus.SUCCEEDED
        job = new
