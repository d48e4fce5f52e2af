"""What every plan keeps to, on any snapshot: room, order, priority, and no place left unused."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.core.job import Ready
from chalicelib.core.scheduling.plan import Plan, Why, make_plan
from chalicelib.core.scheduling.snapshot import (
    Capacity,
    Environment,
    Queue,
    Snapshot,
)

ENVIRONMENTS = ("north", "south", "west")
QUEUES = ("alpha", "beta", "gamma")
NO_LIMIT = 10_000


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    environments = {
        name: Environment(
            name=name,
            usable=draw(st.integers(0, 5)) > 0,
            limit_cpu_units=draw(st.sampled_from([None, 0, 1024, 2048, 8192])),
        )
        for name in ENVIRONMENTS
        if draw(st.integers(0, 6)) > 0  # a queue may name one that is gone
    }
    capacities = {
        # In use may exceed the limit: it was lowered while jobs ran.
        name: Capacity(
            environment=name,
            cpu_units=1024 * draw(st.integers(0, 4)),
            tasks=4,
            starting=draw(st.integers(0, 4)),
        )
        for name in environments
        if draw(st.booleans())
    }
    queues = tuple(
        Queue(
            name=name,
            priority=draw(st.integers(0, 2)),
            usable=draw(st.integers(0, 5)) > 0,
            environments=tuple(draw(st.permutations(ENVIRONMENTS)))[: draw(st.integers(1, 3))],
        )
        for name in QUEUES
    )
    ages = iter(draw(st.permutations(range(18))))
    lanes = {
        queue.name: tuple(
            Ready(
                queue=queue.name,
                share="-",
                rank=f"1#{age:03d}",
                job_id=f"job-{age}",
                cpu_units=draw(st.sampled_from([256, 1024, 4096, 16384])),
                memory_mib=2048,
                created_at_ms=age,
            )
            for age in sorted(next(ages) for _ in range(draw(st.integers(0, 6))))
        )
        for queue in queues
    }
    return Snapshot(queues=queues, environments=environments, capacities=capacities, lanes=lanes)


class Rooms:
    """What is free in each environment, counted by the test itself."""

    def __init__(self, snapshot: Snapshot, window: int) -> None:
        self.snapshot = snapshot
        self.cpu_units = Counter({n: c.cpu_units for n, c in snapshot.capacities.items()})
        self.starting = Counter({n: c.starting for n, c in snapshot.capacities.items()})
        self.window = window

    def first_fit(self, ready: Ready, queue: Queue) -> str | None:
        for name in queue.environments:
            environment = self.snapshot.environments.get(name)
            if environment is None or not environment.usable or self.starting[name] >= self.window:
                continue
            limit = environment.limit_cpu_units
            if limit is None or self.cpu_units[name] + ready.cpu_units <= limit:
                return name
        return None

    def take(self, ready: Ready, name: str) -> None:
        self.cpu_units[name] += ready.cpu_units
        self.starting[name] += 1


def planned(snapshot: Snapshot, window: int, limit: int = NO_LIMIT) -> Plan:
    return make_plan(snapshot, starting_window=window, placements_limit=limit)


@given(snapshot=snapshots(), window=st.integers(1, 6))
def test_each_placement_is_the_first_that_fits_and_nothing_is_left_that_would(
    snapshot: Snapshot, window: int
) -> None:
    plan = planned(snapshot, window)
    capacity_limits = Rooms(snapshot, window)
    by_name = {queue.name: queue for queue in snapshot.queues}
    for placement in plan.placements:
        queue = by_name[placement.ready.queue]
        assert queue.usable
        assert capacity_limits.first_fit(placement.ready, queue) == placement.environment
        capacity_limits.take(placement.ready, placement.environment)
    for queue in snapshot.queues:
        placed = [p.ready for p in plan.placements if p.ready.queue == queue.name]
        lane = list(snapshot.lanes[queue.name])
        assert placed == lane[: len(placed)], "a lane is served from its head"
        if len(placed) == len(lane) or not queue.usable:
            assert queue.name not in plan.blocked
            continue
        blocked = plan.blocked[queue.name]
        assert blocked.ready is lane[len(placed)]
        assert blocked.sentence
        assert capacity_limits.first_fit(blocked.ready, queue) is None


@given(snapshot=snapshots(), window=st.integers(1, 6))
def test_no_job_is_placed_before_one_that_has_a_better_claim(
    snapshot: Snapshot, window: int
) -> None:
    plan = planned(snapshot, window)
    capacity_limits = Rooms(snapshot, window)
    waiting = {queue: list(snapshot.lanes[queue.name]) for queue in snapshot.queues}
    by_name = {queue.name: queue for queue in snapshot.queues}
    for placement in plan.placements:
        chosen = by_name[placement.ready.queue]
        for queue, lane in waiting.items():
            if not queue.usable or not lane or queue is chosen:
                continue
            better = queue.priority > chosen.priority or (
                queue.priority == chosen.priority and lane[0].rank < placement.ready.rank
            )
            if better:
                assert capacity_limits.first_fit(lane[0], queue) is None
        waiting[chosen].pop(0)
        capacity_limits.take(placement.ready, placement.environment)


@given(snapshot=snapshots(), window=st.integers(1, 6), limit=st.integers(1, 10))
def test_a_plan_that_is_cut_off_is_the_beginning_of_the_whole(
    snapshot: Snapshot, window: int, limit: int
) -> None:
    whole = planned(snapshot, window)
    assert planned(snapshot, window) == whole, "a plan depends on its snapshot alone"
    assert planned(snapshot, window, limit).placements == whole.placements[:limit]


@settings(max_examples=60)
@given(snapshot=snapshots(), window=st.integers(1, 6))
def test_the_reason_that_is_given_is_true(snapshot: Snapshot, window: int) -> None:
    plan = planned(snapshot, window)
    by_name = {queue.name: queue for queue in snapshot.queues}
    for name, blocked in plan.blocked.items():
        usable = [
            environment
            for other in by_name[name].environments
            if (environment := snapshot.environments.get(other)) and environment.usable
        ]
        never = [
            environment.limit_cpu_units is not None
            and blocked.ready.cpu_units > environment.limit_cpu_units
            for environment in usable
        ]
        assert (blocked.why is Why.NO_USABLE_ENVIRONMENT) == (not usable)
        assert (blocked.why is Why.JOB_RESOURCE_REQUIREMENT) == (bool(usable) and all(never))
