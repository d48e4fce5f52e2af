"""The rules for the operating system and processor that a task asks for.

EC2 takes both from its image, so the setting is refused there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalicelib.core.errors import ClientError
from chalicelib.core.resources.platforms import Platform

_FAMILIES = (
    "LINUX",
    "WINDOWS_SERVER_2019_CORE",
    "WINDOWS_SERVER_2019_FULL",
    "WINDOWS_SERVER_2022_CORE",
    "WINDOWS_SERVER_2022_FULL",
)
_ARCHITECTURES = ("X86_64", "ARM64")


def validate_runtime_platform(wanted: Mapping[str, Any] | None, platform: Platform) -> None:
    """Refuse unknown systems and processors, and pairs of them that do not exist."""
    if not wanted:
        return
    if platform is Platform.EC2:
        raise ClientError("runtimePlatform is not applicable for EC2.")
    family = wanted.get("operatingSystemFamily", "LINUX")
    architecture = wanted.get("cpuArchitecture", "X86_64")
    if family not in _FAMILIES:
        raise ClientError(
            f"operatingSystemFamily {family} is not valid. Valid values: [{', '.join(_FAMILIES)}]"
        )
    if architecture not in _ARCHITECTURES:
        raise ClientError(
            f"cpuArchitecture {architecture} is not valid. "
            f"Valid values: [{', '.join(_ARCHITECTURES)}]"
        )
    if family == "LINUX":
        return
    if platform is Platform.MANAGED_INSTANCES:
        raise ClientError(f"operatingSystemFamily {family} is not valid for MANAGED_INSTANCES.")
    if architecture != "X86_64":
        raise ClientError("Windows containers require the X86_64 cpuArchitecture.")
