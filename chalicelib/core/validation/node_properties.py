"""The rules of `nodeProperties`: the node ranges of a multi-node parallel job.

Each range carries one payload, which follows the rules of `container`, `task` or `pod` on EC2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.core.errors import ClientError
from chalicelib.core.multinode import targeted
from chalicelib.core.resources.platforms import Platform
from chalicelib.core.validation.consumables import validate_consumables
from chalicelib.core.validation.container import validate_container_properties
from chalicelib.core.validation.pod import validate_eks_properties
from chalicelib.core.validation.task import validate_ecs_properties

_MOST_NODES = 1000
_MOST_RANGES = 5
_PAYLOADS = ("container", "ecsProperties", "eksProperties")


def validate_node_properties(properties: Mapping[str, Any]) -> None:
    """Refuse counts out of range, ranges that do not cover all nodes, and wrong payloads."""
    nodes, main_node = properties["numNodes"], properties["mainNode"]
    ranges: Sequence[Mapping[str, Any]] = properties["nodeRangeProperties"]
    validate_count(nodes, main_node)
    if len(ranges) > _MOST_RANGES:
        raise ClientError(f"Maximum allowed size of node range properties is {_MOST_RANGES}")
    for node_range in ranges:
        _validate_payload(node_range)
    validate_coverage(ranges, nodes)


def validate_count(nodes: int, main_node: int) -> None:
    """Refuse a number of nodes out of range, and a main node that is not one of them."""
    if not 1 <= nodes <= _MOST_NODES:
        raise ClientError(f"Number of nodes must be between 1 and {_MOST_NODES}.")
    if not 0 <= main_node < nodes:
        raise ClientError("Main node index is out of range, must be less than numNodes.")


def validate_coverage(ranges: Sequence[Mapping[str, Any]], nodes: int) -> None:
    """Refuse malformed ranges, and ranges that omit a node or name one that does not exist."""
    covered: set[int] = set()
    for node_range in ranges:
        covered.update(_targeted_nodes(node_range["targetNodes"], nodes))
    if len(covered) < nodes:
        raise ClientError(f"Node ranges must cover all nodes from 0 to {nodes - 1}.")


def _targeted_nodes(target: str, nodes: int) -> range:
    found = targeted(target, nodes)
    if found is None:
        raise ClientError("targetNodes should contain only digits.")
    if not found.start < found.stop <= nodes:
        raise ClientError(f"targetNodes {target} is out of range, must be less than numNodes.")
    return found


def _validate_payload(node_range: Mapping[str, Any]) -> None:
    target = node_range["targetNodes"]
    payloads = [name for name in _PAYLOADS if name in node_range]
    if not payloads:
        raise ClientError(f"Must specify container for node range {target}")
    if len(payloads) > 1:
        first, second = payloads[:2]
        raise ClientError(f"NodeRangeProperties can not use both {second} and {first} fields")
    if node_range.get("instanceTypes") and payloads != ["ecsProperties"]:
        raise ClientError(
            "Using instanceTypes with nodeRangeProperty is only allowed for ecsProperties jobs."
        )
    validate_consumables(node_range.get("consumableResourceProperties", {}))
    match payloads[0]:
        case "container":
            validate_container_properties(node_range["container"], Platform.EC2)
        case "ecsProperties":
            validate_ecs_properties(node_range["ecsProperties"], Platform.EC2)
        case _:
            validate_eks_properties(node_range["eksProperties"])
