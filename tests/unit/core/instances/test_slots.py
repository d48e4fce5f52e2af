"""Slots: which group has which class, and which group a task goes to."""

from chalicelib.core.instances.size_classes import size_classes, within
from chalicelib.core.instances.slots import assign, largest, made_of, slot_for, slot_of, slots_of
from chalicelib.core.task_size import TaskSize
from tests.support.instance_types import types_of

SLOTS = ((2, 4096, 0), (8, 16384, 0), None, (4, 16384, 1), (32, 65536, 0))


def size(vcpus: float, memory_mib: int, gpus: int = 0) -> TaskSize:
    return TaskSize(cpu_units=int(vcpus * 1024), memory_mib=memory_mib, gpus=gpus)


def slot(vcpus: float, memory_mib: int, gpus: int = 0) -> int:
    return slot_for(size(vcpus, memory_mib, gpus), SLOTS)


def test_a_job_goes_to_the_smallest_instances_that_hold_it() -> None:
    assert slot(1, 2048) == 0
    assert slot(2, 3000) == 0
    assert slot(3, 2048) == 1
    assert slot(0.25, 8000) == 1


def test_a_job_that_asks_for_nominal_memory_goes_to_larger_instances() -> None:
    assert slot(2, 4096) == 1


def test_a_job_goes_to_gpus_if_and_only_if_it_asks_for_them() -> None:
    assert slot(1, 2048, 1) == 3
    assert slot(16, 2048) == 4


def test_a_job_that_nothing_holds_goes_to_the_largest() -> None:
    assert slot(64, 2048) == 3
    assert slot_for(size(1, 1024), ()) == 0


def test_the_row_remembers_the_slots() -> None:
    assert slots_of(made_of(SLOTS)) == SLOTS
    assert slots_of({}) == ()


def test_a_group_whose_class_is_gone_stays_empty_until_another_class_takes_it() -> None:
    wanted = size_classes(types_of("m5"), least_vcpus=0, most_vcpus=256, ordered=False)
    before = [slot_of(one) for one in wanted]
    small = size_classes(types_of("m5"), least_vcpus=0, most_vcpus=8, ordered=False)
    kept = assign(small, before, within(types_of("m5"), 8))
    after = [slot_of(one) for one in kept]
    assert after == [(2, 8192, 0), (8, 32768, 0), (4, 16384, 0), None]
    other = assign(
        size_classes(types_of("c5.4xlarge"), least_vcpus=0, most_vcpus=256, ordered=False),
        after,
        types_of("c5.4xlarge"),
    )
    assert [slot_of(one) for one in other] == [(16, 32768, 0), None, None, None]


def test_the_largest_are_what_one_task_may_need() -> None:
    classes = size_classes(types_of("optimal"), least_vcpus=0, most_vcpus=256, ordered=False)
    found = [(one.vcpus, one.memory_mib // 1024) for one in largest(classes)]
    assert found == [(128, 1024), (192, 384)]
