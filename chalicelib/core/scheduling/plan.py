"""The plan: which waiting jobs are placed where, and why the others are not.

Queues are taken by descending priority; among queues of one priority the oldest head comes first.
Within a queue the order of its lane is kept: a head that cannot be placed blocks the queue (as in
AWS Batch's FIFO queues) and the queue is skipped. A job takes the first environment of its queue's
order that has room. Every verdict carries a closed label and a sentence for the user who asks why.
"""

from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from chalicelib.core.job import Ready
from chalicelib.core.scheduling.snapshot import Capacity, Environment, Queue, Snapshot


class Why(StrEnum):
    """Why the head of a queue waits. The MISCONFIGURATION labels are AWS's own."""

    NO_USABLE_ENVIRONMENT = "NO_USABLE_ENVIRONMENT"
    CAPACITY_IN_USE = "CAPACITY_IN_USE"
    STARTING_WINDOW_FULL = "STARTING_WINDOW_FULL"
    JOB_RESOURCE_REQUIREMENT = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A job, or `count` of an array's next children, given to an environment."""

    ready: Ready
    environment: str
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """The head of a queue that cannot be placed now, with the reason."""

    ready: Ready
    why: Why
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    placements: tuple[Placement, ...]
    blocked: dict[str, Blocked]  # by queue

    @property
    def count(self) -> int:
        """How many jobs and children are placed."""
        return sum(placement.count for placement in self.placements)


@dataclass(slots=True, kw_only=True)
class _Remaining:
    """What is left of an environment while a plan is being made."""

    environment: Environment
    cpu_units: int
    starting: int


def make_plan(snapshot: Snapshot, *, starting_window: int, placements_limit: int) -> Plan:
    """Place as many jobs and children as fit, at most `placements_limit`.

    No more than `starting_window` of an environment's are STARTING.
    """
    remaining = {
        name: _room(environment, snapshot.capacities.get(name), starting_window)
        for name, environment in snapshot.environments.items()
    }
    placements: list[Placement] = []
    left = placements_limit
    blocked: dict[str, Blocked] = {}
    usable = sorted((q for q in snapshot.queues if q.usable), key=lambda q: -q.priority)
    for _, peers in groupby(usable, key=lambda queue: queue.priority):
        waiting = {queue: list(snapshot.lanes.get(queue.name, ())) for queue in peers}
        while left > 0:
            heads = [queue for queue, lane in waiting.items() if lane]
            if not heads:
                break
            queue = min(heads, key=lambda head: (waiting[head][0].rank, head.name))
            ready = waiting[queue].pop(0)
            count = snapshot.children.get(ready.key, 1) if ready.is_array else 1
            placed = _place(ready, min(count, left), _candidates(queue, remaining))
            placements.extend(placed)
            taken = sum(placement.count for placement in placed)
            if taken < min(count, left):
                blocked[queue.name] = _blocked(ready, queue, _candidates(queue, remaining))
                waiting[queue] = []
            left -= taken
    return Plan(placements=tuple(placements), blocked=blocked)


def _room(environment: Environment, capacity: Capacity | None, starting_window: int) -> _Remaining:
    used = capacity or Capacity(environment=environment.name)
    limit = environment.limit_cpu_units
    left = _UNLIMITED_CPU_UNITS if limit is None else limit - used.cpu_units
    return _Remaining(
        environment=environment, cpu_units=left, starting=starting_window - used.starting
    )


# An UNMANAGED environment states no maximum; ECS itself refuses what does not fit.
_UNLIMITED_CPU_UNITS = 2**62


def _candidates(queue: Queue, remaining: dict[str, _Remaining]) -> list[_Remaining]:
    return [
        remaining[name]
        for name in queue.environments
        if name in remaining and remaining[name].environment.usable
    ]


def _place(ready: Ready, count: int, candidates: list[_Remaining]) -> list[Placement]:
    """As many of `count` as fit, the first environment filled first."""
    placed = []
    for environment_left in candidates:
        fitting = environment_left.cpu_units // ready.cpu_units if ready.cpu_units else count
        taken = min(count, fitting, environment_left.starting)
        if taken > 0:
            environment_left.cpu_units -= taken * ready.cpu_units
            environment_left.starting -= taken
            count -= taken
            placed.append(
                Placement(ready=ready, environment=environment_left.environment.name, count=taken)
            )
    return placed


def _blocked(ready: Ready, queue: Queue, candidates: list[_Remaining]) -> Blocked:
    need = _vcpus(ready.cpu_units)
    if not candidates:
        names = ", ".join(queue.environments) or "none"
        why, sentence = (
            Why.NO_USABLE_ENVIRONMENT,
            f"No compute environment of the queue is ENABLED and VALID ({names}).",
        )
    elif all(_never_fits(ready, environment_left.environment) for environment_left in candidates):
        why, sentence = (
            Why.JOB_RESOURCE_REQUIREMENT,
            f"{Why.JOB_RESOURCE_REQUIREMENT} - The job resource requirement (vCPU/memory/GPU) is "
            "higher than that can be met by the CE(s) attached to the job queue.",
        )
    elif any(environment_left.cpu_units >= ready.cpu_units for environment_left in candidates):
        why, sentence = (
            Why.STARTING_WINDOW_FULL,
            "As many tasks are starting as may start at once; the next ones follow as these run.",
        )
    else:
        free = ", ".join(f"{r.environment.name} {_vcpus(r.cpu_units)}" for r in candidates)
        why, sentence = (
            Why.CAPACITY_IN_USE,
            f"The job needs {need} vCPU; free below maxvCpus: {free}.",
        )
    return Blocked(ready=ready, why=why, sentence=sentence)


def _never_fits(ready: Ready, environment: Environment) -> bool:
    limit = environment.limit_cpu_units
    return limit is not None and ready.cpu_units > limit


def _vcpus(cpu_units: int) -> str:
    return f"{max(cpu_units, 0) / 1024:g}"
