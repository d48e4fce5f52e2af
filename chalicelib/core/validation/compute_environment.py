"""The rules of CreateComputeEnvironment and UpdateComputeEnvironment, and the stored result.

The rules of `computeResources` are those of the compute type. A type that is not supported yet is
validated in full and then refused, so that what is wrong with a request is reported first.

Must not know whether subnets, roles or clusters exist; provisioning finds that out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from chalicelib.core.errors import ClientError, NotSupportedError
from chalicelib.core.resources.compute_types.compute_type import ComputeType
from chalicelib.core.resources.compute_types.table import compute_type_named, compute_type_of
from chalicelib.core.resources.platforms import Platform
from chalicelib.core.resources.updates import infrastructure_changes
from chalicelib.core.validation.names import NamedResource, validate_name, validate_tags

_CLUSTER_ARN = re.compile(r"arn:[a-z0-9-]+:eks:[a-z0-9-]+:[0-9]{12}:cluster/[\w-]{1,100}")
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_NAMESPACE_LENGTH = 63
_SERVICE_LINKED = "/aws-service-role/"
# What an update may change, by the words with which AWS refuses one that changes nothing.
_CHANGES = {
    "state": "state",
    "computeResources": "compute-resources",
    "serviceRole": "service-role",
    "unmanagedvCpus": "unmanaged-vcpus",
}
_OTHER_CHANGES = ("updatePolicy", "context", "ecsSettings")


def validate_create(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the environment to store: the request, ENABLED, its tags always there.

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
    """Return the environment to store after an update.

    `environment` is the current one, in the shape that `validate_create` returns. Raises
    ClientError for what AWS refuses to change.
    """
    if "eksConfiguration" in request:
        raise ClientError("eksConfiguration is not applicable for ECS compute environments.")
    # An empty object asks for nothing; 0 vCPUs do.
    if all(request.get(member) in (None, {}) for member in (*_CHANGES, *_OTHER_CHANGES)):
        raise ClientError(f"One of [{' | '.join(_CHANGES.values())}] is required.", bare=True)
    updated = dict(environment)
    for member in ("state", "serviceRole", "context", "ecsSettings"):
        if member in request:
            updated[member] = request[member]
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
    compute_type = compute_type_of(request)
    if "eksConfiguration" in request:
        _validate_eks(request["eksConfiguration"], compute_type, resources)
        raise NotSupportedError("A compute environment on Amazon EKS")
    compute_type.validate(resources)
    compute_type.require_ecs()


def _validate_eks(
    configuration: Mapping[str, Any], compute_type: ComputeType, resources: Mapping[str, Any]
) -> None:
    if _CLUSTER_ARN.fullmatch(configuration["eksClusterArn"]) is None:
        raise ClientError("eksClusterArn must be an EKS cluster ARN.")
    _validate_namespace(configuration["kubernetesNamespace"])
    if not compute_type.is_for_eks:
        raise ClientError("Supported compute types for EKS compute environments are [EC2, SPOT]")
    if "allocationStrategy" not in resources:
        raise ClientError("allocationStrategy is required for EKS Compute Environments.")
    compute_type.validate(resources)


def _validate_namespace(namespace: str) -> None:
    if namespace == "default":
        raise ClientError("kubernetesNamespace cannot be the default Kubernetes namespace")
    if namespace.startswith("kube-"):
        raise ClientError("kubernetesNamespace cannot be a reserved Kubernetes system namespace")
    if len(namespace) > _NAMESPACE_LENGTH:
        raise ClientError(
            f"kubernetesNamespace must less than or equal to {_NAMESPACE_LENGTH} characters"
        )
    if _NAMESPACE.fullmatch(namespace) is None:
        raise ClientError("kubernetesNamespace must be a valid Kubernetes namespace.")


def _validate_unmanaged(request: Mapping[str, Any]) -> None:
    resources = request.get("computeResources")
    if resources:
        if compute_type_named(resources["type"]).platform is Platform.FARGATE:
            raise ClientError("Cannot create an UNMANAGED Fargate Compute Environment.")
        compute_type_of(request).validate(resources)
    if "eksConfiguration" in request:
        raise ClientError("eksConfiguration is not applicable for UNMANAGED compute environments.")
    _validate_service_role(request.get("serviceRole"))
    _validate_unmanaged_vcpus(request)


def _validate_service_role(arn: str | None) -> None:
    """Refuse an unmanaged environment without a service role of its owner's."""
    if not arn:
        raise ClientError("ServiceRole is required.")
    if _SERVICE_LINKED in arn:
        raise ClientError("Service Linked Role cannot be used with UNMANAGED Compute Environment.")


def _validate_unmanaged_vcpus(request: Mapping[str, Any]) -> None:
    if request.get("unmanagedvCpus", 0) < 0:
        raise ClientError("unmanagedvCpus should be greater than or equal to 0.")


def _update_managed(
    updated: dict[str, Any], environment: Mapping[str, Any], request: Mapping[str, Any]
) -> None:
    if "unmanagedvCpus" in request:
        raise ClientError("unmanagedvCpus is not applicable for managed Compute Environments")
    compute_type = compute_type_of(environment)
    compute_type.require_ecs()
    if request.get("updatePolicy") and compute_type.platform is Platform.FARGATE:
        raise ClientError("updatePolicy is not applicable for Fargate.")
    given = request.get("computeResources", {})
    kind = given.get("type", compute_type.name)
    if kind != compute_type.name and kind not in compute_type.may_become:
        raise ClientError(
            f"Compute resource type can not be changed from {compute_type.name} to {kind}."
        )
    current = environment["computeResources"]
    wanted = compute_type.merge(current, given)
    compute_type_named(kind).validate(wanted)
    _validate_role_change(environment, updated)
    if compute_type.replaces_instances and not _has_linked_role(updated):
        changes = infrastructure_changes(current, wanted)
        if changes:
            raise ClientError(
                f"Following fields [{', '.join(changes)}] can be updated only for Non-fargate "
                "Compute Environment having a Batch Service Linked Role"
            )
    updated["computeResources"] = wanted
    if request.get("updatePolicy"):
        updated["updatePolicy"] = {**environment.get("updatePolicy", {}), **request["updatePolicy"]}


def _validate_role_change(environment: Mapping[str, Any], updated: Mapping[str, Any]) -> None:
    before, after = _has_linked_role(environment), _has_linked_role(updated)
    if before != after:
        raise ClientError(
            "The service role of a compute environment can not be changed from a service-linked "
            "role to another role, or from another role to a service-linked role."
        )


def _has_linked_role(environment: Mapping[str, Any]) -> bool:
    """Return whether the environment has the service-linked role, as one without a role has."""
    role = environment.get("serviceRole")
    return not role or _SERVICE_LINKED in role


def _update_unmanaged(updated: dict[str, Any], request: Mapping[str, Any]) -> None:
    for member in ("computeResources", "updatePolicy"):
        if request.get(member):
            raise ClientError(f"{member} is not applicable for UNMANAGED compute environments.")
    _validate_unmanaged_vcpus(request)
    if "unmanagedvCpus" in request:
        updated["unmanagedvCpus"] = request["unmanagedvCpus"]
    _validate_service_role(updated.get("serviceRole"))
