"""The rules of `eksProperties`: the pod of a job on Kubernetes.

Kubernetes has names of its own for resources (`cpu`, `memory`, limits beside requests), so nothing
here is shared with `container` and `task`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.core.errors import ClientError

_MOST_CONTAINERS = 10
_RESOURCES = ("cpu", "memory", "nvidia.com/gpu")
_CPU = re.compile(r"[0-9]{1,6}(\.(0|00|25|5|50|75))?")
_MEMORY = re.compile(r"[1-9][0-9]{0,9}Mi")
_GPU = re.compile(r"[1-9][0-9]{0,3}")
_PATTERNS = {"cpu": _CPU, "memory": _MEMORY, "nvidia.com/gpu": _GPU}
_SENTENCES = {
    "cpu": "Value {} for type cpu in resources is not valid. Provide a valid number and unit.",
    "memory": "Value {} for type memory is not valid.",
    "nvidia.com/gpu": "Value {} for type nvidia.com/gpu in resources is not valid.",
}


def validate_eks_properties(properties: Mapping[str, Any]) -> None:
    """Refuse pods without or with too many containers, and inconsistent resources."""
    pod = properties.get("podProperties", {})
    containers = pod.get("containers", [])
    init_containers = pod.get("initContainers", [])
    if not containers:
        raise ClientError("Containers must be provided for Batch on EKS jobs.")
    if len(containers) > _MOST_CONTAINERS:
        raise ClientError(f"Number of containers must be between 1 and {_MOST_CONTAINERS}")
    if len(init_containers) > _MOST_CONTAINERS:
        raise ClientError(f"Number of initContainers must be at most {_MOST_CONTAINERS}")
    _validate_names([*containers, *init_containers])
    for container in [*containers, *init_containers]:
        if not container["image"]:
            raise ClientError("EKS Container Image must be provided.")
        _validate_resources(container.get("resources", {}))


def _validate_names(containers: Sequence[Mapping[str, Any]]) -> None:
    names = [container["name"] for container in containers if "name" in container]
    for name in names:
        if names.count(name) > 1:
            raise ClientError(f"The container name: {name} must be unique in multi-container job.")


def _validate_resources(resources: Mapping[str, Any]) -> None:
    limits, requests = resources.get("limits", {}), resources.get("requests", {})
    for amounts in (limits, requests):
        for name, amount in amounts.items():
            if name not in _RESOURCES:
                raise ClientError(f"{name} is not a supported type for resources.")
            if _PATTERNS[name].fullmatch(amount) is None:
                raise ClientError(_SENTENCES[name].format(amount))
    for name, shown in (("memory", "memory"), ("nvidia.com/gpu", "gpu")):
        if name in limits and name in requests and limits[name] != requests[name]:
            raise ClientError(
                f"{shown} request must be equal to {shown} limit if both are provided."
            )
    if "cpu" in limits and "cpu" in requests and float(limits["cpu"]) < float(requests["cpu"]):
        raise ClientError("cpu request must be <= to cpu limit if both are provided.")
