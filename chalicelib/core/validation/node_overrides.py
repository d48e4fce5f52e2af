"""How `nodeOverrides` change the `nodeProperties` of a definition, and what all nodes take.

Each range's payload is merged like that of a single job. Next: `multinode` for the rules of a
definition's ranges by themselves, `overrides` for one container.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.core.errors import ClientError, NotSupportedError
from chalicelib.core.multinode import payload_at
from chalicelib.core.resources.platforms import Platform
from chalicelib.core.task_size import TaskSize, pareto_front
from chalicelib.core.validation.node_properties import validate_count, validate_coverage
from chalicelib.core.validation.overrides import merge_container, merge_task
from chalicelib.core.validation.resources import ResourceNeeds, resource_needs, total_needs

# The payload members of a range, with the override member for each.
_OVERRIDES = {
    "container": "containerOverrides",
    "ecsProperties": "ecsPropertiesOverride",
    "eksProperties": "eksPropertiesOverride",
}


def merge_nodes(
    properties: Mapping[str, Any], overrides: Mapping[str, Any], parameters: Mapping[str, str]
) -> dict[str, Any]:
    """Return the effective `nodeProperties` of a job. Raises ClientError for what AWS refuses."""
    ranges: Sequence[Mapping[str, Any]] = properties["nodeRangeProperties"]
    nodes = _number_of_nodes(properties, overrides)
    by_target = _overrides_by_target(ranges, overrides.get("nodePropertyOverrides", []))
    merged = [
        _merged_range(node_range, by_target.get(node_range["targetNodes"], {}), parameters)
        for node_range in ranges
    ]
    return {
        "numNodes": nodes,
        "mainNode": properties["mainNode"],
        "nodeRangeProperties": merged,
    }


def payload_needs(payload: Mapping[str, Any]) -> ResourceNeeds:
    """Return what one task takes: its only container, or all of its containers together."""
    if "ecsProperties" in payload:
        return total_needs(payload["ecsProperties"]["taskProperties"][0]["containers"])
    return resource_needs(payload["container"])


def all_nodes_needs(properties: Mapping[str, Any]) -> ResourceNeeds:
    """Return what all nodes of a merged job take: they are placed together or not at all."""
    needs = [
        payload_needs(payload_at(properties, index)) for index in range(properties["numNodes"])
    ]
    return ResourceNeeds(
        vcpus=sum(need.vcpus for need in needs),
        memory_mib=sum(need.memory_mib for need in needs),
        gpus=sum(need.gpus for need in needs),
    )


def node_sizes(properties: Mapping[str, Any]) -> tuple[TaskSize, ...]:
    """Return the sizes of the largest nodes of a merged job; what holds each of them holds all."""
    needs = [
        payload_needs(payload_at(properties, index)) for index in range(properties["numNodes"])
    ]
    return pareto_front(
        TaskSize(cpu_units=round(need.vcpus * 1024), memory_mib=need.memory_mib, gpus=need.gpus)
        for need in set(needs)
    )


def _number_of_nodes(properties: Mapping[str, Any], overrides: Mapping[str, Any]) -> int:
    """Return the number of nodes: that of the submission, if any (API reference, NodeOverrides)."""
    defined = int(properties["numNodes"])
    wanted = int(overrides.get("numNodes", defined))
    if wanted == defined:
        return defined
    targets = [node_range["targetNodes"] for node_range in properties["nodeRangeProperties"]]
    if not any(target.endswith(":") for target in targets):
        raise ClientError(
            "numNodes can only be overridden if a node range of the job definition has an open "
            "upper boundary."
        )
    validate_count(wanted, properties["mainNode"])
    validate_coverage(properties["nodeRangeProperties"], wanted)
    return wanted


def _overrides_by_target(
    ranges: Sequence[Mapping[str, Any]], overrides: Sequence[Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    defined = {node_range["targetNodes"] for node_range in ranges}
    foreign = [one["targetNodes"] for one in overrides if one["targetNodes"] not in defined]
    if foreign:
        raise ClientError(
            "NodeOverride targets should match job definition. "
            f"Non matching targets - {', '.join(foreign)}",
            bare=True,
        )
    by_target = {one["targetNodes"]: one for one in overrides}
    if len(by_target) != len(overrides):
        raise ClientError("NodeOverride targets must be unique.")
    return by_target


def _merged_range(
    node_range: Mapping[str, Any], override: Mapping[str, Any], parameters: Mapping[str, str]
) -> dict[str, Any]:
    _refuse_foreign(node_range, override)
    merged = dict(node_range)
    if override.get("instanceTypes"):
        merged["instanceTypes"] = override["instanceTypes"]
    if "ecsProperties" in node_range:
        merged["ecsProperties"] = merge_task(
            node_range["ecsProperties"],
            override.get("ecsPropertiesOverride", {}),
            parameters,
            Platform.EC2,
        )
        return merged
    given = override.get("containerOverrides", {})
    merged["container"] = merge_container(node_range["container"], given, parameters, Platform.EC2)
    if given.get("instanceType"):
        merged["container"]["instanceType"] = given["instanceType"]
    return merged


def _refuse_foreign(node_range: Mapping[str, Any], override: Mapping[str, Any]) -> None:
    """Refuse a range that is not supported yet, and overrides of another kind than its payload."""
    target = node_range["targetNodes"]
    if "eksProperties" in node_range:
        raise NotSupportedError("Submitting a multi-node parallel job for Amazon EKS")
    consumables = override.get(
        "consumableResourcePropertiesOverride", node_range.get("consumableResourceProperties", {})
    )
    if consumables.get("consumableResourceList"):
        raise NotSupportedError("Submitting a job with consumable resources")
    for payload, name in _OVERRIDES.items():
        # Clients send empty overrides by default; these ask for nothing.
        if override.get(name) and payload not in node_range:
            raise ClientError(f"{name} is not applicable for node range {target}.")
