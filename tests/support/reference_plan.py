"""A second, frozen implementation of planning for FIFO queues, as an oracle for `make_plan`.

It knows nothing of lanes or of an order between them: a queue is one list, and a head that cannot
be placed blocks it. It is the algorithm that `make_plan` had before lanes were keyed by share, one
launch after the other, with the rules for permits, cooling and held jobs written a second time.
"""

from dataclasses import dataclass
from itertools import groupby

from chalicelib.core.lane import Lane
from chalicelib.core.ready import Ready
from chalicelib.core.scheduling.blocked import Why
from chalicelib.core.scheduling.snapshot import Capacity, Environment, Queue, Snapshot

UNLIMITED_CPU_UNITS = 2**62


@dataclass(slots=True, kw_only=True)
class Left:
    """What an environment has left."""

    environment: Environment
    cpu_units: int
    starting: int
    cools: bool  # a probe is the only launch that it may still get
    probes: int
    replacements: int  # launches in place of tasks that ended on instances


Placed = list[tuple[Ready, str, int]]
BlockedHeads = dict[str, tuple[Ready, Why]]


def reference_plan(
    snapshot: Snapshot, *, starting_window: int, placements_limit: int
) -> tuple[Placed, BlockedHeads]:
    """Return the placements (ready row, environment, count) and the blocked heads by queue."""
    left = {
        name: _left(environment, snapshot, starting_window)
        for name, environment in snapshot.environments.items()
    }
    placements: Placed = []
    budget = placements_limit
    permits = snapshot.permits.available if snapshot.permits else 10**9
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
            if (ready.held_until_ms or 0) > snapshot.now_ms:
                blocked[queue.name] = ready, Why.BACKING_OFF
                waiting[queue] = []
                continue
            wanted = min(count, budget)
            candidates = _candidates(ready, queue, left)
            placed = _place(ready, min(wanted, max(permits, 0)), candidates)
            placements.extend(placed)
            taken = sum(number for _, _, number in placed)
            permits -= taken
            if taken < wanted:
                why = _why(ready, queue, snapshot, candidates)
                if permits <= 0 and any(_fits(ready, one) for one in candidates):
                    why = Why.LAUNCH_RATE
                blocked[queue.name] = ready, why
                waiting[queue] = []
            budget -= taken
    return placements, blocked


def _left(environment: Environment, snapshot: Snapshot, starting_window: int) -> Left:
    used = snapshot.capacities.get(environment.name) or Capacity(environment=environment.name)
    limit = environment.limit_cpu_units
    if environment.provisioning_limit is not None:
        starting_window = min(starting_window, environment.provisioning_limit)
    cools = used.cooling is not None and used.cooling.until_ms + 900_000 >= snapshot.now_ms
    due = used.cooling is not None and used.cooling.until_ms <= snapshot.now_ms
    return Left(
        environment=environment,
        cpu_units=UNLIMITED_CPU_UNITS if limit is None else limit - used.cpu_units,
        starting=starting_window - used.starting,
        cools=cools,
        probes=1 if due else 0,
        replacements=max(0, used.cooling.running - used.tasks)
        if cools and used.cooling and environment.is_on_instances
        else 0,
    )


def _candidates(ready: Ready, queue: Queue, left: dict[str, Left]) -> list[Left]:
    usable = [
        left[name] for name in queue.environments if name in left and left[name].environment.usable
    ]
    if ready.spot_losses is None:
        return usable
    for one in usable:
        environment = one.environment
        if not (environment.is_spot or _too_small(ready, environment)) and _below_maximum(
            ready, environment
        ):
            return [other for other in usable if not other.environment.is_spot]
    return usable


def _too_small(ready: Ready, environment: Environment) -> bool:
    """Return whether no instance holds it, or one of its nodes."""
    if ready.node_sizes and not environment.runs_nodes:
        return True
    for task in ready.node_sizes or (ready,):
        fits = [
            one
            for one in environment.holds
            if one.cpu_units >= task.cpu_units
            and one.memory_mib >= task.memory_mib
            and one.gpus >= task.gpus
        ]
        if task.architecture:
            fits = [one for one in fits if one.architecture in (task.architecture, None)]
        if environment.holds and not fits:
            return True
    return False


def _below_maximum(ready: Ready, environment: Environment) -> bool:
    limit = environment.limit_cpu_units
    return limit is None or ready.cpu_units <= limit


def _fits(ready: Ready, one: Left) -> bool:
    if _too_small(ready, one.environment) or one.cpu_units < ready.cpu_units:
        return False
    return one.starting > 0 and (not one.cools or one.probes > 0 or one.replacements > 0)


def _place(ready: Ready, count: int, candidates: list[Left]) -> Placed:
    placed = []
    for one in candidates:
        taken, replaces = 0, one.replacements > 0
        # A probe of the same job waits for the next plan, where it is known as one.
        while taken < count and _fits(ready, one) and replaces == (one.replacements > 0):
            one.cpu_units -= ready.cpu_units
            one.starting -= 1
            if replaces:
                one.replacements -= 1
            else:
                one.probes -= 1
            taken += 1
        if taken > 0:
            count -= taken
            placed.append((ready, one.environment.name, taken))
    return placed


def _why(ready: Ready, queue: Queue, snapshot: Snapshot, candidates: list[Left]) -> Why:
    able = [
        one
        for one in candidates
        if _below_maximum(ready, one.environment) and not _too_small(ready, one.environment)
    ]
    known = [snapshot.environments.get(name) for name in queue.environments]
    if not able and any(one is not None and one.is_changing for one in known):
        return Why.ENVIRONMENT_CHANGING
    if not candidates:
        return Why.NO_USABLE_ENVIRONMENT
    if not any(_below_maximum(ready, one.environment) for one in candidates):
        return Why.MAX_RESOURCE
    if not able:
        return Why.JOB_RESOURCE_REQUIREMENT
    roomy = [one for one in able if one.cpu_units >= ready.cpu_units]
    if all(one.cools for one in able) and len(roomy) == len(able):
        return Why.INSUFFICIENT_CAPACITY
    if any(not one.cools for one in roomy):
        return Why.STARTING_WINDOW_FULL
    return Why.CAPACITY_IN_USE
