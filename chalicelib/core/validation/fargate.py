"""What Fargate offers and what it refuses.

The table of sizes is AWS's; a size between two of its entries is refused, never rounded.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from chalicelib.core.errors import ClientError

_MEMORY_MIB_BY_VCPUS: Mapping[float, Collection[int]] = {
    0.25: (512, 1024, 2048),
    0.5: range(1024, 4096 + 1, 1024),
    1.0: range(2048, 8192 + 1, 1024),
    2.0: range(4096, 16384 + 1, 1024),
    4.0: range(8192, 30720 + 1, 1024),
    8.0: range(16384, 61440 + 1, 4096),
    16.0: range(32768, 122880 + 1, 8192),
    32.0: (61440, 122880, 249856),
}

_LOG_DRIVERS = ("awslogs", "splunk", "awsfirelens")
_REFUSED_LINUX_PARAMETERS = ("devices", "maxSwap", "sharedMemorySize", "swappiness", "tmpfs")
_EPHEMERAL_STORAGE_GIB = range(21, 200 + 1)
_FIRST_PLATFORM_WITH_EFS = (1, 4, 0)


def validate_size(vcpus: float, memory_mib: int) -> None:
    """Refuse a task size that is not in Fargate's table."""
    sizes = _MEMORY_MIB_BY_VCPUS.get(vcpus)
    if sizes is None:
        raise ClientError(f"Fargate resource requirements ({vcpus:.2f} vCPU) not valid.")
    if memory_mib not in sizes:
        raise ClientError(
            f"Fargate resource requirements ({vcpus:.2f} vCPU, {memory_mib} MiB) not valid."
        )


def validate_container(container: Mapping[str, Any]) -> None:
    """Refuse the settings of a container that need access to the host."""
    if container.get("ulimits"):
        raise ClientError("ulimits is not applicable for Fargate.")
    if container.get("privileged"):
        raise ClientError(
            "Fargate requires that the \u2018privileged\u2019 setting be \u2018false\u2019 "
            "at the container level."
        )
    linux_parameters = container.get("linuxParameters", {})
    for name in _REFUSED_LINUX_PARAMETERS:
        # Clients send back the empty lists that were described to them; these ask for nothing.
        if linux_parameters.get(name, []) != []:
            raise ClientError(f"linuxParameter.{name} is not allowed for Fargate.")
    driver = container.get("logConfiguration", {}).get("logDriver", "awslogs")
    if driver not in _LOG_DRIVERS:
        raise ClientError(f"Log driver for Fargate is not valid: {driver}")


def validate_task(task: Mapping[str, Any], platform_version: str) -> None:
    """Refuse a task without an execution role, with host volumes, or with storage out of range."""
    if not task.get("executionRoleArn"):
        raise ClientError("executionRoleArn is required for Fargate jobs.")
    for volume in task.get("volumes", []):
        if volume.get("host", {}).get("sourcePath"):
            raise ClientError("host.sourcePath should not be set for volumes in Fargate.")
        if "efsVolumeConfiguration" in volume and not _has_efs(platform_version):
            raise ClientError(
                "EFS is supported for Fargate platform versions 1.4.0 or later, "
                f"provided {platform_version}"
            )
    storage = task.get("ephemeralStorage")
    if storage is not None and storage["sizeInGiB"] not in _EPHEMERAL_STORAGE_GIB:
        raise ClientError(
            "Ephemeral storage for Fargate tasks can be only between range 21 GiB to 200 GiB"
        )


def _has_efs(platform_version: str) -> bool:
    parts = platform_version.split(".")
    if not all(part.isascii() and part.isdecimal() and len(part) < 5 for part in parts):
        return True
    return tuple(int(part) for part in parts) >= _FIRST_PLATFORM_WITH_EFS
