"""Valid definitions and requests, which the tests of the rules change into invalid ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

REQUIREMENTS: list[dict[str, str]] = [
    {"type": "VCPU", "value": "1"},
    {"type": "MEMORY", "value": "2048"},
]


def ec2(**change: Any) -> dict[str, Any]:
    """Return a definition of one container for EC2, its container changed by `change`."""
    container = {"image": "busybox", "resourceRequirements": REQUIREMENTS}
    return {
        "jobDefinitionName": "definition",
        "type": "container",
        "containerProperties": changed(container, change),
    }


def fargate(**change: Any) -> dict[str, Any]:
    """Return a definition of one container for Fargate, its container changed by `change`."""
    container = {
        "image": "busybox",
        "resourceRequirements": REQUIREMENTS,
        "executionRoleArn": "arn:aws:iam::000000000000:role/execution",
    }
    return {
        "jobDefinitionName": "definition",
        "type": "container",
        "platformCapabilities": ["FARGATE"],
        "containerProperties": changed(container, change),
    }


def task(platform: str = "EC2", **change: Any) -> dict[str, Any]:
    """Return a definition of two containers, its task changed by `change`."""
    properties = {
        "executionRoleArn": "arn:aws:iam::000000000000:role/execution",
        "containers": [sidecar(name="main"), sidecar(name="helper", essential=False)],
    }
    return {
        "jobDefinitionName": "definition",
        "type": "container",
        "platformCapabilities": [platform],
        "ecsProperties": {"taskProperties": [changed(properties, change)]},
    }


def sidecar(**change: Any) -> dict[str, Any]:
    """Return one container of a task."""
    container = {"name": "main", "image": "busybox", "resourceRequirements": REQUIREMENTS}
    return changed(container, change)


def pod(**change: Any) -> dict[str, Any]:
    """Return a definition of one container on Kubernetes, its container changed by `change`."""
    container = {"image": "busybox", "resources": {"limits": {"cpu": "1", "memory": "512Mi"}}}
    return {
        "jobDefinitionName": "definition",
        "type": "container",
        "eksProperties": {"podProperties": {"containers": [changed(container, change)]}},
    }


def nodes(*ranges: Mapping[str, Any], **change: Any) -> dict[str, Any]:
    """Return a definition of a multi-node job with these ranges, or one for all nodes."""
    container = ec2()["containerProperties"]
    properties = {
        "numNodes": 4,
        "mainNode": 0,
        "nodeRangeProperties": list(ranges) or [{"targetNodes": "0:", "container": container}],
    }
    return {
        "jobDefinitionName": "definition",
        "type": "multinode",
        "nodeProperties": changed(properties, change),
    }


def changed(value: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value with members replaced, without those that become None."""
    return {name: item for name, item in {**value, **change}.items() if item is not None}
