"""The contract of job stores on arrays: dispatch, single children, closing, counts, ranges."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.core.arrays import array_of, summary_of, virtual_child
from chalicelib.core.child_range import ChildRange
from chalicelib.core.events import EventKind
from chalicelib.core.ids import JobKey, child_part
from chalicelib.core.job import ArrayState, Job
from chalicelib.core.lane import Lane
from chalicelib.core.lifecycle import decide
from chalicelib.core.moves import Advance, CapacityLimit, Move
from chalicelib.core.spec import Spec
from chalicelib.core.states import JobStatus
from tests.support.both_stores import Both
from tests.support.values import JOB_ID, a_job, an_event

S, E = JobStatus, EventKind
BROAD = {"fargate": CapacityLimit(limit_cpu_units=200 * 1024, starting_window=200)}
PARENT = JobKey(JOB_ID)


def an_array(size: int, job_id: str = JOB_ID, **array: Any) -> Job:
    return a_job(S.PENDING, job_id=job_id, array=ArrayState(size=size, **array))


def submitted(both: Both, job: Job) -> Job:
    assert both.jobs.submit(job, Spec(job_id=job.job_id, document={}))
    return job


def key_of(number: int, job_id: str = JOB_ID) -> JobKey:
    return JobKey(job_id, child_part(number))


def move(both: Both, key: JobKey, kind: EventKind, **members: Any) -> Move:
    """Decide about the job that both hold now, which may be a virtual child."""
    found = both.jobs.find_all([key])
    job = found[key]
    fenced = kind.name.startswith(("TASK", "LAUNCH"))
    event = an_event(kind, of=job if fenced else None, **members)
    return Move.of(job, decide(job, event).job, parent=found.get(key.root))


def advance(
    parent: Job, *numbers: int, cursor: int, passed: int = 0, environment: str = "fargate"
) -> Advance:
    """Return the advance that dispatches these children."""
    event = an_event(E.DISPATCHED, environment=environment)
    children = [virtual_child(parent, number) for number in numbers]
    moves = [Move(old=one, new=decide(one, event).job, parent=parent) for one in children]
    return Advance(parent=parent, cursor=cursor, passed=passed, moves=tuple(moves))


def dispatch(both: Both, *numbers: int, cursor: int, passed: int = 0) -> tuple[Move, ...]:
    step = advance(both.job(PARENT), *numbers, cursor=cursor, passed=passed)
    return both.jobs.commit([], BROAD, [step])


def counts_of(both: Both, key: JobKey = PARENT) -> dict[str, int]:
    return {str(status): number for status, number in array_of(both.job(key)).counts}


def numbers_in_child_ranges(both: Both) -> list[tuple[int, ...]]:
    return [one.numbers for one in both.lanes.child_ranges("queue", limit=99)]


def test_an_array_is_dispatched_in_steps_until_its_ready_row_is_deleted(both: Both) -> None:
    submitted(both, an_array(5))
    assert dispatch(both, 0, 1, 2, cursor=3) == ()
    assert [ready.key for ready in both.lanes.heads(Lane.fifo("queue"), 9)] == [PARENT]
    assert counts_of(both) == {"STARTING": 3}
    assert both.job(PARENT).version == 1
    assert dispatch(both, 3, 4, cursor=5) == ()
    assert both.lanes.heads(Lane.fifo("queue"), 9) == ()
    assert both.lanes.capacities(["fargate"])["fargate"].tasks == 5
    assert numbers_in_child_ranges(both) == [(0, 1, 2), (3, 4)]
    children = both.jobs.list_children(JOB_ID, 1, 3)
    assert [child.key.number for child in children] == [1, 2, 3]
    assert both.jobs.list_children(JOB_ID, 0, 99, limit=2) == both.jobs.list_children(JOB_ID, 0, 1)


def test_a_dispatch_removes_the_reason_why_the_array_waited(both: Both) -> None:
    submitted(both, an_array(3))
    assert both.jobs.commit([move(both, PARENT, E.BLOCKED, label="A", reason="full")]) == ()
    assert dispatch(both, 0, cursor=1) == ()
    parent = both.job(PARENT)
    reasons = (parent.status_reason, parent.blocked_why, parent.blocked_since_ms)
    assert reasons == (None, None, None)
    # A decision about the job read before the dispatch still holds, and restores no reason.
    assert parent.version == 2


def test_of_two_dispatchers_one_is_refused(both: Both) -> None:
    parent = submitted(both, an_array(4))
    first, second = advance(parent, 0, 1, cursor=2), advance(parent, 0, 1, 2, cursor=3)
    assert both.jobs.commit([], BROAD, [first]) == ()
    assert both.jobs.commit([], BROAD, [second]) == second.moves


@pytest.mark.parametrize(
    "capacity_limit",
    [
        CapacityLimit(limit_cpu_units=3 * 1024, starting_window=99),
        CapacityLimit(limit_cpu_units=None, starting_window=3),
    ],
    ids=["vcpus", "window"],
)
def test_children_that_exceed_the_capacity_limit_are_returned_together(
    both: Both, capacity_limit: CapacityLimit
) -> None:
    parent = submitted(both, an_array(6))
    single = submitted(both, a_job(job_id="single"))
    capacity_limits = {"fargate": capacity_limit}
    assert both.jobs.commit([], capacity_limits, [advance(parent, 0, 1, cursor=2)]) == ()
    step = advance(both.job(PARENT), 2, 3, cursor=4)
    beside = move(both, single.key, E.DISPATCHED, environment="fargate")
    assert both.jobs.commit([beside], capacity_limits, [step]) == (beside, *step.moves)
    assert both.jobs.commit([], capacity_limits, [advance(both.job(PARENT), 2, cursor=3)]) == ()


def test_arrays_and_jobs_in_several_environments_in_one_commit(both: Both) -> None:
    first, second = submitted(both, an_array(3)), submitted(both, an_array(3, "second"))
    job = submitted(both, a_job(job_id="job"))
    steps = [
        advance(first, 0, 1, cursor=2),
        advance(second, 0, 1, 2, cursor=3, environment="other"),
    ]
    placed = move(both, job.key, E.DISPATCHED, environment="other")
    assert both.jobs.commit([placed], BROAD, steps) == ()
    used = both.lanes.capacities(["fargate", "other"])
    assert {name: one.tasks for name, one in used.items()} == {"fargate": 2, "other": 4}


def test_an_array_that_has_changed_does_not_keep_others_from_being_written(both: Both) -> None:
    first, second = submitted(both, an_array(3)), submitted(both, an_array(3, "second"))
    assert both.jobs.commit([move(both, PARENT, E.CANCEL, reason="enough")]) == ()
    steps = [advance(first, 0, cursor=1), advance(second, 0, cursor=1)]
    assert both.jobs.commit([], BROAD, steps) == steps[0].moves
    assert counts_of(both, second.key) == {"STARTING": 1}


def test_a_large_dispatch_fits_one_transaction(both: Both) -> None:
    parent = submitted(both, an_array(95))
    assert dispatch(both, *range(90), cursor=90) == ()
    calls = both.worlds[1].calls
    assert calls.count("dynamodb.TransactWriteItems") <= 1
    assert summary_of(both.job(PARENT))[S.STARTING] == 90
    assert array_of(parent).size == 95


def test_a_dispatch_skips_a_child_that_was_cancelled_alone(both: Both) -> None:
    submitted(both, an_array(4))
    assert both.jobs.commit([move(both, key_of(1), E.CANCEL, reason="enough")]) == ()
    assert (array_of(both.job(PARENT)).singled, counts_of(both)) == (1, {"FAILED": 1})
    assert numbers_in_child_ranges(both) == []
    assert dispatch(both, 0, 2, cursor=3, passed=1) == ()
    assert array_of(both.job(PARENT)).singled == 0
    assert counts_of(both) == {"STARTING": 2, "FAILED": 1}
    assert numbers_in_child_ranges(both) == [(0, 2)]


def test_a_child_that_the_cursor_has_passed_gets_no_second_first_row(both: Both) -> None:
    submitted(both, an_array(4))
    late = move(both, key_of(1), E.CANCEL, reason="enough")
    ahead = move(both, key_of(3), E.CANCEL, reason="enough")
    assert dispatch(both, 0, 1, cursor=2) == ()
    assert both.jobs.commit([late]) == (late,)
    assert both.jobs.commit([ahead]) == ()


def test_a_child_that_has_expired_gets_no_new_row(both: Both) -> None:
    submitted(both, an_array(3))
    late = move(both, key_of(0), E.CANCEL, reason="enough")
    assert dispatch(both, 0, cursor=1) == ()
    for world in both.worlds:
        world.expire(key_of(0).public_id)
    both.compare("expire")
    assert both.jobs.find_all([key_of(0)]).keys() == {PARENT}
    assert both.jobs.commit([late]) == (late,)


def test_children_get_no_rows_when_their_parent_has_changed(both: Both) -> None:
    submitted(both, an_array(4, each_waits=(0,)))
    met = {"dependencies": frozenset({0})}
    released = [move(both, key_of(n), E.DEPENDENCY_MET, **met) for n in (0, 2)]
    assert both.jobs.commit([released[0]], BROAD) == ()
    assert both.jobs.commit([move(both, PARENT, E.CANCEL, reason="enough")]) == ()
    assert both.jobs.commit([released[1]], BROAD) == (released[1],)
    assert both.job(key_of(2)).status is S.FAILED


def test_released_children_have_ready_rows_and_child_ranges_of_their_own(both: Both) -> None:
    submitted(both, an_array(6, each_waits=(0, 1)))
    one = {"dependencies": frozenset({0})}
    moves = [move(both, key_of(n), E.DEPENDENCY_MET, **one) for n in (4, 1, 2)]
    assert both.jobs.commit(moves, BROAD) == ()
    assert counts_of(both) == {"PENDING": 3}
    other = {"dependencies": frozenset({1})}
    assert both.jobs.commit([move(both, key_of(2), E.DEPENDENCY_MET, **other)], BROAD) == ()
    assert [ready.key for ready in both.lanes.heads(Lane.fifo("queue"), 9)] == [key_of(2)]
    assert counts_of(both) == {"PENDING": 2, "RUNNABLE": 1}
    assert numbers_in_child_ranges(both) == [(1, 2, 4)]


def test_a_child_with_its_own_dependency_does_not_start_once_its_array_is_stopped(
    both: Both,
) -> None:
    submitted(both, an_array(3, each_waits=(0,)))
    met = {"dependencies": frozenset({0})}
    assert both.jobs.commit([move(both, key_of(0), E.DEPENDENCY_MET, **met)], BROAD) == ()
    begun = move(both, key_of(0), E.DISPATCHED, environment="fargate")
    assert both.jobs.commit([move(both, PARENT, E.TERMINATE, reason="enough")]) == ()
    assert both.jobs.commit([begun], BROAD) == (begun,)
    assert both.jobs.commit([move(both, key_of(0), E.TERMINATE, reason="enough")]) == ()
    assert summary_of(both.job(PARENT))[S.FAILED] == 3


def test_a_child_with_its_own_dependency_starts_though_others_of_its_array_never_will(
    both: Both,
) -> None:
    submitted(both, an_array(3, each_waits=(0,)))
    met = {"dependencies": frozenset({0})}
    assert both.jobs.commit([move(both, key_of(0), E.DEPENDENCY_MET, **met)], BROAD) == ()
    begun = move(both, key_of(0), E.DISPATCHED, environment="fargate")
    assert both.jobs.commit([move(both, PARENT, E.DEPENDENCY_FAILED)]) == ()
    assert both.jobs.commit([begun], BROAD) == ()
    assert counts_of(both) == {"STARTING": 1}


def test_once_an_array_is_stopped_a_child_may_end_but_not_be_retried(both: Both) -> None:
    submitted(both, replace(an_array(2), attempts_limit=2))
    assert dispatch(both, 0, 1, cursor=2) == ()
    both.jobs.commit([move(both, key_of(n), E.TASK_RUNNING) for n in (0, 1)])
    failed = {"exit_code": 1, "reason": "exited"}
    retried = move(both, key_of(0), E.TASK_STOPPED, **failed)
    ended = move(both, key_of(1), E.TASK_STOPPED, exit_code=0, reason="exited")
    assert retried.new.status is S.RUNNABLE
    assert both.jobs.commit([move(both, PARENT, E.TERMINATE, reason="enough")]) == ()
    # They share a parent, so its condition fails both in the first try.
    assert set(both.jobs.commit([retried, ended])) == {retried, ended}
    assert both.jobs.commit([ended]) == ()
    assert counts_of(both) == {"RUNNING": 1, "SUCCEEDED": 1}


def test_counts_follow_the_children_whatever_the_version_of_the_parent(both: Both) -> None:
    submitted(both, an_array(3))
    assert dispatch(both, 0, 1, 2, cursor=3) == ()
    parent = both.job(PARENT)
    assert both.jobs.commit([move(both, key_of(n), E.TASK_RUNNING) for n in range(3)]) == ()
    ends = [
        move(both, key_of(n), E.TASK_STOPPED, exit_code=n % 2, reason="exited") for n in range(3)
    ]
    assert both.jobs.commit(ends) == ()
    assert counts_of(both) == {"SUCCEEDED": 2, "FAILED": 1}
    # A decision about the parent as it was before still holds, and leaves the counts alone.
    stop = decide(parent, an_event(E.TERMINATE, reason="enough")).job
    assert both.jobs.commit([Move.of(parent, stop)]) == ()
    assert counts_of(both) == {"SUCCEEDED": 2, "FAILED": 1}
    assert both.jobs.commit([move(both, PARENT, E.CHILDREN_ENDED)]) == ()
    assert both.job(PARENT).status is S.FAILED


def test_counts_of_children_that_cancel_out_keep_the_condition_on_the_parent(both: Both) -> None:
    """One child starts while another launch is given back, so no count changes."""
    submitted(both, an_array(2))
    assert dispatch(both, 0, 1, cursor=2) == ()
    both.jobs.commit([move(both, key_of(0), E.LAUNCH_REFUSED, reason="RESOURCE:CPU")])
    placed = move(both, key_of(0), E.DISPATCHED, environment="fargate")
    back = move(both, key_of(1), E.LAUNCH_REFUSED, reason="RESOURCE:CPU")
    assert both.jobs.commit([placed, back], BROAD) == ()
    assert counts_of(both) == {"RUNNABLE": 1, "STARTING": 1}


def test_an_array_gets_a_ready_row_when_its_dependencies_are_met_and_not_when_it_is_closed(
    both: Both,
) -> None:
    submitted(both, replace(an_array(2), waiting_on=(0, 1)))
    submitted(both, replace(an_array(2, "other"), waiting_on=(0,)))
    for number in (0, 1):
        met = {"dependencies": frozenset({number})}
        assert both.lanes.heads(Lane.fifo("queue"), 9) == ()
        assert both.jobs.commit([move(both, PARENT, E.DEPENDENCY_MET, **met)]) == ()
    failed = move(both, JobKey("other"), E.DEPENDENCY_FAILED)
    assert both.jobs.commit([failed]) == ()
    assert both.jobs.commit([failed]) == (failed,)
    assert [ready.key for ready in both.lanes.heads(Lane.fifo("queue"), 9)] == [PARENT]


def test_child_ranges_are_listed_by_first_number_and_dropped(both: Both) -> None:
    submitted(both, an_array(12))
    submitted(both, an_array(3, "another"))
    for cursor in (2, 10, 11):
        first = array_of(both.job(PARENT)).cursor
        assert dispatch(both, *range(first, cursor), cursor=cursor) == ()
    parent = both.job(JobKey("another"))
    assert both.jobs.commit([], BROAD, [advance(parent, 0, cursor=1)]) == ()
    every = both.lanes.child_ranges("queue", limit=9)
    mine = tuple(one for one in every if one.job_id == JOB_ID)
    assert [one.first for one in mine] == [0, 2, 10]
    assert both.lanes.child_ranges("queue", limit=2) == every[:2]
    assert both.lanes.child_ranges("queue", JOB_ID, limit=2) == mine[:2]
    assert both.lanes.child_ranges("queue", JOB_ID, after=2, limit=9) == mine[2:]
    assert both.lanes.child_ranges("other", limit=9) == ()
    for one in (*mine, mine[0], ChildRange(queue="queue", job_id="x", first=0, numbers=(0,))):
        both.lanes.drop_child_range(one)
    assert [one.job_id for one in both.lanes.child_ranges("queue", limit=9)] == ["another"]


@pytest.mark.parametrize("status", [None, S.STARTING, S.RUNNABLE, S.FAILED, S.PENDING])
def test_children_are_found_by_status_page_by_page(both: Both, status: JobStatus | None) -> None:
    """The rows of the array itself and of its spec, in the same partition, are no children."""
    submitted(both, an_array(5))
    dispatch(both, 0, 1, 2, 3, cursor=4)
    assert both.jobs.commit([move(both, key_of(1), E.LAUNCH_FAILED, reason="no")]) == ()
    statuses = {n: both.job(key_of(n)).status for n in range(4)}
    right = [n for n in range(4) if status in (None, statuses[n])]
    for limit in (1, 2, 9):
        for rows_limit in (1, 2, 4, 5, 9):
            found: list[int] = []
            first: int | None = 0
            while first is not None:
                page = both.jobs.find_children(
                    JOB_ID, first, status=status, limit=limit, rows_limit=rows_limit
                )
                assert len(page.children) <= limit
                found += [child.key.number or 0 for child in page.children]
                first = page.next_number
            assert found == right
