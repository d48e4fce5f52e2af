"""Both stores: cooling of environments, and launch permits."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from chalicelib.core.events import EventKind
from chalicelib.core.job import Job, ready_of
from chalicelib.core.lifecycle import decide
from chalicelib.core.moves import CapacityLimit, Move
from chalicelib.core.scheduling.cooling import Cooling, cooling_during_probe
from chalicelib.core.scheduling.launch_permits import LaunchPermits, LaunchRate
from chalicelib.core.scheduling.snapshot import Capacity
from chalicelib.core.spec import Spec
from tests.support.both_stores import Both, both_stores
from tests.support.values import a_job, an_event

E = EventKind
COOLING = Cooling(since_ms=1_000, until_ms=11_000, seconds=10, reason="no capacity", running=3)
LIMIT = CapacityLimit(limit_cpu_units=16 * 1024, starting_window=9)
NOW_MS = 2_000_000
RATE = LaunchRate(per_second=10, burst=5)


@pytest.fixture(name="both")
def two_stores() -> Iterator[Both]:
    with both_stores() as both:
        yield both


def dispatched(both: Both, job_id: str) -> Move:
    """Return the move of a job, submitted now, into the environment `fargate`."""
    job: Job = a_job(job_id=job_id)
    both.jobs.submit(job, Spec(job_id=job_id, document={}))
    return Move.of(job, decide(job, an_event(E.DISPATCHED, environment="fargate")).job)


def cooling_of(both: Both) -> Cooling | None:
    return both.lanes.capacities(["fargate"])["fargate"].cooling


def test_a_cooling_is_written_only_over_the_one_that_was_read(both: Both) -> None:
    assert both.lanes.put_cooling("fargate", COOLING, replacing=None)
    assert cooling_of(both) == COOLING
    longer = replace(COOLING, since_ms=12_000, until_ms=32_000, seconds=20)
    assert not both.lanes.put_cooling("fargate", longer, replacing=None)
    assert not both.lanes.put_cooling("fargate", longer, replacing=replace(COOLING, until_ms=5))
    assert both.lanes.put_cooling("fargate", longer, replacing=COOLING)
    assert not both.lanes.put_cooling("fargate", None, replacing=COOLING)
    assert both.lanes.put_cooling("fargate", None, replacing=longer)
    assert cooling_of(both) is None


def test_figures_are_corrected_without_a_word_on_the_cooling(both: Both) -> None:
    both.lanes.put_cooling("fargate", COOLING, replacing=None)
    seen = both.lanes.capacities(["fargate"])["fargate"]
    counted = Capacity(environment="fargate", cpu_units=1024, tasks=1)
    assert seen == Capacity(environment="fargate"), "a cooling makes no difference of figures"
    assert both.lanes.correct_capacity(seen, counted)
    assert both.lanes.capacities(["fargate"])["fargate"] == counted
    assert cooling_of(both) == COOLING


def test_a_launch_that_was_planned_before_a_refusal_is_not_written_after_it(both: Both) -> None:
    move = dispatched(both, "job")
    assert both.jobs.commit([dispatched(both, "first")], {"fargate": LIMIT}) == ()
    both.lanes.put_cooling("fargate", COOLING, replacing=None)
    assert both.jobs.commit([move], {"fargate": LIMIT}) == (move,)


def test_a_probe_is_launched_once_and_keeps_others_away(both: Both) -> None:
    both.lanes.put_cooling("fargate", COOLING, replacing=None)
    probed = cooling_during_probe(COOLING, 11_000)
    limits = {"fargate": replace(LIMIT, cooling=COOLING, probed=probed)}
    first, second = dispatched(both, "first"), dispatched(both, "second")
    assert both.jobs.commit([first], limits) == ()
    assert cooling_of(both) == probed
    assert both.jobs.commit([second], limits) == (second,)


def test_what_frees_capacity_is_written_whatever_the_cooling(both: Both) -> None:
    move = dispatched(both, "job")
    both.jobs.commit([move], {"fargate": LIMIT})
    both.lanes.put_cooling("fargate", COOLING, replacing=None)
    refused = an_event(E.LAUNCH_REFUSED, of=move.new, reason="RESOURCE:CPU")
    back = decide(move.new, refused).job
    assert both.jobs.commit([Move.of(move.new, back)]) == ()
    assert cooling_of(both) == COOLING


def test_a_job_that_is_held_back_says_so_in_its_ready_row(both: Both) -> None:
    move = dispatched(both, "job")
    both.jobs.commit([move], {"fargate": LIMIT})
    back = decide(move.new, an_event(E.TASK_LOST, of=move.new, reason="none")).job
    both.jobs.commit([Move.of(move.new, back)])
    ready = ready_of(back)
    assert ready is not None
    assert ready.held_until_ms == back.held_until_ms is not None
    assert both.lanes.heads(ready.lane, 9) == (ready,)


def permits(both: Both, now_ms: int = NOW_MS) -> LaunchPermits:
    return LaunchPermits(rate=RATE, now_ms=now_ms, full_at_us=both.lanes.permits_full_at_us())


def test_permits_are_taken_until_there_are_none(both: Both) -> None:
    assert permits(both).available == 5
    assert both.lanes.take_permits(permits(both), 3)
    assert permits(both).available == 2
    assert both.lanes.take_permits(permits(both), 2)
    assert permits(both).available == 0
    assert not both.lanes.take_permits(permits(both), 1)
    assert permits(both, NOW_MS + 100).available == 1
    assert both.lanes.take_permits(permits(both, NOW_MS + 100), 1)


def test_two_that_read_the_same_bucket_do_not_take_more_than_it_has(both: Both) -> None:
    full = permits(both)
    assert both.lanes.take_permits(full, 2)
    assert not both.lanes.take_permits(full, 2), "it was full as it was read, and is not any more"
    partly = permits(both)
    assert both.lanes.take_permits(partly, 2)
    assert not both.lanes.take_permits(partly, 2), "one is left"
    assert both.lanes.take_permits(partly, 1)


def test_permits_that_were_not_used_are_given_back(both: Both) -> None:
    taken = permits(both)
    both.lanes.take_permits(taken, 5)
    both.lanes.return_permits(taken, 4)
    assert permits(both).available == 4
    both.lanes.return_permits(taken, 4)
    assert permits(both).available == 5, "a bucket is never more than full"


def test_a_debt_is_paid_before_anyone_gets_a_permit(both: Both) -> None:
    assert both.lanes.take_permits(permits(both), 12, in_debt=True)
    assert permits(both).available == -7
    assert both.lanes.take_permits(permits(both), 3, in_debt=True)
    assert permits(both, NOW_MS + 1_000).available == 0
    assert permits(both, NOW_MS + 1_100).available == 1
