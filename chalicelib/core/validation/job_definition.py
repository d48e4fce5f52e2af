"""RegisterJobDefinition: which definitions are accepted, and how they are stored.

A definition carries exactly one payload, `containerProperties`, `ecsProperties`, `eksProperties`
or, for multi-node jobs, `nodeProperties`; each has a module of its own beside this one.

The result is the request in AWS's form (`core/canonical.py`): clients compare what they describe
with what they registered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalicelib.core.canonical import (
    canonical_container,
    canonical_nodes,
    canonical_pod,
    canonical_task,
)
from chalicelib.core.errors import ClientError
from chalicelib.core.resources.platforms import Platform, platform_of
from chalicelib.core.validation.consumables import validate_consumables
from chalicelib.core.validation.container import validate_container_properties
from chalicelib.core.validation.names import NamedResource, validate_name, validate_tags
from chalicelib.core.validation.node_properties import validate_node_properties
from chalicelib.core.validation.pod import validate_eks_properties
from chalicelib.core.validation.retry import (
    validate_retry_strategy,
    validate_scheduling_priority,
    validate_timeout,
)
from chalicelib.core.validation.task import validate_ecs_properties

_PAYLOADS = ("containerProperties", "ecsProperties", "nodeProperties", "eksProperties")


def validate_register(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the definition as it is to be stored. Raises ClientError for what AWS refuses."""
    validate_name(NamedResource.JOB_DEFINITION, request["jobDefinitionName"])
    validate_tags(request.get("tags", {}))
    if "schedulingPriority" in request:
        validate_scheduling_priority(request["schedulingPriority"])
    validate_timeout(request.get("timeout", {}))
    validate_consumables(request.get("consumableResourceProperties", {}))
    stored: dict[str, Any] = {"parameters": {}, **request}
    if "retryStrategy" in request:
        stored["retryStrategy"] = validate_retry_strategy(request["retryStrategy"])
    payload = _payload_of(request)
    platform = platform_of(request.get("platformCapabilities", []))
    _validate_combination(request, payload, platform)
    match payload:
        case "containerProperties":
            validate_container_properties(request[payload], platform)
            stored[payload] = canonical_container(request[payload], platform)
        case "ecsProperties":
            validate_ecs_properties(request[payload], platform)
            stored[payload] = canonical_task(request[payload], platform)
        case "eksProperties":
            validate_eks_properties(request[payload])
            stored[payload] = canonical_pod(request[payload])
        case _:
            validate_node_properties(request[payload])
            stored[payload] = canonical_nodes(request[payload])
    return stored


def _payload_of(request: Mapping[str, Any]) -> str:
    payloads = [name for name in _PAYLOADS if name in request]
    if len(payloads) > 1:
        first = payloads[0]
        shown = f"ECS {first}" if first == "containerProperties" else first
        raise ClientError(f"Cannot use both {shown} and {payloads[1]}")
    if request["type"] == "multinode":
        if payloads != ["nodeProperties"]:
            raise ClientError("Node properties of multinode job is required.")
    elif not payloads:
        raise ClientError("ECS Container Image must be provided.")
    elif payloads == ["nodeProperties"]:
        raise ClientError("nodeProperties is only applicable for multinode jobs.")
    return payloads[0]


def _validate_combination(request: Mapping[str, Any], payload: str, platform: Platform) -> None:
    if payload == "nodeProperties":
        if platform is Platform.FARGATE:
            raise ClientError("Fargate does not support MNP jobs")
        if platform is Platform.MANAGED_INSTANCES:
            raise ClientError("MANAGED_INSTANCES does not support MNP jobs")
    if payload == "containerProperties" and platform is Platform.MANAGED_INSTANCES:
        raise ClientError("Cannot use ECS containerProperties for MANAGED_INSTANCES")
    if payload == "eksProperties":
        if request.get("platformCapabilities"):
            raise ClientError("platformCapabilities is not applicable for EKS.")
        if request.get("propagateTags"):
            raise ClientError("Batch on EKS does not support tag propagation.")
