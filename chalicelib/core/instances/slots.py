"""Slots: which of an environment's groups has which size class.

A group keeps its class while the environment has it, so that a change of limits replaces no
instance. The row remembers the slots (`made`), by which a task finds its group when it is launched.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.core.instances.instance_types import InstanceType, pareto_front
from chalicelib.core.instances.size_classes import MOST_TYPES, SizeClass, class_of
from chalicelib.core.instances.sizes import registered_memory_mib
from chalicelib.core.task_size import TaskSize

# (vCPUs, nominal MiB, GPUs) of a class; None for a slot whose group stays empty.
Slot = tuple[int, int, int] | None
_SLOTS = "slots"  # the member of `made`
MOST_SLOTS = 20  # capacity providers of a cluster (Amazon ECS service quotas)


def slots_of(made: Mapping[str, Any]) -> tuple[Slot, ...]:
    """Return the slots that the row remembers."""
    return tuple(
        None if one is None else (int(one[0]), int(one[1]), int(one[2]))
        for one in made.get(_SLOTS) or ()
    )


def made_of(slots: Sequence[Slot]) -> dict[str, Any]:
    """Return the member of `made` that remembers the slots."""
    return {_SLOTS: [None if one is None else list(one) for one in slots]}


def slot_of(one: SizeClass | None) -> Slot:
    """Return the slot of a class."""
    return None if one is None else (one.vcpus, one.memory_mib, one.gpus)


def assign(
    wanted: Sequence[SizeClass],
    before: Sequence[Slot],
    types: Sequence[InstanceType],
    *,
    ordered: bool = False,
) -> tuple[SizeClass | None, ...]:
    """Return the class of each slot; new ones come behind those that were there `before`.

    A slot keeps a class that the `types` still make, because instances of it may run jobs; a slot
    whose class they do not make takes a new one, or stays empty. `ordered` types keep their order.
    """
    order = types if ordered else ()
    kept = [None if slot is None else _remade(slot, types, order) for slot in before]
    if len(kept) + len(wanted) > MOST_SLOTS:
        chosen = {slot_of(one) for one in wanted}
        kept = [one if slot_of(one) in chosen else None for one in kept]
    sizes = {slot_of(one) for one in kept}
    new = [one for one in wanted if slot_of(one) not in sizes]
    for number, one in enumerate(kept):
        if one is None and new:
            kept[number] = new.pop(0)
    return (*kept, *new)


def slot_for(task: TaskSize, slots: Sequence[Slot]) -> int:
    """Return the number of the slot whose instances are the smallest that hold the task.

    A task that no class holds goes to the largest: ECS says what is missing.
    """
    known = [(slot, number) for number, slot in enumerate(slots) if slot is not None]
    if not known:
        return 0
    ordered = sorted(known, key=lambda one: (one[0][2], one[0][0], one[0][1]))
    for (vcpus, nominal_mib, gpus), number in ordered:
        size = TaskSize(
            cpu_units=vcpus * 1024, memory_mib=registered_memory_mib(nominal_mib), gpus=gpus
        )
        if size.holds(task):
            return number
    return ordered[-1][1]


def largest(classes: Sequence[SizeClass]) -> tuple[InstanceType, ...]:
    """Return what the classes hold at most for one task, as types: those that no other exceeds."""
    floors = [
        InstanceType(
            name=one.types[0].name,
            vcpus=one.vcpus,
            memory_mib=one.memory_mib,
            gpus=one.gpus,
            architecture=one.architecture,
        )
        for one in classes
    ]
    return pareto_front(floors)


def _remade(
    slot: tuple[int, int, int], types: Sequence[InstanceType], order: Sequence[InstanceType]
) -> SizeClass | None:
    """Return the class of the slot made of these types; None if they make another, or none."""
    vcpus, memory_mib, gpus = slot
    members = [
        one
        for one in types
        if (one.vcpus, one.gpus) == (vcpus, gpus) and one.memory_mib >= memory_mib
    ]
    if not members or len(members) > MOST_TYPES:
        return None
    made = class_of(members, order)
    return made if slot_of(made) == slot else None
