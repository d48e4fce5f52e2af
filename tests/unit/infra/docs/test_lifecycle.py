"""The diagrams of the lifecycle show every rule of the transition table, and no other move."""

from hypothesis import given
from hypothesis import strategies as st

from batchyard.docs.lifecycle import (
    STATUSES,
    array_outcomes,
    job_diagram,
    job_outcomes,
    sample_arrays,
    sample_events,
    sample_jobs,
)
from chalicelib.core.arrays import ARRAY_RULES
from chalicelib.core.events import EventKind
from chalicelib.core.lifecycle import TRANSITIONS, decide
from chalicelib.core.states import TERMINAL, JobStatus
from tests.property.paths import STEPS
from tests.support.values import a_job, an_event


def never_changes_a_job(rule: object) -> bool:
    """Return whether a rule only explains why an event is ignored."""
    name = getattr(rule, "__qualname__", "")
    return name.startswith("ignore.") or name == "_late_report"


def test_every_rule_that_may_change_a_job_is_in_the_diagram_or_the_table() -> None:
    expected = {
        (status, kind)
        for (status, kind), rule in TRANSITIONS.items()
        if status in STATUSES and not never_changes_a_job(rule)
    }
    assert set(job_outcomes()) == expected
    assert {kind for _, kind in array_outcomes()} == set(ARRAY_RULES)


def test_nothing_leads_out_of_an_end() -> None:
    assert not any(status in TERMINAL for status, _ in job_outcomes())


def test_the_moves_are_those_that_aws_documents() -> None:
    moves = {
        (str(before), str(after))
        for (before, _), statuses in {**job_outcomes()}.items()
        for after in statuses - {before}
    }
    allowed = {(before, after) for before, afters in STEPS.items() for after in afters}
    assert moves == allowed - {("PENDING", "SUCCEEDED")}  # that of an array's parent alone
    for before, after in moves:
        assert f"    {before} --> {after}: " in job_diagram()


@given(
    status=st.sampled_from([status for status in STATUSES if status not in TERMINAL]),
    kind=st.sampled_from(EventKind),
    attempts=st.integers(1, 3),
    attempt=st.integers(1, 3),
    waiting_on=st.sets(st.integers(1, 4), min_size=1).map(lambda some: tuple(sorted(some))),
    exit_code=st.sampled_from([None, 0, 1, 137]),
    met=st.none() | st.frozensets(st.integers(1, 4)),
)
def test_no_job_makes_a_move_that_the_diagram_does_not_show(
    status: JobStatus,
    kind: EventKind,
    attempts: int,
    attempt: int,
    waiting_on: tuple[int, ...],
    exit_code: int | None,
    met: frozenset[int] | None,
) -> None:
    waits = waiting_on if status is JobStatus.PENDING else ()
    job = a_job(status, attempts_limit=attempts, attempt=attempt, waiting_on=waits)
    code = exit_code if kind is EventKind.TASK_STOPPED else None
    after = decide(job, an_event(kind, exit_code=code, dependencies=met, reason="why")).job
    if after is not job:
        assert after.status in job_outcomes()[status, kind]


def test_the_samples_are_in_the_status_that_they_stand_for() -> None:
    for status in STATUSES:
        jobs = list(sample_jobs(status))
        assert jobs
        assert {job.status for job in jobs} == {status}
    assert all(parent.array is not None for parent in sample_arrays())
    for kind in EventKind:
        assert {event.kind for event in sample_events(kind)} == {kind}
