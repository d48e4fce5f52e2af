"""The rules for one container of a job definition: image, environment, log, Linux parameters, user.

They hold for `containerProperties` and for each container of `ecsProperties`; members that only the
former has (network, platform version, the size of its one container) are checked here as well.

Next: `volumes` and `runtime` for what the containers of a task share, `resources` for their size.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from chalicelib.core.canonical import LATEST_PLATFORM
from chalicelib.core.errors import ClientError
from chalicelib.core.resources.platforms import Platform
from chalicelib.core.validation import fargate
from chalicelib.core.validation.resources import validate_resources
from chalicelib.core.validation.runtime import validate_runtime_platform
from chalicelib.core.validation.volumes import validate_mount_points, validate_volumes

_RESERVED_PREFIX = "AWS_BATCH"
_USER = re.compile(r"[a-z0-9_][a-z0-9_-]{0,30}(:[a-z0-9_][a-z0-9_-]{0,30})?")
_PERMISSIONS = ("READ", "WRITE", "MKNOD")
_AWSLOGS_OPTIONS = frozenset(
    {
        "awslogs-create-group",
        "awslogs-datetime-format",
        "awslogs-group",
        "awslogs-multiline-pattern",
        "awslogs-region",
        "awslogs-stream-prefix",
    }
)


def validate_container_properties(container: Mapping[str, Any], platform: Platform) -> None:
    """Refuse what AWS refuses of `containerProperties` on this platform."""
    validate_container(container, platform, container.get("executionRoleArn"))
    validate_volumes(container.get("volumes", []), container.get("jobRoleArn"))
    validate_mount_points([container], container.get("volumes", []))
    validate_runtime_platform(container.get("runtimePlatform"), platform)
    if platform is Platform.FARGATE:
        version = container.get("fargatePlatformConfiguration", {}).get("platformVersion")
        fargate.validate_task(container, version or LATEST_PLATFORM)
    else:
        _refuse_fargate_settings(container)
    validate_resources(container, platform)
    if platform is Platform.FARGATE:
        _validate_windows_size(container)


def validate_container(
    container: Mapping[str, Any], platform: Platform, execution_role_arn: str | None
) -> None:
    """Refuse what is wrong with one container by itself, except its resources."""
    if not container.get("image"):
        raise ClientError("ECS Container Image must be provided.")
    validate_environment(container.get("environment", []))
    user = container.get("user")
    if user and _USER.fullmatch(user) is None:
        raise ClientError(f"User '{user}' does not match regex {_USER.pattern}")
    linux_parameters = container.get("linuxParameters", {})
    _validate_linux_parameters(linux_parameters)
    log = container.get("logConfiguration", {})
    _validate_log_options(log)
    if (container.get("secrets") or log.get("secretOptions")) and not execution_role_arn:
        raise ClientError("executionRoleArn cannot be empty when using secrets or secretOptions")
    if platform is Platform.FARGATE:
        fargate.validate_container(container)
    elif "maxSwap" in linux_parameters and "swappiness" not in linux_parameters:
        raise ClientError("When container specified swap memory, swappiness value is required.")


def validate_environment(environment: Iterable[Mapping[str, Any]]) -> None:
    """Refuse variables without a name, and those that only AWS Batch may set."""
    for variable in environment:
        name = variable.get("name")
        if not name:
            raise ClientError("Environment variable name is required.")
        if name.startswith(_RESERVED_PREFIX):
            raise ClientError(
                f"Environment variable name {name} is not valid. "
                f"Names cannot start with {_RESERVED_PREFIX}."
            )


def _validate_linux_parameters(parameters: Mapping[str, Any]) -> None:
    max_swap, swappiness = parameters.get("maxSwap"), parameters.get("swappiness")
    if max_swap is not None and max_swap < 0:
        raise ClientError(f"Invalid swap memory size: {max_swap}, must be non-negative.")
    if swappiness is not None and not 0 <= swappiness <= 100:
        raise ClientError(f"Invalid swappiness: {swappiness}, must be between 0 and 100.")
    for device in parameters.get("devices", []):
        for permission in device.get("permissions", []):
            if permission not in _PERMISSIONS:
                raise ClientError(
                    f"Invalid permission: {permission} for device {device['hostPath']}"
                )
    for mount in parameters.get("tmpfs", []):
        if mount["size"] < 1:
            raise ClientError(
                "Size of a tmpfs is invalid. The size is required and must be a positive integer."
            )
    shared_mib = parameters.get("sharedMemorySize")
    if shared_mib is not None and shared_mib < 1:
        raise ClientError(f"Invalid sharedMemorySize: {shared_mib}, must be at least 1.")


def _validate_log_options(log: Mapping[str, Any]) -> None:
    if log.get("logDriver") != "awslogs":
        return
    unknown = sorted(set(log.get("options", {})) - _AWSLOGS_OPTIONS)
    if unknown:
        raise ClientError(f"Log driver awslogs disallows options: {', '.join(unknown)}")


def _refuse_fargate_settings(container: Mapping[str, Any]) -> None:
    for member in ("fargatePlatformConfiguration", "networkConfiguration", "ephemeralStorage"):
        if container.get(member):
            raise ClientError(f"{member} not applicable for EC2.")


def _validate_windows_size(container: Mapping[str, Any]) -> None:
    family = container.get("runtimePlatform", {}).get("operatingSystemFamily", "LINUX")
    if family == "LINUX":
        return
    for requirement in container.get("resourceRequirements", []):
        if requirement["type"] == "VCPU" and float(requirement["value"]) < 1:
            raise ClientError(
                f"vCPU must be at least 1 for Windows Job definition, got {requirement['value']}."
            )
