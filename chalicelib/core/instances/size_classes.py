"""Size classes: the types of an environment, divided into groups of one size each.

An Auto Scaling group chooses the type of a new instance by price or capacity, never by the task
that waits for it. In a group of small and large types a large task would wait for ever, while small
instances are started for it without end. So each group has types of one vCPU count, whose smallest
memory is what a task placed there may need, and a task goes to the smallest class that holds it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from chalicelib.core.instances.instance_types import (
    InstanceType,
    at_least,
    pareto_front,
    size_order,
)

MOST_TYPES = 40  # in one Auto Scaling group (API reference, LaunchTemplateOverrides)
_STEP = 4  # from one class to the next, in vCPUs, where there are many
_FEW = 4  # vCPU counts, each of which has a class
# Warm instances serve all jobs that are smaller, so the smallest class starts at their size.
_LARGEST_BASE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeClass:
    """Types of one vCPU and GPU count, by fit: those with the least memory first.

    `memory_mib` is the nominal memory that each of them has.
    """

    types: tuple[InstanceType, ...]

    @property
    def vcpus(self) -> int:
        return self.types[0].vcpus

    @property
    def gpus(self) -> int:
        return self.types[0].gpus

    @property
    def memory_mib(self) -> int:
        return min(one.memory_mib for one in self.types)

    @property
    def architecture(self) -> str:
        return self.types[0].architecture

    def instances_for(self, vcpus: int) -> int:
        """Return the fewest instances that have these vCPUs."""
        return ceil(vcpus / self.vcpus)

    def holds(self, one: InstanceType) -> bool:
        """Return whether each of its types has what `one` has."""
        return (
            self.vcpus >= one.vcpus and self.memory_mib >= one.memory_mib and self.gpus >= one.gpus
        )


def size_classes(
    types: Sequence[InstanceType], *, least_vcpus: int, most_vcpus: int, ordered: bool
) -> tuple[SizeClass, ...]:
    """Return the classes of these types, smallest first; the first one has the warm instances.

    `least_vcpus` and `most_vcpus` are minvCpus and maxvCpus. Types larger than maxvCpus are left
    out if there are others. Whatever one of the rest holds, a class holds. `ordered` keeps the
    order of the types in each class, which is their owner's; otherwise they are ordered by fit.
    """
    usable = within(types, most_vcpus)
    order = types if ordered else ()
    made: list[SizeClass] = []
    for vcpus, gpus in _counts(usable, least_vcpus):
        members = [one for one in usable if (one.vcpus, one.gpus) == (vcpus, gpus)]
        made.append(class_of(members, order))
    for gpus in sorted({one.gpus for one in usable}):
        alike = [one for one in usable if one.gpus == gpus]
        for top in pareto_front(alike):
            # One with more GPUs would hold it as well, at many times the price.
            if not any(one.holds(top) for one in made if one.gpus == gpus):
                equal = [one for one in alike if at_least(one, top)]
                made.append(class_of(equal, order))
    return tuple(sorted(made, key=lambda one: (one.gpus, one.vcpus, one.memory_mib)))


def within(types: Sequence[InstanceType], most_vcpus: int) -> list[InstanceType]:
    """Return the types that do not exceed maxvCpus by themselves; where all do, the smallest."""
    fewest = min(one.vcpus for one in types)
    return [one for one in types if one.vcpus <= max(most_vcpus, fewest)]


def _counts(types: Sequence[InstanceType], least_vcpus: int) -> list[tuple[int, int]]:
    """Return the (vCPU, GPU) counts that have a class, chosen for each number of GPUs."""
    chosen: list[tuple[int, int]] = []
    for gpus in sorted({one.gpus for one in types}):
        counts = sorted({one.vcpus for one in types if one.gpus == gpus})
        warm = min(least_vcpus, _LARGEST_BASE)
        base = max((one for one in counts if one <= warm), default=counts[0])
        counts = [one for one in counts if one >= base]
        if len(counts) > _FEW:
            kept = counts[:1]
            kept += [one for one in counts if _starts_a_class(one, counts)]
            counts = kept
        chosen += [(one, gpus) for one in counts]
    return chosen


def _starts_a_class(count: int, counts: Sequence[int]) -> bool:
    """Return whether the count is the next, four times as large, in the chain from the smallest."""
    last = counts[0]
    for one in counts:
        if one >= last * _STEP:
            last = one
            if one == count:
                return True
    return False


def class_of(members: Sequence[InstanceType], order: Sequence[InstanceType] = ()) -> SizeClass:
    """Return the class of these types; of more than a group takes, those that fit best.

    They are ordered by fit, or as they stand in `order`.
    """
    by_fit = sorted(members, key=size_order)[:MOST_TYPES]
    if order:
        by_fit.sort(key=order.index)
    return SizeClass(types=tuple(by_fit))
