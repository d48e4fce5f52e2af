"""Both stores under random operations: they must give the same answers and hold the same rows.

Decisions are made on what is read now or on what was read some operations ago, so that conditions
fail as they do when others write the same rows.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.core.arrays import array_of, next_numbers, virtual_child
from chalicelib.core.dependencies import DependencyType, Edge
from chalicelib.core.events import EventKind
from chalicelib.core.ids import JobKey, child_part
from chalicelib.core.job import ArrayState, Job, ready_of
from chalicelib.core.lane import Lane
from chalicelib.core.lifecycle import decide
from chalicelib.core.moves import Advance, CapacityLimit, Move
from chalicelib.core.scheduling.cooling import Cooling, cooling_during_probe
from chalicelib.core.scheduling.launch_permits import LaunchPermits, LaunchRate
from chalicelib.core.scheduling.snapshot import Capacity
from chalicelib.core.spec import Spec
from chalicelib.core.states import JobStatus
from tests.support.both_stores import Both, both_stores
from tests.support.values import a_job, an_event

SIZE = 3
JOBS = {
    "plain": a_job(job_id="plain", attempts_limit=2),
    "array": a_job(
        JobStatus.PENDING, job_id="array", attempts_limit=2, array=ArrayState(size=SIZE)
    ),
    "each": a_job(
        JobStatus.PENDING,
        job_id="each",
        array=ArrayState(size=SIZE, each_waits=(0,), sequential=1),
    ),
    "gated": a_job(
        JobStatus.PENDING,
        job_id="gated",
        waiting_on=(0,),
        array=ArrayState(size=SIZE, each_waits=(1,)),
    ),
}
KEYS = [
    JobKey(job_id, part)
    for job_id, job in JOBS.items()
    for part in ("job", *(child_part(n) for n in range(SIZE if job.array else 0)))
]
LIMIT = CapacityLimit(limit_cpu_units=3 * 1024, starting_window=2)
OTHER = CapacityLimit(limit_cpu_units=None, starting_window=9)
RATE = LaunchRate(per_second=10, burst=5)
REPORTS = ("TASK", "LAUNCH", "DEADLINE")

Reading = Mapping[JobKey, Job]

ago = st.sampled_from([0, 0, 1, 3])  # how many readings ago a decision's was made
happenings = st.tuples(
    st.sampled_from(KEYS),
    st.integers(0, 99),  # picks one of the kinds of event that would change it
    st.sampled_from(["fargate", "other"]),
    st.integers(0, 1),
)
operations = st.one_of(
    st.tuples(st.just("decide"), st.lists(happenings, min_size=1, max_size=4), ago),
    st.tuples(st.just("decide"), st.lists(happenings, min_size=1, max_size=4), ago),
    st.tuples(st.just("dispatch"), st.sampled_from(["array", "each"]), st.integers(1, 3), ago),
    st.tuples(st.just("submit"), st.sampled_from(sorted(JOBS))),
    st.tuples(st.just("correct_capacity"), st.integers(0, 2), ago),
    st.tuples(st.just("put_cooling"), st.integers(0, 2), ago),
    st.tuples(st.just("take_permits"), st.integers(1, 5), st.integers(0, 600), ago),
    st.tuples(st.just("drop_child_range"), st.integers(0, 9)),
    st.tuples(st.just("drop_ready"), st.sampled_from(KEYS), ago),
    st.tuples(st.just("expire"), st.just("plain")),
    st.tuples(st.just("read")),
)


class Asking:
    """Calls both stores and compares their answers."""

    def __init__(self, both: Both) -> None:
        self.both = both
        self.readings: list[Reading] = []
        self.figures: list[Capacity | None] = [None]
        self.permits: list[LaunchPermits] = []
        self.now_ms = 1_000_000
        for job_id in JOBS:
            self.submit(job_id)

    def ask(self, operation: tuple[Any, ...]) -> None:
        self.readings.append(self.both.jobs.find_all(KEYS))
        self.figures.append(self.both.lanes.capacities(["fargate"]).get("fargate"))
        full_at_us = self.both.lanes.permits_full_at_us()
        self.permits.append(LaunchPermits(rate=RATE, now_ms=self.now_ms, full_at_us=full_at_us))
        kind, *members = operation
        getattr(self, kind)(*members)

    def read(self) -> None:
        """Call every method that reads."""
        for status in JobStatus:
            self.both.jobs.list_oldest("queue", status, limit=3)
        self.both.jobs.list_by_status("queue", JobStatus.PENDING, before=None, limit=2)
        self.both.jobs.list_children("array", 1, 3)
        self.both.jobs.list_children("each", 0, 9, limit=2)
        self.both.jobs.find_children("each", 1, limit=1, rows_limit=2)
        self.both.lanes.heads(Lane.fifo("queue"), 3)
        self.both.lanes.child_ranges("queue", limit=3)
        self.both.lanes.child_ranges("queue", "each", after=0, limit=3)
        self.both.lanes.edges("up", limit=3)

    def submit(self, job_id: str) -> None:
        edge = Edge(
            upstream_id="up",
            scope="job",
            dependent_id=job_id,
            number=0,
            kind=DependencyType.AFTER_SUCCESS,
        )
        spec = Spec(job_id=job_id, document={"container": {}})
        self.both.jobs.submit(JOBS[job_id], spec, [edge])

    def decide(self, things: list[tuple[JobKey, int, str, int]], ago: int) -> None:
        """Commit decisions based on one read, one per row: an array's, or its children's."""
        reading, moves = self._reading(ago), dict[JobKey, Move]()
        for key, which, environment, number in things:
            job = reading.get(key)
            if job is None or key in moves or self._meets_its_family(key, moves):
                continue
            happened = [_after(job, kind, environment, number) for kind in EventKind]
            changed = [new for new in happened if new is not job]
            if changed:
                new = changed[which % len(changed)]
                moves[key] = Move.of(job, new, parent=reading.get(key.root))
        self.both.jobs.commit(list(moves.values()), self._limits(ago))

    def _meets_its_family(self, key: JobKey, moves: Mapping[JobKey, Move]) -> bool:
        """Return whether the decisions are about an array's parent and its children at once."""
        family = {one for one in moves if one.job_id == key.job_id}
        return key.root in family if key.is_child else bool(family)

    def dispatch(self, job_id: str, count: int, ago: int) -> None:
        reading = self._reading(ago)
        parent = reading.get(JobKey(job_id))
        if parent is None or ready_of(parent) is None:
            return
        array = array_of(parent)
        taken = {key.number or 0 for key, job in reading.items() if self._has_row(key, job, job_id)}
        ahead = {number for number in taken if number >= array.cursor}
        numbers, cursor, passed = next_numbers(array, ahead, count=count, known_to=SIZE)
        event = an_event(EventKind.DISPATCHED, environment="fargate")
        children = [virtual_child(parent, number) for number in numbers]
        moves = [Move(old=one, new=decide(one, event).job, parent=parent) for one in children]
        step = Advance(parent=parent, cursor=cursor, passed=passed, moves=tuple(moves))
        self.both.jobs.commit([], self._limits(ago), [step])

    def _has_row(self, key: JobKey, job: Job, job_id: str) -> bool:
        return key.job_id == job_id and key.is_child and job.version > 0

    def correct_capacity(self, tasks: int, ago: int) -> None:
        counted = Capacity(environment="fargate", cpu_units=1024 * tasks, tasks=tasks)
        self.both.lanes.correct_capacity(self._figures(ago), counted)

    def put_cooling(self, seconds: int, ago: int) -> None:
        """Write a cooling over the one that was read; none for 0 seconds."""
        seen = self._figures(ago)
        cooling = Cooling(since_ms=1, until_ms=1 + seconds, seconds=seconds, reason="no capacity")
        self.both.lanes.put_cooling(
            "fargate", cooling if seconds else None, replacing=seen.cooling if seen else None
        )

    def take_permits(self, count: int, pause_ms: int, ago: int) -> None:
        """Take permits from a bucket that was read, and give some of them back at times."""
        self.now_ms += pause_ms
        permits = self.permits[max(0, len(self.permits) - 1 - ago)]
        if self.both.lanes.take_permits(permits, count, in_debt=count == 5) and count == 1:
            self.both.lanes.return_permits(permits, count)

    def drop_child_range(self, which: int) -> None:
        child_ranges = self.both.lanes.child_ranges("queue", limit=99)
        if child_ranges:
            self.both.lanes.drop_child_range(child_ranges[which % len(child_ranges)])

    def drop_ready(self, key: JobKey, ago: int) -> None:
        job = self._reading(ago).get(key)
        ready = ready_of(job) if job is not None else None
        if ready is not None:
            self.both.lanes.drop_ready(replace(ready, job_id=key.job_id))

    def expire(self, job_id: str) -> None:
        for world in self.both.worlds:
            world.expire(job_id)
        self.both.jobs.forget(job_id)

    def _figures(self, ago: int) -> Capacity | None:
        return self.figures[max(0, len(self.figures) - 1 - ago)]

    def _limits(self, ago: int) -> dict[str, CapacityLimit]:
        """Return what a plan on that reading may take; every launch in a cooling is a probe."""
        seen = self._figures(ago)
        cooling = seen.cooling if seen is not None else None
        probed = cooling_during_probe(cooling, 5_000) if cooling is not None else None
        return {"fargate": replace(LIMIT, cooling=cooling, probed=probed), "other": OTHER}

    def _reading(self, ago: int) -> Reading:
        return self.readings[max(0, len(self.readings) - 1 - ago)]


def _after(job: Job, kind: EventKind, environment: str, number: int) -> Job:
    event = an_event(
        kind,
        of=job if kind.name.startswith(REPORTS) else None,
        environment=environment,
        exit_code=number,
        reason=f"reason {number}",
        label="WHY",
        dependencies=frozenset({number}),
    )
    return decide(job, event).job


@settings(max_examples=20)
@given(st.lists(operations, min_size=10, max_size=25))
def test_both_stores_do_the_same(asked: list[tuple[Any, ...]]) -> None:
    with both_stores() as both:
        asking = Asking(both)
        for operation in asked:
            asking.ask(operation)
        asking.read()
