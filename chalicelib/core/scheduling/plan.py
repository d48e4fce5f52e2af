"""The plan: which waiting jobs are placed in which environments, and why the others wait.

Queues are served by descending priority; among queues of equal priority, the one with the oldest
head first. The queue's `order` chooses between its lanes, and a lane is served in rank order. A
head that cannot be placed blocks its lane, or its whole queue where the order says so. A job takes
the first environment of its queue that has enough free capacity. Each blocked head gets a label
from a closed set and a sentence for the user.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from chalicelib.core.job import Ready
from chalicelib.core.lane import Lane
from chalicelib.core.scheduling.snapshot import Capacity, Environment, Queue, Snapshot

# An UNMANAGED environment has no maximum; ECS itself refuses what does not fit.
_UNLIMITED_CPU_UNITS = 2**62


class Why(StrEnum):
    """Why the head of a lane waits. The MISCONFIGURATION labels are AWS's own."""

    NO_USABLE_ENVIRONMENT = "NO_USABLE_ENVIRONMENT"
    CAPACITY_IN_USE = "CAPACITY_IN_USE"
    STARTING_WINDOW_FULL = "STARTING_WINDOW_FULL"
    JOB_RESOURCE_REQUIREMENT = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A job that is given to an environment, or the next `count` children of an array."""

    ready: Ready
    environment: str
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """The head of a lane that cannot be placed now, with the reason."""

    ready: Ready
    why: Why
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The placements in the order in which they were decided, and the blocked head of each lane."""

    placements: tuple[Placement, ...]
    blocked: Mapping[Lane, Blocked]

    @property
    def count(self) -> int:
        """How many jobs and children are placed."""
        return _count(self.placements)


@dataclass(slots=True, kw_only=True)
class _FreeCapacity:
    """What is still free in an environment while a plan is being made."""

    environment: Environment
    cpu_units: int
    starting: int  # how many more tasks may start

    def take(self, ready: Ready, wanted: int) -> int:
        """Take capacity for up to `wanted` tasks of this size; return for how many there was."""
        fitting = self.cpu_units // ready.cpu_units if ready.cpu_units else wanted
        taken = max(0, min(wanted, fitting, self.starting))
        self.cpu_units -= taken * ready.cpu_units
        self.starting -= taken
        return taken


@dataclass(frozen=True, slots=True, kw_only=True)
class _Backlog:
    """The ready rows of a queue that are still to be planned, lane by lane, heads first."""

    queue: Queue
    lanes: Mapping[Lane, deque[Ready]]

    @property
    def head(self) -> Ready | None:
        """The ready row to be planned next, or None if none is left."""
        heads = {lane: rows[0] for lane, rows in self.lanes.items() if rows}
        return heads[self.queue.order.next_lane(heads)] if heads else None

    def remove(self, head: Ready) -> None:
        self.lanes[head.lane].popleft()

    def block(self, lane: Lane) -> None:
        """Plan nothing more from this lane, or from the whole queue if its order says so."""
        for each in self.lanes if self.queue.order.blocks_queue else (lane,):
            self.lanes[each].clear()


def make_plan(snapshot: Snapshot, *, starting_window: int, placements_limit: int) -> Plan:
    """Place as many jobs and children as fit, at most `placements_limit`.

    At most `starting_window` tasks of one environment are STARTING at the same time.
    """
    free = {
        name: _free_capacity(environment, snapshot.capacities.get(name), starting_window)
        for name, environment in snapshot.environments.items()
    }
    placements: list[Placement] = []
    blocked: dict[Lane, Blocked] = {}
    budget = placements_limit
    for backlogs in _backlogs_by_priority(snapshot):
        while budget > 0 and (found := _next_head(backlogs)):
            backlog, head = found
            backlog.remove(head)
            children = snapshot.children.get(head.key, 1) if head.is_array else 1
            wanted = min(children, budget)
            candidates = _candidates(backlog.queue, free)
            placed = _place(head, wanted, candidates)
            placements.extend(placed)
            placed_count = _count(placed)
            budget -= placed_count
            if placed_count < wanted:
                blocked[head.lane] = _blocked(head, backlog.queue, candidates)
                backlog.block(head.lane)
    return Plan(placements=tuple(placements), blocked=blocked)


def _free_capacity(
    environment: Environment, used: Capacity | None, starting_window: int
) -> _FreeCapacity:
    used = used or Capacity(environment=environment.name)
    limit = environment.limit_cpu_units
    return _FreeCapacity(
        environment=environment,
        cpu_units=_UNLIMITED_CPU_UNITS if limit is None else limit - used.cpu_units,
        starting=starting_window - used.starting,
    )


def _backlogs_by_priority(snapshot: Snapshot) -> Iterator[list[_Backlog]]:
    """Yield the backlogs of the usable queues, those of equal priority together."""
    usable = [queue for queue in snapshot.queues if queue.usable]
    usable.sort(key=lambda queue: -queue.priority)
    for _, peers in groupby(usable, key=lambda queue: queue.priority):
        yield [
            _Backlog(
                queue=queue,
                lanes={lane: deque(snapshot.lanes.get(lane, ())) for lane in queue.lanes},
            )
            for queue in peers
        ]


def _next_head(backlogs: Sequence[_Backlog]) -> tuple[_Backlog, Ready] | None:
    """Return the oldest of the queues' heads with its backlog; None if no queue has one."""
    found = [(backlog, head) for backlog in backlogs if (head := backlog.head)]
    return min(found, key=lambda pair: (pair[1].rank, pair[0].queue.name), default=None)


def _candidates(queue: Queue, free: Mapping[str, _FreeCapacity]) -> list[_FreeCapacity]:
    """Return the queue's usable environments in its order; one that was deleted is left out."""
    known = [free[name] for name in queue.environments if name in free]
    return [candidate for candidate in known if candidate.environment.usable]


def _place(ready: Ready, wanted: int, candidates: Sequence[_FreeCapacity]) -> list[Placement]:
    """Place as many of `wanted` as fit, filling the first environment first."""
    placed = []
    for candidate in candidates:
        taken = candidate.take(ready, wanted)
        wanted -= taken
        if taken > 0:
            name = candidate.environment.name
            placed.append(Placement(ready=ready, environment=name, count=taken))
    return placed


def _count(placements: Sequence[Placement]) -> int:
    return sum(placement.count for placement in placements)


def _blocked(ready: Ready, queue: Queue, candidates: Sequence[_FreeCapacity]) -> Blocked:
    """Return why `ready` could not be placed in any of these environments."""
    if not candidates:
        names = ", ".join(queue.environments) or "none"
        why, sentence = (
            Why.NO_USABLE_ENVIRONMENT,
            f"No compute environment of the job queue is ENABLED and VALID ({names}); the job "
            "starts when one of them is.",
        )
    elif all(_never_fits(ready, candidate.environment) for candidate in candidates):
        why, sentence = (
            Why.JOB_RESOURCE_REQUIREMENT,
            f"{Why.JOB_RESOURCE_REQUIREMENT} - The job resource requirement (vCPU/memory/GPU) is "
            "higher than that can be met by the CE(s) attached to the job queue.",
        )
    elif any(candidate.cpu_units >= ready.cpu_units for candidate in candidates):
        why, sentence = (
            Why.STARTING_WINDOW_FULL,
            "The compute environment's launch limit is reached; the job starts when tasks that "
            "are starting reach RUNNING.",
        )
    else:
        free = ", ".join(f"{c.environment.name}: {_vcpus(c.cpu_units)}" for c in candidates)
        why, sentence = (
            Why.CAPACITY_IN_USE,
            f"The job needs {_vcpus(ready.cpu_units)} vCPU, but less is free below maxvCpus "
            f"({free}); the job starts when other jobs end or maxvCpus is raised.",
        )
    return Blocked(ready=ready, why=why, sentence=sentence)


def _never_fits(ready: Ready, environment: Environment) -> bool:
    limit = environment.limit_cpu_units
    return limit is not None and ready.cpu_units > limit


def _vcpus(cpu_units: int) -> str:
    return f"{max(cpu_units, 0) / 1024:g}"
