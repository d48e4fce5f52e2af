"""Where tasks are placed, and which instances are missing for those that are placed nowhere.

Pure. Placing is ECS's `binpack` by memory: of the instances that can hold a task, the one that has
the least left. Tasks of the same size are handled together, so the cost grows with the number of
sizes times the number of instances, not with the number of tasks.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from batchyard.cloud.fleet.instance_types import CPU_UNITS, InstanceType
from chalicelib.core.instances.sizes import registered_memory_mib


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskNeed:
    """What a task takes of an instance; without an architecture it runs on any."""

    cpu_units: int
    memory_mib: int
    gpus: int = 0
    architecture: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What an instance has, or has left."""

    cpu_units: int
    memory_mib: int
    gpus: int
    architecture: str

    def holds(self, need: TaskNeed) -> bool:
        return (
            need.cpu_units <= self.cpu_units
            and need.memory_mib <= self.memory_mib
            and need.gpus <= self.gpus
            and need.architecture in (None, self.architecture)
        )

    def without(self, need: TaskNeed) -> "Capacity":
        """Return what is left beside the task; below zero if it does not fit."""
        return replace(
            self,
            cpu_units=self.cpu_units - need.cpu_units,
            memory_mib=self.memory_mib - need.memory_mib,
            gpus=self.gpus - need.gpus,
        )

    def count(self, need: TaskNeed) -> int:
        """Return how many such tasks fit."""
        if not self.holds(need):
            return 0
        pairs = [
            (self.cpu_units, need.cpu_units),
            (self.memory_mib, need.memory_mib),
            (self.gpus, need.gpus),
        ]
        # A task always needs memory; ECS refuses one that does not say how much.
        return min(has // takes for has, takes in pairs if takes)


def registered(one: InstanceType) -> Capacity:
    """Return what an instance of the type registers with ECS: less memory than its type has."""
    return Capacity(
        cpu_units=one.vcpus * CPU_UNITS,
        memory_mib=registered_memory_mib(one.memory_mib),
        gpus=one.gpus,
        architecture=one.architecture,
    )


def place(
    waiting: Sequence[tuple[str, TaskNeed]], left: Mapping[str, Capacity]
) -> list[tuple[str, str]]:
    """Return (task, instance) for each waiting task that fits, the longest waiting size first.

    `left` is what each instance that takes tasks has left.
    """
    remaining = dict(left)
    placed: list[tuple[str, str]] = []
    for need, tasks in _by_need(waiting).items():
        hosts = sorted(
            (name for name in remaining if remaining[name].holds(need)),
            key=lambda name: (remaining[name].memory_mib, remaining[name].cpu_units, name),
        )
        queue = iter(tasks)
        for host in hosts:
            fitting = remaining[host].count(need)
            for task in _first(queue, fitting):
                placed.append((task, host))
                remaining[host] = remaining[host].without(need)
    return placed


Choice = Callable[[TaskNeed, int], InstanceType | None]


def missing(
    waiting: Sequence[tuple[str, TaskNeed]], coming: Iterable[Capacity], choose: Choice
) -> list[InstanceType]:
    """Return the types of the instances to launch for the tasks that are placed nowhere.

    `coming` is what instances that still boot will have. `choose` returns the type for a number of
    tasks of one size, or None if no type can hold such a task: it waits for nothing.
    """
    bins = list(coming)
    launched: list[InstanceType] = []
    groups = sorted(_by_need(waiting).items(), key=lambda group: _largest_first(group[0]))
    for need, tasks in groups:
        count = len(tasks)
        for position, left in enumerate(bins):
            fitting = min(count, left.count(need))
            bins[position] = _after(left, need, fitting)
            count -= fitting
        while count > 0 and (chosen := choose(need, count)) is not None:
            left = registered(chosen)
            fitting = min(count, left.count(need))
            if fitting == 0:
                break
            launched.append(chosen)
            bins.append(_after(left, need, fitting))
            count -= fitting
    return launched


def first_that_holds(types: Sequence[InstanceType]) -> Choice:
    """Return the choice of an Auto Scaling group: in its order the first type that holds a task."""

    def choose(need: TaskNeed, count: int) -> InstanceType | None:
        return next((one for one in types if registered(one).holds(need)), None)

    return choose


def cheapest_per_task(types: Sequence[InstanceType]) -> Choice:
    """Return the choice of managed instances: the type that costs the least for each task on it.

    Of several the one that holds most tasks, so that fewer instances run.
    """

    def choose(need: TaskNeed, count: int) -> InstanceType | None:
        def rank(one: InstanceType) -> tuple[float, int, str]:
            tasks = min(count, registered(one).count(need))
            return round(one.price_index / tasks, 3), -tasks, one.name

        fitting = [one for one in types if registered(one).holds(need)]
        return min(fitting, key=rank, default=None)

    return choose


def _after(left: Capacity, need: TaskNeed, count: int) -> Capacity:
    for _ in range(count):
        left = left.without(need)
    return left


def _by_need(waiting: Sequence[tuple[str, TaskNeed]]) -> dict[TaskNeed, list[str]]:
    """Return the tasks by size, in the order in which the first of each size came."""
    groups: dict[TaskNeed, list[str]] = {}
    for task, need in waiting:
        groups.setdefault(need, []).append(task)
    return groups


def _largest_first(need: TaskNeed) -> tuple[int, int, int]:
    return -need.gpus, -need.memory_mib, -need.cpu_units


def _first(queue: Iterable[str], count: int) -> list[str]:
    return [task for _, task in zip(range(count), queue, strict=False)]
