"""Size classes and groups, for every choice of real instance types and limits."""

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.instances.groups import group_size
from chalicelib.core.instances.instance_types import InstanceType
from chalicelib.core.instances.size_classes import MOST_TYPES, size_classes, within
from chalicelib.core.instances.sizes import registered_memory_mib
from chalicelib.core.instances.slots import MOST_SLOTS, assign, slot_for, slot_of
from chalicelib.core.task_size import TaskSize
from tests.support.instance_types import all_types

X86 = [one for one in all_types() if one.architecture == "x86_64"]
LIMITS = st.integers(0, 2000)
choices = st.lists(st.sampled_from(X86), min_size=1, max_size=60, unique_by=lambda one: one.name)


def size_of(one: InstanceType) -> TaskSize:
    """Return the largest task that an instance of the type can hold."""
    memory_mib = registered_memory_mib(one.memory_mib)
    return TaskSize(cpu_units=one.vcpus * 1024, memory_mib=memory_mib, gpus=one.gpus)


@given(types=choices, least=LIMITS, most=LIMITS, ordered=st.booleans())
def test_whatever_a_type_can_hold_goes_to_a_class_all_of_whose_types_hold_it(
    types: list[InstanceType], least: int, most: int, ordered: bool
) -> None:
    classes = size_classes(types, least_vcpus=least, most_vcpus=most, ordered=ordered)
    slots = [slot_of(one) for one in classes]
    for task in within(types, most):
        one = classes[slot_for(size_of(task), slots)]
        for each in one.types:
            assert each.vcpus >= task.vcpus
            assert each.memory_mib >= task.memory_mib
            assert each.gpus >= task.gpus


@given(types=choices, least=LIMITS, most=LIMITS)
def test_a_class_has_types_of_one_size_and_no_more_than_a_group_takes(
    types: list[InstanceType], least: int, most: int
) -> None:
    for one in size_classes(types, least_vcpus=least, most_vcpus=most, ordered=False):
        assert len({(each.vcpus, each.gpus) for each in one.types}) == 1
        assert 1 <= len(one.types) <= MOST_TYPES


@given(types=choices, least=LIMITS, more=LIMITS, desired=LIMITS, may_grow=st.booleans())
def test_a_group_never_exceeds_maxvcpus_by_an_instance_and_always_has_minvcpus(
    types: list[InstanceType], least: int, more: int, desired: int, may_grow: bool
) -> None:
    most = least + more
    resources = {"minvCpus": least, "maxvCpus": most, "desiredvCpus": min(desired, most)}
    first, *others = size_classes(types, least_vcpus=least, most_vcpus=most, ordered=False)
    for one in (first, *others):
        size = group_size(resources, one, is_first=one is first, may_grow=may_grow, now=0)
        assert 0 <= size.least <= size.desired <= size.most
        assert one is not first or size.least * one.vcpus >= least
        assert size.most == 0 or (size.most - 1) * one.vcpus < most


@given(first=choices, second=choices, most=st.integers(1, 2000), more=st.integers(1, 2000))
def test_an_update_keeps_the_groups_whose_instances_it_still_wants(
    first: list[InstanceType], second: list[InstanceType], most: int, more: int
) -> None:
    wanted = size_classes(first, least_vcpus=0, most_vcpus=most, ordered=False)
    before = [slot_of(one) for one in wanted]
    same = assign(wanted, before, within(first, most))
    assert same == wanted
    grown = size_classes(first, least_vcpus=0, most_vcpus=most + more, ordered=False)
    kept = assign(grown, before, within(first, most + more))
    assert len(kept) > MOST_SLOTS or [slot_of(one) for one in kept][: len(before)] == before
    changed = size_classes(second, least_vcpus=0, most_vcpus=most, ordered=False)
    after = assign(changed, before, within(second, most))
    assert {slot_of(one) for one in changed} <= {slot_of(one) for one in after}
