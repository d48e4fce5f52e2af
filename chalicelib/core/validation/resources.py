"""The vCPUs, memory and GPUs that a container asks for, in the old and the new form.

The old form is `vcpus` and `memory` beside the image and exists on EC2 only; the new one is the
list `resourceRequirements`. A container may use one of them per resource, not both.

Next: `fargate` for the sizes that Fargate offers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from chalicelib.core.errors import ClientError
from chalicelib.core.resources.platforms import Platform
from chalicelib.core.validation.fargate import validate_size

# The deprecated members of a container and the resource that each of them stands for.
LEGACY_MEMBERS: Mapping[str, str] = {"vcpus": "VCPU", "memory": "MEMORY"}

_SMALLEST_MEMORY_MIB = 4
_WHOLE = re.compile(r"-?[0-9]{1,9}")
_DECIMAL = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,9})?")


class ResourceNeeds(NamedTuple):
    """What one task takes from its environment. vCPUs are multiples of a quarter, so exact."""

    vcpus: float
    memory_mib: int
    gpus: int


def resource_needs(container: Mapping[str, Any]) -> ResourceNeeds:
    """Return the needs of a container whose resources are validated; absent ones count as 0."""
    asked = _asked(container)
    return ResourceNeeds(
        vcpus=float(asked.get("VCPU", "0")),
        memory_mib=int(asked.get("MEMORY", "0")),
        gpus=int(asked.get("GPU", "0")),
    )


def total_needs(containers: Iterable[Mapping[str, Any]]) -> ResourceNeeds:
    """Return the needs of a task that runs all these containers together."""
    needs = [resource_needs(container) for container in containers]
    return ResourceNeeds(
        # Sums of binary fractions are not exact, and Fargate's table has exact sizes only.
        vcpus=round(sum(need.vcpus for need in needs), 6),
        memory_mib=sum(need.memory_mib for need in needs),
        gpus=sum(need.gpus for need in needs),
    )


def validate_resources(container: Mapping[str, Any], platform: Platform) -> None:
    """Refuse missing, duplicate and impossible resources of the only container of a task."""
    validate_amounts(container, platform)
    if platform is Platform.FARGATE:
        needs = resource_needs(container)
        validate_size(needs.vcpus, needs.memory_mib)


def validate_amounts(container: Mapping[str, Any], platform: Platform) -> None:
    """Refuse them for one of several containers; their sum must still fit Fargate's table."""
    requirements = container.get("resourceRequirements", [])
    types = [requirement["type"] for requirement in requirements]
    if len(set(types)) != len(types):
        raise ClientError("Cannot provide duplicates in resourceRequirements.")
    for member, kind in LEGACY_MEMBERS.items():
        if member not in container:
            continue
        if kind in types:
            raise ClientError(
                f"Cannot use both ECS containerProperties {member} and resourceRequirement {kind}."
            )
        if platform is Platform.FARGATE:
            raise ClientError(f"{member} is not applicable for Fargate.")
    asked = _asked(container)
    for kind, value in asked.items():
        _validate_number(kind, value)
    _validate_vcpus(asked.get("VCPU"), platform)
    _validate_memory(asked.get("MEMORY"))
    _validate_gpus(asked.get("GPU"), platform)


def _asked(container: Mapping[str, Any]) -> dict[str, str]:
    legacy = {
        kind: str(container[member])
        for member, kind in LEGACY_MEMBERS.items()
        if member in container
    }
    listed = {
        requirement["type"]: requirement["value"]
        for requirement in container.get("resourceRequirements", [])
    }
    return legacy | listed


def _validate_number(kind: str, value: str) -> None:
    pattern = _DECIMAL if kind == "VCPU" else _WHOLE
    if pattern.fullmatch(value) is None:
        raise ClientError(
            f"Value {value} for type {kind} in resourceRequirement is not valid. "
            "Please provide a numeric value."
        )


def _validate_vcpus(value: str | None, platform: Platform) -> None:
    if value is None:
        raise ClientError("vCPU is required.")
    if platform is Platform.FARGATE:
        return
    if float(value) < 1:
        raise ClientError(f"vCPU must be at least 1, got {value}.")
    if not float(value).is_integer():
        raise ClientError(f"vCPU must be a whole number, got {value}.")


def _validate_memory(value: str | None) -> None:
    if value is None:
        raise ClientError("Memory is required.")
    if int(value) < _SMALLEST_MEMORY_MIB:
        raise ClientError(f"Memory must be at least {_SMALLEST_MEMORY_MIB} Mib, got {value} Mib.")


def _validate_gpus(value: str | None, platform: Platform) -> None:
    if value is None:
        return
    if platform is Platform.FARGATE:
        raise ClientError("GPU is not applicable for Fargate.")
    if int(value) < 1:
        raise ClientError(f"GPU must be at least 1, got {value}.")
