"""Spot and lacking capacity: what every plan keeps when a job passes over some environments."""

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.scheduling.cooling import current_cooling
from chalicelib.core.scheduling.plan import Plan, make_plan
from chalicelib.core.scheduling.snapshot import Capacity, Snapshot
from tests.property.test_plan import NOW_MS, could_hold, snapshots, snapshots_with_arrays

NO_LIMIT = 10_000


def planned(snapshot: Snapshot, window: int = 100) -> Plan:
    return make_plan(snapshot, starting_window=window, placements_limit=NO_LIMIT)


@given(snapshot=snapshots_with_arrays(), window=st.integers(1, 6))
def test_a_job_that_lost_its_attempts_is_never_on_spot_while_anything_else_can_hold_it(
    snapshot: Snapshot, window: int
) -> None:
    order = {queue.name: queue.environments for queue in snapshot.queues}
    for placement in planned(snapshot, window).placements:
        if placement.ready.spot_losses is None:
            continue
        known = [
            snapshot.environments[name]
            for name in order[placement.ready.queue]
            if name in snapshot.environments
        ]
        on_demand = [one for one in known if not one.is_spot and could_hold(placement.ready, one)]
        chosen = snapshot.environments[placement.environment]
        assert not chosen.is_spot or not on_demand


@given(snapshot=snapshots(), window=st.integers(1, 6))
def test_a_queue_never_waits_for_one_that_cools_while_another_has_capacity(
    snapshot: Snapshot, window: int
) -> None:
    """A lack of capacity keeps no job from an environment that has no lack of it."""
    snapshot = replace(snapshot, permits=None)
    plan = planned(snapshot, window)
    used = {name: (one.cpu_units, one.starting) for name, one in snapshot.capacities.items()}
    for placement in plan.placements:
        cpu_units, starting = used.get(placement.environment, (0, 0))
        used[placement.environment] = (cpu_units + placement.ready.cpu_units, starting + 1)
    for lane, blocked in plan.blocked.items():
        (queue,) = (one for one in snapshot.queues if one.name == lane.queue)
        ready = blocked.ready
        if ready.held_until_ms is not None and ready.held_until_ms > NOW_MS:
            continue
        for name in queue.environments:
            environment = snapshot.environments.get(name)
            capacity = snapshot.capacities.get(name) or Capacity(environment=name)
            if environment is None or not could_hold(ready, environment):
                continue
            if environment.is_spot and ready.spot_losses is not None:
                continue
            if current_cooling(capacity.cooling, NOW_MS) is not None:
                continue
            cpu_units, starting = used.get(name, (0, 0))
            limit = environment.limit_cpu_units
            is_full = limit is not None and cpu_units + ready.cpu_units > limit
            assert is_full or starting >= environment.starting_window(window)


@given(snapshot=snapshots_with_arrays(), window=st.integers(1, 6), seed=st.integers())
def test_where_a_job_falls_back_to_depends_on_the_order_of_its_queue_alone(
    snapshot: Snapshot, window: int, seed: int
) -> None:
    """Not on the order in which rows were read."""
    shuffled = random.Random(seed)

    def mixed(rows: dict) -> dict:  # type: ignore[type-arg]
        keys = list(rows)
        shuffled.shuffle(keys)
        return {key: rows[key] for key in keys}

    again = replace(
        snapshot,
        environments=mixed(dict(snapshot.environments)),
        capacities=mixed(dict(snapshot.capacities)),
        lanes=mixed(dict(snapshot.lanes)),
        children=mixed(dict(snapshot.children)),
    )
    assert planned(again, window) == planned(snapshot, window)
