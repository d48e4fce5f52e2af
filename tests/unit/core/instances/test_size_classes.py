"""Size classes: which sizes of instances an environment has groups of."""

import pytest

from chalicelib.core.instances.size_classes import SizeClass, size_classes
from tests.support.instance_types import types_of


def sizes(
    *names: str, least: int = 0, most: int = 256, ordered: bool = False
) -> list[tuple[int, int, int]]:
    """Return (vCPUs, GiB, GPUs) of the classes."""
    made = size_classes(types_of(*names), least_vcpus=least, most_vcpus=most, ordered=ordered)
    return [(one.vcpus, one.memory_mib // 1024, one.gpus) for one in made]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            ["optimal"],
            [(2, 4, 0), (8, 16, 0), (32, 64, 0), (128, 256, 0), (128, 1024, 0), (192, 384, 0)],
        ),
        (["m5"], [(2, 8, 0), (8, 32, 0), (32, 128, 0), (96, 384, 0)]),
        (["c5.large", "c5.xlarge", "c5.2xlarge"], [(2, 4, 0), (4, 8, 0), (8, 16, 0)]),
        (["m5.large", "m5a.large", "m4.large"], [(2, 8, 0)]),
        (["c5.4xlarge", "p4d"], [(16, 32, 0), (96, 1152, 8)]),
    ],
)
def test_an_environment_has_few_classes_each_several_times_the_one_below(
    names: list[str], expected: list[tuple[int, int, int]]
) -> None:
    assert sizes(*names) == expected


def test_types_that_are_larger_than_maxvcpus_are_left_out() -> None:
    assert sizes("optimal", most=16)[-1] == (16, 128, 0)
    assert sizes("c5.large", "c5.9xlarge", most=32) == [(2, 4, 0)]


def test_where_every_type_is_larger_than_maxvcpus_the_smallest_is_used() -> None:
    """AWS Batch may exceed maxvCpus by one instance."""
    assert sizes("g5.12xlarge", "g5.48xlarge", most=4) == [(48, 192, 4)]


def test_warm_instances_are_as_large_as_minvcpus_allows_so_that_many_jobs_fit_them() -> None:
    assert sizes("optimal", least=16)[0] == (16, 32, 0)
    assert sizes("optimal", least=200)[0] == (16, 32, 0)
    assert sizes("optimal", least=3)[0] == (2, 4, 0)


def test_a_job_without_gpus_has_instances_without_gpus_as_large_as_there_are() -> None:
    assert (96, 192, 0) in sizes("c5", "p4d")


def test_the_types_of_a_class_are_ordered_by_fit() -> None:
    (one, *_) = size_classes(types_of("optimal"), least_vcpus=0, most_vcpus=64, ordered=False)
    assert [each.name for each in one.types] == [
        "c6i.large",
        "c7i.large",
        "m6i.large",
        "r6i.large",
    ]


def test_the_types_of_a_class_keep_their_owner_s_order_if_the_strategy_is_ordered() -> None:
    types = types_of("r6i.large", "c6i.large", "m6i.large")
    (one, _) = size_classes(types, least_vcpus=0, most_vcpus=64, ordered=True)
    assert [each.name for each in one.types] == ["r6i.large", "c6i.large", "m6i.large"]


def test_instances_for_vcpus_exceed_them_by_less_than_one_instance() -> None:
    one = SizeClass(types=types_of("c5.4xlarge"))
    assert [one.instances_for(vcpus) for vcpus in (0, 1, 16, 17, 256)] == [0, 1, 1, 2, 16]
