"""The size of a task: what it needs of one instance, or what one instance holds at most."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSize:
    """The size of a task, or the largest that an instance can hold.

    `architecture` is that of EC2 (x86_64 or arm64). None stands for any: a task that does not say
    runs on either, and what holds either takes every task.
    """

    cpu_units: int
    memory_mib: int
    gpus: int = 0
    architecture: str | None = None

    def holds(self, task: "TaskSize") -> bool:
        """Return whether a task of that size fits here, where nothing else runs."""
        return (
            task.cpu_units <= self.cpu_units
            and task.memory_mib <= self.memory_mib
            and task.gpus <= self.gpus
            and (task.architecture is None or self.architecture in (None, task.architecture))
        )

    def includes(self, other: "TaskSize") -> bool:
        """Return whether every task that fits the other size fits this one."""
        return self.holds(other) and self.architecture in (None, other.architecture)

    def __str__(self) -> str:
        """Return the size in the words of a reason, such as `4 vCPU, 8192 MiB, 1 GPU, arm64`."""
        parts = [f"{self.cpu_units / 1024:g} vCPU", f"{self.memory_mib} MiB"]
        if self.gpus:
            parts.append(f"{self.gpus} GPU")
        if self.architecture is not None:
            parts.append(self.architecture)
        return ", ".join(parts)


def pareto_front(sizes: Iterable[TaskSize]) -> tuple[TaskSize, ...]:
    """Return the sizes that no other one includes, the largest first; of equal ones, one."""
    front: list[TaskSize] = []
    for size in sorted(set(sizes), key=_order):
        # What includes it is at least as large in all, so it comes before it.
        if not any(kept.includes(size) for kept in front):
            front.append(size)
    return tuple(front)


def _order(size: TaskSize) -> tuple[int, int, int, str]:
    return (-size.cpu_units, -size.memory_mib, -size.gpus, size.architecture or "")
