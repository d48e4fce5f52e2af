"""How the overrides of a submission change the containers of its definition.

Only command, environment and resources can be overridden. The result is validated again, because an
override can turn a valid definition into an invalid job. Parameters are in `references`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.core.canonical import with_value
from chalicelib.core.errors import ClientError
from chalicelib.core.resources.platforms import Platform
from chalicelib.core.validation.container import validate_environment
from chalicelib.core.validation.fargate import validate_size
from chalicelib.core.validation.references import substitute
from chalicelib.core.validation.resources import (
    LEGACY_MEMBERS,
    total_needs,
    validate_amounts,
    validate_resources,
)


def merge_container(
    container: Mapping[str, Any],
    override: Mapping[str, Any],
    parameters: Mapping[str, str],
    platform: Platform,
) -> dict[str, Any]:
    """Return the effective `containerProperties` of a job, with its parameters substituted."""
    merged = _merged(container, override, parameters, platform)
    validate_resources(merged, platform)
    return merged


def merge_task(
    properties: Mapping[str, Any],
    override: Mapping[str, Any],
    parameters: Mapping[str, str],
    platform: Platform,
) -> dict[str, Any]:
    """Return the effective `ecsProperties` of a job; containers are overridden by name."""
    task = properties["taskProperties"][0]
    overrides = _overrides_by_name(task["containers"], override)
    containers = [
        _merged(container, overrides.get(container.get("name"), {}), parameters, platform)
        for container in task["containers"]
    ]
    for container in containers:
        validate_amounts(container, platform)
    if platform is Platform.FARGATE:
        needs = total_needs(containers)
        validate_size(needs.vcpus, needs.memory_mib)
    return {"taskProperties": [{**task, "containers": containers}]}


def _overrides_by_name(
    containers: Sequence[Mapping[str, Any]], override: Mapping[str, Any]
) -> dict[str | None, Mapping[str, Any]]:
    tasks = override.get("taskProperties", [])
    if len(tasks) > 1:
        raise ClientError("At most 1 taskProperties element can be overridden.")
    listed = tasks[0].get("containers", []) if tasks else []
    by_name = {entry.get("name"): entry for entry in listed}
    if len(by_name) != len(listed):
        raise ClientError("Container names must be unique")
    known = {container.get("name") for container in containers}
    for name in by_name:
        if name not in known:
            raise ClientError(f"Container {name} of the override is not in the job definition.")
    return by_name


def _merged(
    container: Mapping[str, Any],
    override: Mapping[str, Any],
    parameters: Mapping[str, str],
    platform: Platform,
) -> dict[str, Any]:
    if "" in override.get("command", []):
        raise ClientError("Command cannot be empty", bare=True)
    validate_environment(override.get("environment", []))
    # An empty command is how clients say that they do not override it.
    command = override.get("command") or container.get("command", [])
    merged = {
        **container,
        "command": substitute(command, parameters),
        "environment": _by_name(
            with_value(container.get("environment", [])),
            with_value(override.get("environment", [])),
            "name",
        ),
    }
    return _with_resources(merged, override, platform)


def _by_name(
    defaults: Sequence[Mapping[str, Any]], overrides: Sequence[Mapping[str, Any]], key: str
) -> list[Mapping[str, Any]]:
    """Return the defaults with those of the same name replaced in place, new ones at the end."""
    entries = {entry[key]: entry for entry in defaults}
    entries.update((entry[key], entry) for entry in overrides)
    return list(entries.values())


def _with_resources(
    container: dict[str, Any], override: Mapping[str, Any], platform: Platform
) -> dict[str, Any]:
    """Return the container with the override's resources in place of its own.

    Beside a definition's resourceRequirements the deprecated members `vcpus` and `memory` count for
    nothing on EC2, and are refused on Fargate (user guide, "Can't override job definition resource
    requirements").
    """
    listed = container.get("resourceRequirements", [])
    wanted = override.get("resourceRequirements", [])
    if len({entry["type"] for entry in wanted}) != len(wanted):
        raise ClientError("Cannot provide duplicates in resourceRequirements.")
    for member, kind in LEGACY_MEMBERS.items():
        if any(entry["type"] == kind for entry in wanted):
            # The new form replaces the old one, which would otherwise be a second value.
            container.pop(member, None)
        if member not in override:
            continue
        if platform is Platform.EC2 and any(entry["type"] == kind for entry in listed):
            continue
        if platform is Platform.FARGATE or any(entry["type"] == kind for entry in wanted):
            raise ClientError(
                "This value was submitted in a deprecated key and may conflict with the value "
                "provided by the job definition's resource requirements."
            )
        container[member] = override[member]
    container["resourceRequirements"] = _by_name(listed, wanted, "type")
    return container
