"""Instance types: what DescribeInstanceTypes says of them, and which ones an environment names.

`instanceTypes` of a compute environment names types, families, and bundles of families (AWS Batch
user guide, "Instance type compute table").
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.core.instances.errors import UnusableResourcesError

X86_64, ARM64 = "x86_64", "arm64"
_X86_BUNDLE, _ARM_BUNDLE = ("m6i", "c6i", "r6i", "c7i"), ("m6g", "c6g", "r6g", "c7g")
BUNDLES: Mapping[str, tuple[str, ...]] = {
    "optimal": _X86_BUNDLE,
    "default_x86_64": _X86_BUNDLE,
    "default_arm64": _ARM_BUNDLE,
}
# AWS Batch's words (seen in aws-cdk's issue 31148).
MIXED_ARCHITECTURES = "arm-based instance type cannot be used with other instance types."
# Graviton families have a g behind their generation (EC2 user guide, naming conventions).
_ARM_FAMILY = re.compile(r"a1|[a-z]+[0-9]+g[a-z]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceType:
    """One instance type; `memory_mib` is its nominal memory, of which ECS registers less."""

    name: str
    vcpus: int
    memory_mib: int
    gpus: int = 0
    architecture: str = X86_64

    @property
    def family(self) -> str:
        """The part of the name before the dot."""
        return family_of(self.name)

    @property
    def is_metal(self) -> bool:
        """Whether it is a whole server, which boots for minutes longer than a virtual one."""
        return self.name.partition(".")[2].startswith("metal")


def instance_type_from(described: Mapping[str, Any]) -> InstanceType | None:
    """Return the type as DescribeInstanceTypes shows it; None if ECS has no image for it (Mac)."""
    shown = described.get("ProcessorInfo", {}).get("SupportedArchitectures", [])
    architecture = next((one for one in (X86_64, ARM64) if one in shown), None)
    if architecture is None:
        return None
    gpus = described.get("GpuInfo", {}).get("Gpus", [])
    return InstanceType(
        name=described["InstanceType"],
        vcpus=described["VCpuInfo"]["DefaultVCpus"],
        memory_mib=described["MemoryInfo"]["SizeInMiB"],
        # ECS gives containers the GPUs of one maker only.
        gpus=sum(one["Count"] for one in gpus if one.get("Manufacturer") == "NVIDIA"),
        architecture=architecture,
    )


def family_of(name: str) -> str:
    """Return the family of an instance type, or the family itself."""
    return name.partition(".")[0]


def families_of(names: Iterable[str]) -> tuple[str, ...]:
    """Return the families that these members of `instanceTypes` belong to, sorted."""
    return tuple(sorted({family_of(one) for name in names for one in BUNDLES.get(name, (name,))}))


def refuse_mixed_architectures(names: Iterable[str]) -> str | None:
    """Return AWS's refusal of these `instanceTypes`, as far as their names show it, or None."""
    arm = {_ARM_FAMILY.fullmatch(family) is not None for family in families_of(names)}
    return MIXED_ARCHITECTURES if len(arm) > 1 else None


def resolve(names: Sequence[str], known: Iterable[InstanceType]) -> tuple[InstanceType, ...]:
    """Return the types that `instanceTypes` names, in its order, each once.

    `known` are all types of the families that it names, in the Region. A family stands for its
    types without bare metal that a virtual type equals. Raises UnusableResourcesError for a name
    that the Region does not offer, and for types of two architectures.
    """
    by_name = {one.name: one for one in known}
    found: dict[str, InstanceType] = {}
    unknown: list[str] = []
    for name in names:
        members = [one for part in BUNDLES.get(name, (name,)) for one in _named(part, by_name)]
        found |= {one.name: one for one in members}
        if not members:
            unknown.append(name)
    if unknown:
        raise UnusableResourcesError(
            "The Region offers no instance type or family of the name "
            f"{', '.join(unknown)}. Correct instanceTypes."
        )
    if len({one.architecture for one in found.values()}) > 1:
        raise UnusableResourcesError(MIXED_ARCHITECTURES)
    return tuple(found.values())


def _named(name: str, by_name: Mapping[str, InstanceType]) -> list[InstanceType]:
    """Return the type of that name, or the types of that family, smallest first."""
    if "." in name:
        return [by_name[name]] if name in by_name else []
    family = sorted((one for one in by_name.values() if one.family == name), key=size_order)
    virtual = [one for one in family if not one.is_metal]
    return [one for one in family if not one.is_metal or not any(at_least(v, one) for v in virtual)]


def size_order(one: InstanceType) -> tuple[int, int, int, str]:
    """Order types from small to large; of one vCPU count, memory makes the price."""
    return (one.vcpus, one.gpus, one.memory_mib, one.name)


def at_least(one: InstanceType, other: InstanceType) -> bool:
    """Return whether `one` has at least the vCPUs, memory and GPUs of `other`."""
    return (
        one.vcpus >= other.vcpus and one.memory_mib >= other.memory_mib and one.gpus >= other.gpus
    )


def pareto_front(types: Sequence[InstanceType]) -> tuple[InstanceType, ...]:
    """Return the types that no other type is at least as large as; of equal ones, the first."""
    front: list[InstanceType] = []
    for one in sorted(types, key=size_order, reverse=True):
        if not any(at_least(other, one) for other in front):
            front = [other for other in front if not at_least(one, other)]
            front.append(one)
    return tuple(sorted(front, key=size_order))
