"""What documents of AWS mean for the fleet: needs of tasks, requirements of types, user data.

Pure. Members are named as in the ECS model; those of Auto Scaling begin with a capital letter and
carry texts, so names are compared without that letter and numbers are read from texts.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from email import message_from_string
from email.message import Message
from functools import lru_cache
from typing import Any

from batchyard.cloud.fleet.instance_types import CPU_UNITS, InstanceType, matching, table
from batchyard.cloud.fleet.packing import TaskNeed

_CLUSTER = re.compile(r"^[^#\n]*\bECS_CLUSTER=[\"']?([A-Za-z0-9_-]+)", re.MULTILINE)
_ARCHITECTURES = {"X86_64": "x86_64", "ARM64": "arm64"}
_IN_ORDER = ("prioritized", "capacity-optimized-prioritized")


def need_of(definition: Mapping[str, Any], overrides: Mapping[str, Any]) -> TaskNeed:
    """Return what a task takes of an instance: the task's own size, or that of its containers."""
    changes = {one.get("name"): one for one in overrides.get("containerOverrides") or []}
    containers = [
        {**one, **{name: value for name, value in changes.get(one["name"], {}).items() if value}}
        for one in definition.get("containerDefinitions") or []
    ]
    cpu = _cpu_units(overrides.get("cpu") or definition.get("cpu"))
    memory = _mebibytes(overrides.get("memory") or definition.get("memory"))
    platform = definition.get("runtimePlatform") or {}
    return TaskNeed(
        cpu_units=cpu or sum(int(one.get("cpu") or 0) for one in containers),
        memory_mib=memory
        or sum(int(one.get("memoryReservation") or one.get("memory") or 4) for one in containers),
        gpus=sum(
            int(asked["value"])
            for one in containers
            for asked in one.get("resourceRequirements") or []
            if asked["type"] == "GPU"
        ),
        architecture=_ARCHITECTURES.get(str(platform.get("cpuArchitecture"))),
    )


def types_that_meet(requirements: Mapping[str, Any]) -> tuple[InstanceType, ...]:
    """Return the types that have the attributes which requirements name; all of them for none."""
    wanted = {name[:1].lower() + name[1:]: value for name, value in requirements.items()}
    allowed = wanted.get("allowedInstanceTypes") or ["*"]
    excluded = {one.name for one in matching(wanted.get("excludedInstanceTypes") or [])}
    return tuple(
        one
        for one in matching(allowed)
        if one.name not in excluded and _has_attributes(one, wanted)
    )


def _has_attributes(one: InstanceType, wanted: Mapping[str, Any]) -> bool:
    names = wanted.get("acceleratorNames") or []
    return (
        _is_within(one.vcpus, wanted.get("vCpuCount"))
        and _is_within(one.memory_mib, wanted.get("memoryMiB"))
        and _is_within(one.memory_mib / 1024 / one.vcpus, wanted.get("memoryGiBPerVCpu"))
        and _is_within(one.gpus, wanted.get("acceleratorCount"))
        and _is_within(one.gpus * one.gpu_memory_mib, wanted.get("acceleratorTotalMemoryMiB"))
        and ("gpu" not in (wanted.get("acceleratorTypes") or []) or one.gpus > 0)
        and (not names or one.gpu_name.lower() in names)
        and _is_allowed(one.is_metal, wanted.get("bareMetal"))
        and _is_allowed(one.family.startswith("t"), wanted.get("burstablePerformance"))
    )


def _is_within(value: float, limits: Mapping[str, Any] | None) -> bool:
    found = {name[:1].lower() + name[1:]: float(one) for name, one in (limits or {}).items()}
    return found.get("min", value) <= value <= found.get("max", value)


def _is_allowed(is_so: bool, word: object) -> bool:
    return is_so if word == "required" else word == "included" or not is_so


def group_types(
    overrides: Sequence[Mapping[str, Any]], template_type: str | None, strategy: str
) -> tuple[InstanceType, ...]:
    """Return the types of a group in the order in which it launches them.

    Strategies that name an order keep it; with the others the cheapest comes first.
    """
    found: list[InstanceType] = []
    for one in overrides or [{"InstanceType": template_type}]:
        if one.get("InstanceRequirements"):
            found += types_that_meet(one["InstanceRequirements"])
        elif one.get("InstanceType") in table():
            found.append(table()[one["InstanceType"]])
    if strategy not in _IN_ORDER:
        found.sort(key=lambda one: one.price_index)
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=256)
def cluster_of_user_data(encoded: str) -> str | None:
    """Return the cluster that an instance with this user data joins; None without one."""
    try:
        text = base64.b64decode(encoded, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        text = encoded
    found = [name for part in _scripts(text) for name in _CLUSTER.findall(part)]
    # The agent reads the file that the scripts append to, in which the last setting counts.
    return found[-1] if found else None


def _scripts(text: str) -> Iterable[str]:
    if "multipart/" not in text.partition("\n\n")[0]:
        return [text]
    parts = message_from_string(text).get_payload()
    return [_content(part) for part in parts if isinstance(part, Message)]


def _content(part: "Message[str, str]") -> str:
    payload = part.get_payload(decode=True)
    return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""


def _cpu_units(value: object) -> int:
    text = str(value or 0).lower()
    if "vcpu" in text:
        return int(float(text.replace("vcpu", "")) * CPU_UNITS)
    return int(text)


def _mebibytes(value: object) -> int:
    text = str(value or 0).lower()
    if "gb" in text:
        return int(float(text.replace("gb", "")) * 1024)
    return int(text)
