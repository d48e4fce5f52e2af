"""A second, frozen implementation of planning for FIFO queues, as an oracle for `make_plan`.

It knows nothing of lanes or of an order between them: a queue is one list, and a head that cannot
be placed blocks it. Keep it as it is. It is the algorithm that `make_plan` had before lanes were
keyed by share, and FIFO queues must get the same plans for ever.
"""

from dataclasses import dataclass
from itertools import groupby

from chalicelib.core.job import Ready
from chalicelib.core.lane import Lane
from chalicelib.core.scheduling.blocked import Why
from chalicelib.core.scheduling.snapshot import Capacity, Environment, Queue, Snapshot

UNLIMITED_CPU_UNITS = 2**62


@dataclass(slots=True, kw_only=True)
class Left:
    """What an environment has left."""

    environment: Environment
    cpu_units: int
    starting: int


Placed = list[tuple[Ready, str, int]]
BlockedHeads = dict[str, tuple[Ready, Why]]


def reference_plan(
    snapshot: Snapshot, *, starting_window: int, placements_limit: int
) -> tuple[Placed, BlockedHeads]:
    """Return the placements (ready row, environment, count) and the blocked heads by queue."""
    left = {
        name: _left(environment, snapshot.capacities.get(name), starting_window)
        for name, environment in snapshot.environments.items()
    }
    placements: Placed = []
    budget = placements_limit
    blocked: BlockedHeads = {}
    usable = sorted((q for q in snapshot.queues if q.usable), key=lambda q: -q.priority)
    for _, peers in groupby(usable, key=lambda queue: queue.priority):
        waiting = {q: list(snapshot.lanes.get(Lane.fifo(q.name), ())) for q in peers}
        while budget > 0:
            heads = [queue for queue, rows in waiting.items() if rows]
            if not heads:
                break
            queue = min(heads, key=lambda head: (waiting[head][0].rank, head.name))
            ready = waiting[queue].pop(0)
            count = snapshot.children.get(ready.key, 1) if ready.is_array else 1
            placed = _place(ready, min(count, budget), _candidates(queue, left))
            placements.extend(placed)
            taken = sum(number for _, _, number in placed)
            if taken < min(count, budget):
                blocked[queue.name] = ready, _why(ready, _candidates(queue, left))
                waiting[queue] = []
            budget -= taken
    return placements, blocked


def _left(environment: Environment, capacity: Capacity | None, starting_window: int) -> Left:
    used = capacity or Capacity(environment=environment.name)
    limit = environment.limit_cpu_units
    return Left(
        environment=environment,
        cpu_units=UNLIMITED_CPU_UNITS if limit is None else limit - used.cpu_units,
        starting=starting_window - used.starting,
    )


def _candidates(queue: Queue, left: dict[str, Left]) -> list[Left]:
    return [
        left[name] for name in queue.environments if name in left and left[name].environment.usable
    ]


def _place(ready: Ready, count: int, candidates: list[Left]) -> Placed:
    placed = []
    for one in candidates:
        fitting = one.cpu_units // ready.cpu_units if ready.cpu_units else count
        taken = min(count, fitting, one.starting)
        if taken > 0:
            one.cpu_units -= taken * ready.cpu_units
            one.starting -= taken
            count -= taken
            placed.append((ready, one.environment.name, taken))
    return placed


def _why(ready: Ready, candidates: list[Left]) -> Why:
    if not candidates:
        return Why.NO_USABLE_ENVIRONMENT
    limits = [one.environment.limit_cpu_units for one in candidates]
    if all(limit is not None and ready.cpu_units > limit for limit in limits):
        return Why.JOB_RESOURCE_REQUIREMENT
    if any(one.cpu_units >= ready.cpu_units for one in candidates):
        return Why.STARTING_WINDOW_FULL
    return Why.CAPACITY_IN_USE
