"""The rules for the operating system and processor that a task asks for.

EC2 takes both from its image, so the setting is refused there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalicelib.core.errors import ClientError
from chalicelib.core.payload import task_of
from chalicelib.core.resources.platforms import Platform

_FAMILIES = (
    "WINDOWS_SERVER_2019_CORE",
    "WINDOWS_SERVER_2019_FULL",
    "WINDOWS_SERVER_2022_CORE",
    "WINDOWS_SERVER_2022_FULL",
    "LINUX",
)
_ARCHITECTURES = ("X86_64", "ARM64")


def wanted_architecture(job: Mapping[str, Any]) -> str | None:
    """Return the architecture, as EC2 names it, that a merged job needs its instance to have.

    None where it says none, and on Fargate, which has machines of both.
    """
    if Platform.FARGATE.value in job["platformCapabilities"]:
        return None
    wanted = task_of(job).settings.get("runtimePlatform") if "nodeProperties" not in job else None
    architecture = (wanted or {}).get("cpuArchitecture")
    return architecture.lower() if architecture else None


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
            f"RuntimePlatform supports only one from [{', '.join(_FAMILIES)}] operating systems, "
            f"provided {family}"
        )
    if architecture not in _ARCHITECTURES:
        # The words are AWS's own, whatever the platform.
        raise ClientError(
            "cpuArchitecture for Fargate LINUX tasks can be only one from "
            f"[{', '.join(_ARCHITECTURES)}]."
        )
    if family == "LINUX":
        return
    if platform is Platform.MANAGED_INSTANCES:
        raise ClientError(
            "runtimePlatform for MANAGED_INSTANCES only supports LINUX operatingSystemFamily, "
            f"provided {family}."
        )
    if architecture != "X86_64":
        raise ClientError("Windows supported only by X86_64 cpuArchitecture")
