"""What the ECS agent registers of an instance's memory, against what was measured."""

import pytest

from chalicelib.core.instances.sizes import RESERVED_MIB, pareto_front, registered_memory_mib
from chalicelib.core.task_size import TaskSize

# Nominal memory in MiB, and the bytes of it that tasks cannot have, as the Karpenter project
# measured them: for each size the types that lose the most, and those of `optimal`, `default_*` and
# of GPU families.
MEASURED = {
    "t3.micro": (1024, 108_433_408),
    "t3.small": (2048, 137_269_248),
    "a1.medium": (2048, 252_067_840),
    "c5.large": (4096, 453_677_056),
    "c6i.large": (4096, 285_917_184),
    "m6g.medium": (4096, 309_780_480),
    "c5d.xlarge": (8192, 645_001_216),
    "m5.large": (8192, 585_805_824),
    "m6i.large": (8192, 424_321_024),
    "m6g.large": (8192, 473_333_760),
    "m5.xlarge": (16384, 909_246_464),
    "r6i.large": (16384, 703_246_336),
    "r7g.large": (16384, 735_313_920),
    "g4dn.xlarge": (16384, 733_085_696),
    "m5zn.2xlarge": (32768, 1_556_148_224),
    "c5.4xlarge": (32768, 1_558_085_632),
    "p3.2xlarge": (62464, 1_255_772_160),
    "m5.4xlarge": (65536, 2_849_939_456),
    "r6g.2xlarge": (65536, 2_113_294_336),
    "c5.12xlarge": (98304, 4_097_130_496),
    "m5.8xlarge": (131072, 5_336_875_008),
    "c5n.18xlarge": (196608, 7_859_142_656),
    "r6a.8xlarge": (262144, 10_106_011_648),
    "m5d.24xlarge": (393216, 15_314_132_992),
    "r6a.16xlarge": (524288, 20_046_000_128),
    "g5.48xlarge": (786432, 21_549_379_584),
    "r6i.32xlarge": (1048576, 34_284_670_976),
}


@pytest.mark.parametrize("name", MEASURED)
def test_no_instance_registers_less_memory_than_jobs_are_placed_by(name: str) -> None:
    nominal_mib, lost_bytes = MEASURED[name]
    registered_mib = nominal_mib - lost_bytes / 1024**2 - RESERVED_MIB
    assert registered_memory_mib(nominal_mib) <= registered_mib


@pytest.mark.parametrize("name", MEASURED)
def test_a_job_is_not_kept_from_an_instance_by_much_more_than_is_lost(name: str) -> None:
    nominal_mib, lost_bytes = MEASURED[name]
    registered_mib = nominal_mib - lost_bytes / 1024**2 - RESERVED_MIB
    assert registered_memory_mib(nominal_mib) >= 0.92 * registered_mib


def test_a_job_that_asks_for_all_the_memory_of_an_instance_type_does_not_fit() -> None:
    assert registered_memory_mib(8192) < 8192
    assert registered_memory_mib(0) == 0


def size(vcpus: int, gib: int, gpus: int = 0, architecture: str | None = None) -> TaskSize:
    return TaskSize(
        cpu_units=vcpus * 1024, memory_mib=gib * 1024, gpus=gpus, architecture=architecture
    )


def test_only_the_sizes_that_no_other_includes_are_kept() -> None:
    small, wide, high, gpu = size(2, 4), size(96, 192), size(48, 384), size(8, 64, gpus=1)
    assert pareto_front([small, gpu, wide, small, high]) == (wide, high, gpu)


def test_sizes_of_two_architectures_do_not_include_each_other() -> None:
    arm, intel = size(8, 16, architecture="arm64"), size(16, 32, architecture="x86_64")
    assert pareto_front([arm, intel]) == (intel, arm)
    assert pareto_front([arm, intel, size(16, 32)]) == (size(16, 32),)
    assert pareto_front([size(8, 16, architecture="arm64"), size(4, 8)]) == (
        size(8, 16, architecture="arm64"),
        size(4, 8),
    ), "the smaller one takes tasks of either"
    assert pareto_front([]) == ()
