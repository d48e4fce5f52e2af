"""The rules of CreateComputeEnvironment and UpdateComputeEnvironment, and the stored result.

Fargate and unmanaged environments are supported. The other types are checked in full by
`compute_resources` and only then refused as not supported yet, so that a caller learns of a wrong
request first. Whether subnets, roles or clusters exist is not known here; provisioning finds that
out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalicelib.core.errors import ClientError, NotSupportedError
from chalicelib.core.validation.compute_resources import (
    validate_fargate,
    validate_fargate_update,
    validate_instances,
    validate_managed_instances,
)
from chalicelib.core.validation.names import NamedResource, validate_name, validate_tags

FARGATE_TYPES = ("FARGATE", "FARGATE_SPOT")
_INSTANCE_TYPES = ("EC2", "SPOT")


def validate_create(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the environment as it is to be stored: the request, with state and tags added.

    Raises ClientError for what AWS refuses, NotSupportedError for types not supported yet.
    """
    validate_name(NamedResource.COMPUTE_ENVIRONMENT, request["computeEnvironmentName"])
    validate_tags(request.get("tags", {}))
    if request.get("state", "ENABLED") != "ENABLED":
        raise ClientError("Compute Environment must be created in ENABLED state.")
    if request["type"] == "MANAGED":
        _validate_managed(request)
    else:
        _validate_unmanaged(request)
    return {"tags": {}, **request, "state": "ENABLED"}


def validate_update(environment: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the environment as it is to be stored after the update.

    `environment` is the stored one, in the shape that `validate_create` returns. Raises ClientError
    for what AWS refuses to change.
    """
    updated = dict(environment)
    for member in ("state", "serviceRole", "context", "ecsSettings"):
        if member in request:
            updated[member] = request[member]
    if "eksConfiguration" in request:
        raise ClientError("eksConfiguration is not applicable for ECS compute environments.")
    if environment["type"] == "MANAGED":
        _update_managed(updated, environment, request)
    else:
        _update_unmanaged(updated, request)
    return updated


def _validate_managed(request: Mapping[str, Any]) -> None:
    if "unmanagedvCpus" in request:
        raise ClientError("unmanagedvCpus is not applicable for managed Compute Environments")
    resources = request.get("computeResources")
    if not resources:
        raise ClientError("computeResources must be provided for a MANAGED compute environment")
    kind = resources["type"]
    if "eksConfiguration" in request:
        _validate_eks(request["eksConfiguration"], resources)
        raise NotSupportedError("A compute environment on Amazon EKS")
    if kind in FARGATE_TYPES:
        validate_fargate(resources)
        return
    if kind in _INSTANCE_TYPES:
        validate_instances(resources)
    else:
        validate_managed_instances(resources)
    raise NotSupportedError(f"A compute environment of type {kind}")


def _validate_eks(configuration: Mapping[str, Any], resources: Mapping[str, Any]) -> None:
    namespace = configuration["kubernetesNamespace"]
    if namespace == "default":
        raise ClientError("kubernetesNamespace cannot be the default Kubernetes namespace")
    if namespace.startswith("kube-"):
        raise ClientError("kubernetesNamespace cannot be a reserved Kubernetes system namespace")
    if resources["type"] not in _INSTANCE_TYPES:
        raise ClientError(
            f"eksConfiguration is not applicable for compute resource type {resources['type']}."
        )
    if "allocationStrategy" not in resources:
        raise ClientError("allocationStrategy is required for EKS compute environments.")
    validate_instances(resources)


def _validate_unmanaged(request: Mapping[str, Any]) -> None:
    resources = request.get("computeResources")
    if resources:
        if resources["type"] in FARGATE_TYPES:
            raise ClientError("Cannot create an UNMANAGED Fargate Compute Environment.")
        raise ClientError("computeResources is not applicable for UNMANAGED compute environments.")
    if "eksConfiguration" in request:
        raise ClientError("eksConfiguration is not applicable for UNMANAGED compute environments.")
    if not request.get("serviceRole"):
        raise ClientError("ServiceRole is required.")
    _validate_unmanaged_vcpus(request)


def _validate_unmanaged_vcpus(request: Mapping[str, Any]) -> None:
    if request.get("unmanagedvCpus", 0) < 0:
        raise ClientError("unmanagedvCpus should be greater than or equal to 0.")


def _update_managed(
    updated: dict[str, Any], environment: Mapping[str, Any], request: Mapping[str, Any]
) -> None:
    if "unmanagedvCpus" in request:
        raise ClientError("unmanagedvCpus is not applicable for managed Compute Environments")
    current = environment["computeResources"]
    if current["type"] not in FARGATE_TYPES:
        raise NotSupportedError(f"A compute environment of type {current['type']}")
    if request.get("updatePolicy"):
        raise ClientError("updatePolicy is not applicable for Fargate.")
    changes = request.get("computeResources", {})
    wanted = {**current, **changes}
    validate_fargate_update(current, wanted)
    updated["computeResources"] = wanted


def _update_unmanaged(updated: dict[str, Any], request: Mapping[str, Any]) -> None:
    for member in ("computeResources", "updatePolicy"):
        if request.get(member):
            raise ClientError(f"{member} is not applicable for UNMANAGED compute environments.")
    _validate_unmanaged_vcpus(request)
    if "unmanagedvCpus" in request:
        updated["unmanagedvCpus"] = request["unmanagedvCpus"]
    if not updated.get("serviceRole"):
        raise ClientError("ServiceRole is required.")
