"""The rules that every plan keeps: limits, order, priority, and no usable capacity left over."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.core.lane import Lane
from chalicelib.core.ready import Ready
from chalicelib.core.scheduling.blocked import Why
from chalicelib.core.scheduling.cooling import Cooling
from chalicelib.core.scheduling.launch_permits import LaunchPermits, LaunchRate
from chalicelib.core.scheduling.plan import Plan, make_plan
from chalicelib.core.scheduling.snapshot import (
    Capacity,
    Environment,
    Queue,
    Snapshot,
)
from chalicelib.core.task_size import TaskSize
from tests.support.reference_plan import reference_plan

ENVIRONMENTS = ("north", "south", "west")
QUEUES = ("alpha", "beta", "gamma")
NO_LIMIT = 10_000
NOW_MS = 5_000_000
RATE = LaunchRate(per_second=20, burst=20)
ARM, X86 = "arm64", "x86_64"


def size(
    cpu_units: int, memory_mib: int, gpus: int = 0, architecture: str | None = None
) -> TaskSize:
    return TaskSize(
        cpu_units=cpu_units, memory_mib=memory_mib, gpus=gpus, architecture=architecture
    )


# What the largest instances of an environment hold; nothing stands for what is not known.
HOLDS = (
    (),
    (),
    (size(2048, 4096),),
    (size(8192, 2048), size(1024, 8192)),
    (size(8192, 8192, 1, X86), size(8192, 4096, 4, X86)),
    (size(16384, 8192, 0, ARM),),
)
NODES = (size(1024, 4096), size(2048, 1024, 1))


# Times of a cooling's end: to come, just over, over and still remembered, long forgotten.
coolings = st.sampled_from([None, None, None, 1, 0, -1, -900_000, -900_001]).map(
    lambda left_ms: (
        None
        if left_ms is None
        else Cooling(
            since_ms=NOW_MS - 5,
            until_ms=NOW_MS + left_ms,
            seconds=10,
            reason="no capacity",
            running=4 + left_ms % 3,
        )
    )
)


def permits(available: int) -> LaunchPermits:
    missing_us = (RATE.burst - available) * RATE.interval_us
    return LaunchPermits(rate=RATE, now_ms=NOW_MS, full_at_us=NOW_MS * 1000 + missing_us)


@st.composite
def environments_of_snapshots(draw: st.DrawFn) -> dict[str, Environment]:
    return {
        name: Environment(
            name=name,
            usable=draw(st.integers(0, 5)) > 0,
            limit_cpu_units=draw(st.sampled_from([None, 0, 1024, 2048, 8192])),
            is_changing=draw(st.integers(0, 5)) == 0,
            provisioning_limit=draw(st.sampled_from([None, None, 3])),
            is_on_instances=draw(st.booleans()),
            holds=draw(st.sampled_from(HOLDS)),
            runs_nodes=draw(st.integers(0, 3)) > 0,
            is_spot=draw(st.booleans()),
        )
        for name in ENVIRONMENTS
        if draw(st.integers(0, 6)) > 0  # a queue may name one that was deleted
    }


def ready_rows(queue: str, age: int) -> st.SearchStrategy[Ready]:
    return st.builds(
        Ready,
        queue=st.just(queue),
        share=st.just("-"),
        rank=st.just(f"1#{age:03d}"),
        job_id=st.just(f"job-{age}"),
        cpu_units=st.sampled_from([256, 1024, 4096, 16384]),
        memory_mib=st.sampled_from([512, 2048, 2048, 4097]),
        gpus=st.sampled_from([0, 0, 0, 1, 4]),
        architecture=st.sampled_from([None, None, None, ARM, X86]),
        node_sizes=st.sampled_from([()] * 7 + [NODES]),
        created_at_ms=st.just(age),
        held_until_ms=st.sampled_from([None] * 8 + [NOW_MS, NOW_MS + 1]),
        spot_losses=st.sampled_from([None, None, 0, 2]),
    )


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    environments = draw(environments_of_snapshots())
    capacities = {
        # More may be in use than the limit, which was lowered while jobs ran.
        name: Capacity(
            environment=name,
            cpu_units=1024 * draw(st.integers(0, 4)),
            tasks=4,
            starting=draw(st.integers(0, 4)),
            cooling=draw(coolings),
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
        Lane.fifo(queue.name): tuple(
            draw(ready_rows(queue.name, age))
            for age in sorted(next(ages) for _ in range(draw(st.integers(0, 6))))
        )
        for queue in queues
    }
    return Snapshot(
        queues=queues,
        environments=environments,
        capacities=capacities,
        lanes=lanes,
        permits=draw(st.none() | st.builds(permits, st.integers(-5, 20))),
        now_ms=NOW_MS,
    )


@st.composite
def snapshots_with_arrays(draw: st.DrawFn) -> Snapshot:
    """Draw a snapshot in which some ready rows are those of arrays."""
    snapshot = draw(snapshots())
    lanes = {
        lane: tuple(replace(ready, is_array=draw(st.booleans())) for ready in heads)
        for lane, heads in snapshot.lanes.items()
    }
    children = {
        ready.key: draw(st.integers(1, 12))
        for heads in lanes.values()
        for ready in heads
        if ready.is_array
    }
    return replace(snapshot, lanes=lanes, children=children)


def fits_an_instance(ready: Ready, environment: Environment) -> bool:
    """Return whether each task of the job alone fits one of the environment's instances."""
    if ready.node_sizes and not environment.runs_nodes:
        return False
    own = size(ready.cpu_units, ready.memory_mib, ready.gpus, ready.architecture)
    return not environment.holds or all(
        any(
            task.cpu_units <= one.cpu_units
            and task.memory_mib <= one.memory_mib
            and task.gpus <= one.gpus
            and (
                not task.architecture
                or not one.architecture
                or task.architecture == one.architecture
            )
            for one in environment.holds
        )
        for task in ready.node_sizes or [own]
    )


def could_hold(ready: Ready, environment: Environment) -> bool:
    """Return whether the job could run in the environment now if nothing else did."""
    limit = environment.limit_cpu_units
    return (
        environment.usable
        and fits_an_instance(ready, environment)
        and (limit is None or ready.cpu_units <= limit)
    )


class FreeCapacity:
    """What is free in each environment, counted by the test itself."""

    def __init__(self, snapshot: Snapshot, window: int) -> None:
        self.snapshot = snapshot
        self.cpu_units = Counter({n: c.cpu_units for n, c in snapshot.capacities.items()})
        self.starting = Counter({n: c.starting for n, c in snapshot.capacities.items()})
        self.window = window
        self.launches = 0
        self.probed: set[str] = set()
        self.replacements = Counter(
            {
                name: max(0, used.cooling.running - used.tasks)
                for name, used in snapshot.capacities.items()
                if used.cooling is not None and snapshot.environments[name].is_on_instances
            }
        )

    def first_fit(self, ready: Ready, queue: Queue) -> str | None:
        """Return where the job can be launched now, None if nowhere or if it is held back."""
        permits = self.snapshot.permits
        if permits is not None and self.launches >= permits.available:
            return None
        if ready.held_until_ms is not None and ready.held_until_ms > NOW_MS:
            return None
        names = self.environments_for(ready, queue)
        return next((name for name in names if self.could_launch(ready, name)), None)

    def environments_for(self, ready: Ready, queue: Queue) -> list[str]:
        """Return those of the queue, without Spot if it lost its attempts there and may choose."""
        known = self.snapshot.environments
        names = [name for name in queue.environments if name in known]
        on_demand = [name for name in names if not known[name].is_spot]
        may_choose = any(could_hold(ready, known[name]) for name in on_demand)
        return names if ready.spot_losses is None or not may_choose else on_demand

    def could_launch(self, ready: Ready, name: str) -> bool:
        environment = self.snapshot.environments.get(name)
        if environment is None or not environment.usable or not self.may_launch(name):
            return False
        bound = min(self.window, environment.provisioning_limit or self.window)
        limit = environment.limit_cpu_units
        return (
            self.starting[name] < bound
            and fits_an_instance(ready, environment)
            and (limit is None or self.cpu_units[name] + ready.cpu_units <= limit)
        )

    def may_launch(self, name: str) -> bool:
        """Return whether the environment is not cooling, or may get its one probe."""
        used = self.snapshot.capacities.get(name)
        if used is None or used.cooling is None or used.cooling.until_ms + 900_000 < NOW_MS:
            return True
        return self.replacements[name] > 0 or (
            used.cooling.until_ms <= NOW_MS and name not in self.probed
        )

    def take(self, ready: Ready, name: str) -> None:
        used = self.snapshot.capacities.get(name)
        if self.replacements[name] > 0:
            self.replacements[name] -= 1
        elif used is not None and used.cooling is not None:
            self.probed.add(name)
        self.cpu_units[name] += ready.cpu_units
        self.starting[name] += 1
        self.launches += 1


def planned(snapshot: Snapshot, window: int, limit: int = NO_LIMIT) -> Plan:
    return make_plan(snapshot, starting_window=window, placements_limit=limit)


@given(snapshot=snapshots(), window=st.integers(1, 6))
def test_a_job_takes_the_first_environment_that_fits_and_waits_only_if_none_does(
    snapshot: Snapshot, window: int
) -> None:
    plan = planned(snapshot, window)
    free = FreeCapacity(snapshot, window)
    by_name = {queue.name: queue for queue in snapshot.queues}
    for placement in plan.placements:
        queue = by_name[placement.ready.queue]
        assert queue.usable
        assert free.first_fit(placement.ready, queue) == placement.environment
        free.take(placement.ready, placement.environment)
    for queue in snapshot.queues:
        placed = [p.ready for p in plan.placements if p.ready.queue == queue.name]
        lane = Lane.fifo(queue.name)
        waiting = list(snapshot.lanes[lane])
        assert placed == waiting[: len(placed)], "a lane is served from its head"
        if len(placed) == len(waiting) or not queue.usable:
            assert lane not in plan.blocked
            continue
        blocked = plan.blocked[lane]
        assert blocked.ready is waiting[len(placed)]
        assert blocked.sentence
        assert free.first_fit(blocked.ready, queue) is None


@given(snapshot=snapshots(), window=st.integers(1, 6))
def test_a_job_of_higher_priority_or_greater_age_is_placed_first_if_it_fits(
    snapshot: Snapshot, window: int
) -> None:
    plan = planned(snapshot, window)
    free = FreeCapacity(snapshot, window)
    waiting = {queue: list(snapshot.lanes[Lane.fifo(queue.name)]) for queue in snapshot.queues}
    by_name = {queue.name: queue for queue in snapshot.queues}
    for placement in plan.placements:
        chosen = by_name[placement.ready.queue]
        for queue, rows in waiting.items():
            if not queue.usable or not rows or queue is chosen:
                continue
            comes_first = queue.priority > chosen.priority or (
                queue.priority == chosen.priority and rows[0].rank < placement.ready.rank
            )
            if comes_first:
                assert free.first_fit(rows[0], queue) is None
        waiting[chosen].pop(0)
        free.take(placement.ready, placement.environment)


@given(snapshot=snapshots(), window=st.integers(1, 6), limit=st.integers(1, 10))
def test_a_plan_with_a_lower_limit_is_the_beginning_of_the_plan_without_it(
    snapshot: Snapshot, window: int, limit: int
) -> None:
    whole = planned(snapshot, window)
    assert planned(snapshot, window) == whole, "a plan depends on its snapshot alone"
    assert planned(snapshot, window, limit).placements == whole.placements[:limit]


@given(snapshot=snapshots_with_arrays(), window=st.integers(1, 9))
def test_no_environment_is_given_more_than_it_has_and_no_job_what_it_does_not_fit(
    snapshot: Snapshot, window: int
) -> None:
    """Capacity, window and size hold for whatever is placed, arrays and probes included."""
    free = FreeCapacity(snapshot, window)
    for placement in planned(snapshot, window).placements:
        environment = snapshot.environments[placement.environment]
        assert fits_an_instance(placement.ready, environment)
        for _ in range(placement.count):
            assert free.could_launch(placement.ready, placement.environment)
            free.take(placement.ready, placement.environment)


@given(snapshot=snapshots(), window=st.integers(1, 6))
def test_a_cooling_environment_keeps_no_job_from_another_that_has_space(
    snapshot: Snapshot, window: int
) -> None:
    """A head waits for cooling environments only if there is no other that could take it."""
    plan = planned(replace(snapshot, permits=None), window)
    free = FreeCapacity(snapshot, window)
    by_name = {queue.name: queue for queue in snapshot.queues}
    for placement in plan.placements:
        free.take(placement.ready, placement.environment)
    for lane, blocked in plan.blocked.items():
        if blocked.why is not Why.BACKING_OFF:
            warm = [
                name
                for name in free.environments_for(blocked.ready, by_name[lane.queue])
                if (used := snapshot.capacities.get(name)) is None or used.cooling is None
            ]
            assert not any(free.could_launch(blocked.ready, name) for name in warm)


@given(snapshot=snapshots(), window=st.integers(1, 6))
def test_where_a_job_falls_back_to_depends_on_its_queue_alone(
    snapshot: Snapshot, window: int
) -> None:
    """The order in which environments and queues were read changes nothing."""
    turned = replace(
        snapshot,
        queues=snapshot.queues[::-1],
        environments=dict(reversed(list(snapshot.environments.items()))),
        capacities=dict(reversed(list(snapshot.capacities.items()))),
        lanes=dict(reversed(list(snapshot.lanes.items()))),
    )
    assert planned(turned, window) == planned(snapshot, window)


@settings(max_examples=60)
@given(snapshot=snapshots(), window=st.integers(1, 6))
def test_the_reason_for_waiting_is_true(snapshot: Snapshot, window: int) -> None:
    plan = planned(snapshot, window)
    by_name = {queue.name: queue for queue in snapshot.queues}
    for lane, blocked in plan.blocked.items():
        usable = [
            environment
            for other in by_name[lane.queue].environments
            if (environment := snapshot.environments.get(other)) and environment.usable
        ]
        if blocked.why is Why.BACKING_OFF:
            assert blocked.due_ms == blocked.ready.held_until_ms
            continue
        above_maximum = [
            environment.limit_cpu_units is not None
            and blocked.ready.cpu_units > environment.limit_cpu_units
            for environment in usable
        ]
        too_large = [not fits_an_instance(blocked.ready, environment) for environment in usable]
        never = [a or b for a, b in zip(above_maximum, too_large, strict=True)]
        misfit = {Why.MAX_RESOURCE, Why.JOB_RESOURCE_REQUIREMENT, Why.NO_USABLE_ENVIRONMENT}
        changing = any(
            snapshot.environments[name].is_changing
            for name in by_name[lane.queue].environments
            if name in snapshot.environments
        )
        assert (blocked.why in misfit) == (all(never) and not changing)
        assert (blocked.why is Why.ENVIRONMENT_CHANGING) == (all(never) and changing)
        if blocked.why in misfit:
            assert (blocked.why is Why.NO_USABLE_ENVIRONMENT) == (not usable)
            assert (blocked.why is Why.MAX_RESOURCE) == (bool(usable) and all(above_maximum))
        if blocked.due_ms is not None and blocked.why is not Why.LAUNCH_RATE:
            assert blocked.due_ms > NOW_MS, "time alone brings nothing that is not still to come"


@given(snapshot=snapshots_with_arrays(), window=st.integers(0, 9), limit=st.integers(0, 30))
def test_fifo_queues_get_the_plans_of_the_reference_implementation(
    snapshot: Snapshot, window: int, limit: int
) -> None:
    plan = planned(snapshot, window, limit)
    placements, blocked = reference_plan(snapshot, starting_window=window, placements_limit=limit)
    assert [(p.ready, p.environment, p.count) for p in plan.placements] == placements
    found = {lane.queue: (head.ready, head.why) for lane, head in plan.blocked.items()}
    assert found == blocked


@dataclass(frozen=True, slots=True)
class LastShareFirst:
    """An order that is not FIFO: shares in reverse alphabetical order, each lane on its own."""

    @property
    def blocks_queue(self) -> bool:
        return False

    def next_lane(self, heads: Mapping[Lane, Ready]) -> Lane:
        return max(heads)


@given(snapshot=snapshots(), window=st.integers(1, 6), data=st.data())
def test_each_lane_of_a_queue_is_served_from_its_head_in_the_order_of_the_queue(
    snapshot: Snapshot, window: int, data: st.DataObject
) -> None:
    shares = ("a", "b", "c")
    lanes: dict[Lane, tuple[Ready, ...]] = {}
    for queue in snapshot.queues:
        rows = [
            replace(ready, share=data.draw(st.sampled_from(shares)))
            for ready in snapshot.lanes[Lane.fifo(queue.name)]
        ]
        for share in shares:
            lanes[Lane(queue.name, share)] = tuple(row for row in rows if row.share == share)
    queues = tuple(
        replace(queue, shares=shares, order=LastShareFirst()) for queue in snapshot.queues
    )
    plan = planned(replace(snapshot, queues=queues, lanes=lanes), window)
    free = FreeCapacity(snapshot, window)
    for placement in plan.placements:
        free.take(placement.ready, placement.environment)
    for queue in queues:
        placed = [p.ready for p in plan.placements if p.ready.queue == queue.name]
        assert [row.share for row in placed] == sorted((r.share for r in placed), reverse=True)
        for lane in queue.lanes:
            served = [row for row in placed if row.lane == lane]
            assert tuple(served) == lanes[lane][: len(served)]
            if len(served) == len(lanes[lane]) or not queue.usable:
                assert lane not in plan.blocked
                continue
            assert plan.blocked[lane].ready is lanes[lane][len(served)]
            assert free.first_fit(plan.blocked[lane].ready, queue) is None
