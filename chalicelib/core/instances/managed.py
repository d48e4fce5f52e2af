"""Capacity providers of ECS Managed Instances: what is asked for, and what differs.

AWS Batch's `managedInstancesProvider` has the members of ECS's, but for the instance types: AWS
Batch takes names, ECS takes attributes and names that narrow them down.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chalicelib.core.instances.instance_types import InstanceType
from chalicelib.core.instances.providers import Provider
from chalicelib.core.task_size import TaskSize, pareto_front

# The attributes of Amazon EC2's InstanceRequirements that leave no instance type out. Without them
# EC2 leaves out burstable types, bare metal, and what costs much more than the cheapest type.
_WITHOUT_PRICE_LIMIT = 999_999
_ALL_TYPES: Mapping[str, Any] = {
    "vCpuCount": {"min": 1},
    "memoryMiB": {"min": 1},
}
_NAMED_TYPES: Mapping[str, Any] = {
    **_ALL_TYPES,
    "bareMetal": "included",
    "burstablePerformance": "included",
    "onDemandMaxPricePercentageOverLowestPrice": _WITHOUT_PRICE_LIMIT,
}
# CreateCapacityProvider takes them once; AWS Batch lets no update change them.
IMMUTABLE_MEMBERS = ("capacityOptionType", "fipsEnabled")


def create_managed_provider(
    name: str, cluster: str, given: Mapping[str, Any], tags: Mapping[str, str]
) -> dict[str, Any]:
    """Return the request of CreateCapacityProvider; `given` is AWS Batch's provider."""
    request: dict[str, Any] = {
        "name": name,
        "cluster": cluster,
        "managedInstancesProvider": _provider(given),
    }
    if tags:
        request["tags"] = [{"key": key, "value": value} for key, value in tags.items()]
    return request


def update_managed_provider(
    found: Provider, cluster: str, given: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return the request of UpdateCapacityProvider; None where ECS shows all that is given.

    A provider whose last update failed is asked for again.
    """
    wanted = _provider(given)
    shown = found.shown.get("managedInstancesProvider") or {}
    if _includes(shown, wanted) and found.update_status != "UPDATE_FAILED":
        return None
    template = wanted["instanceLaunchTemplate"]
    changeable = {key: one for key, one in template.items() if key not in IMMUTABLE_MEMBERS}
    return {
        "name": found.name,
        "cluster": cluster,
        "managedInstancesProvider": {**wanted, "instanceLaunchTemplate": changeable},
    }


def named_types(given: Mapping[str, Any]) -> list[str]:
    """Return the types and families that are allowed; none where all are, or patterns name them."""
    template = given["instanceLaunchTemplate"]
    names = (template.get("instanceRequirements") or {}).get("allowedInstanceTypes") or []
    return [] if any("*" in name for name in names) else list(names)


def largest_tasks(names: Sequence[str], known: Iterable[InstanceType]) -> tuple[TaskSize, ...]:
    """Return the largest tasks that instances of these types and families can hold.

    By the nominal memory, because AWS does not document what its own image leaves: no job is
    refused that could run. Empty, so without a limit, where a name is not known in the Region.
    """
    found: set[TaskSize] = set()
    types = list(known)
    for name in names:
        members = [one for one in types if name in (one.name, one.family)]
        if not members:
            return ()
        found |= {
            TaskSize(
                cpu_units=one.vcpus * 1024,
                memory_mib=one.memory_mib,
                gpus=one.gpus,
                architecture=one.architecture,
            )
            for one in members
        }
    return pareto_front(found)


def missing_tags(found: Provider, tags: Mapping[str, str]) -> dict[str, str]:
    """Return those of the tags that the provider has not, or with another value."""
    return {key: value for key, value in tags.items() if found.tags.get(key) != value}


def _provider(given: Mapping[str, Any]) -> dict[str, Any]:
    template = dict(given["instanceLaunchTemplate"])
    template["instanceRequirements"] = _requirements(template.get("instanceRequirements") or {})
    return {**given, "instanceLaunchTemplate": template}


def _requirements(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of the types that are allowed: those of these names, or all."""
    names = given.get("allowedInstanceTypes")
    if not names:
        return dict(_ALL_TYPES)
    return {**_NAMED_TYPES, "allowedInstanceTypes": [_pattern(name) for name in names]}


def _pattern(name: str) -> str:
    """Return ECS's pattern of a type, or of all types of a family, such as `g5.*`."""
    return name if "." in name or "*" in name else f"{name}.*"


def _includes(shown: Any, wanted: Any) -> bool:
    """Return whether what ECS shows has all that is wanted; it adds defaults of its own."""
    if isinstance(wanted, Mapping):
        return isinstance(shown, Mapping) and all(
            name in shown and _includes(shown[name], value) for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(shown, list) and sorted(shown) == sorted(wanted)
    return bool(shown == wanted)
