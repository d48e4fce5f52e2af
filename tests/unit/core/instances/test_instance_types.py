"""Instance types: what EC2 says of them, and which ones `instanceTypes` stands for."""

import pytest

from chalicelib.core.instances.errors import UnusableResourcesError
from chalicelib.core.instances.instance_types import (
    InstanceType,
    families_of,
    instance_type_from,
    pareto_front,
    refuse_mixed_architectures,
    resolve,
)
from tests.support.instance_types import all_types, described, types_of

MIXED = "arm-based instance type cannot be used with other instance types."


def named(*names: str) -> set[str]:
    return {one.name for one in types_of(*names)}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("m6i.large", InstanceType(name="m6i.large", vcpus=2, memory_mib=8192)),
        (
            "g5.12xlarge",
            InstanceType(name="g5.12xlarge", vcpus=48, memory_mib=196608, gpus=4),
        ),
        (
            "c7g.xlarge",
            InstanceType(name="c7g.xlarge", vcpus=4, memory_mib=8192, architecture="arm64"),
        ),
        ("t2.small", InstanceType(name="t2.small", vcpus=1, memory_mib=2048)),
    ],
)
def test_a_type_is_what_ec2_describes(name: str, expected: InstanceType) -> None:
    assert instance_type_from(described(name)) == expected


def test_a_mac_is_no_type_for_ecs() -> None:
    assert instance_type_from(described("mac1.metal")) is None


def test_gpus_of_another_maker_are_not_counted() -> None:
    shown = described("g5.xlarge")
    gpus = [{**one, "Manufacturer": "AMD"} for one in shown["GpuInfo"]["Gpus"]]
    found = instance_type_from({**shown, "GpuInfo": {"Gpus": gpus}})
    assert found is not None
    assert found.gpus == 0


@pytest.mark.parametrize("bundle", ["optimal", "default_x86_64"])
def test_optimal_stands_for_four_families_without_bare_metal(bundle: str) -> None:
    assert families_of([bundle]) == ("c6i", "c7i", "m6i", "r6i")
    assert {name.split(".")[0] for name in named(bundle)} == {"c6i", "c7i", "m6i", "r6i"}
    assert "m6i.large" in named(bundle)
    assert not any("metal" in name for name in named(bundle))


def test_default_arm64_stands_for_four_families_of_graviton() -> None:
    assert {one.architecture for one in types_of("default_arm64")} == {"arm64"}
    assert families_of(["default_arm64"]) == ("c6g", "c7g", "m6g", "r6g")


def test_bare_metal_is_used_when_it_is_named_or_when_nothing_virtual_equals_it() -> None:
    assert named("m6i.metal") == {"m6i.metal"}
    assert "g4dn.metal" in named("g4dn")  # the only one with eight GPUs


def test_a_type_that_is_named_twice_is_there_once() -> None:
    names = [one.name for one in types_of("c5.large", "c5", "c5.large")]
    assert len(names) == len(set(names))
    assert names[0] == "c5.large"


def test_names_that_the_region_does_not_offer_are_refused_together() -> None:
    with pytest.raises(UnusableResourcesError, match=r"x9z, c5\.gigantic\. Correct instanceTypes"):
        resolve(["m5.large", "x9z", "c5.gigantic"], all_types())


@pytest.mark.parametrize(
    "names", [["optimal", "m6g.large"], ["c5", "c6g"], ["default_arm64", "p4d"], ["a1", "t3"]]
)
def test_two_architectures_are_refused_in_the_words_of_aws(names: list[str]) -> None:
    with pytest.raises(UnusableResourcesError) as refused:
        resolve(names, all_types())
    assert str(refused.value) == MIXED
    assert refuse_mixed_architectures(names) == MIXED


def test_the_name_of_a_family_shows_its_architecture() -> None:
    for one in all_types():
        wrong = "c5" if one.architecture == "arm64" else "c6g"
        assert refuse_mixed_architectures([one.name]) is None
        assert refuse_mixed_architectures([one.name, wrong]) == MIXED, one.name


def test_the_front_has_the_types_that_no_other_includes() -> None:
    front = [one.name for one in pareto_front(types_of("optimal"))]
    assert front == ["r6i.32xlarge", "c7i.48xlarge"]
    assert len(pareto_front(types_of("m6i.metal", "m6i.32xlarge"))) == 1  # they are equal
