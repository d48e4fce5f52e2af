"""What a job runs, in one shape: a task of named containers.

A payload is a mapping with either `container` (one container, which ECS knows as `default`) or
`ecsProperties` (one to ten containers; a single one may have no name). A job's document is one, and
so is each node range of a multi-node job. Requests to ECS are made from `task_of`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CONTAINER_NAME = "default"

# The members of `container` that belong to its task, with their names in `ecsProperties`.
_TASK_MEMBERS = {
    "executionRoleArn": "executionRoleArn",
    "jobRoleArn": "taskRoleArn",
    "volumes": "volumes",
    "ephemeralStorage": "ephemeralStorage",
    "runtimePlatform": "runtimePlatform",
    "networkConfiguration": "networkConfiguration",
    "enableExecuteCommand": "enableExecuteCommand",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPayload:
    """A task: its containers, and `settings`, the other members of EcsTaskProperties.

    The containers are in the order of the definition, and each has a name.
    """

    containers: tuple[Mapping[str, Any], ...]
    settings: Mapping[str, Any]


def task_of(payload: Mapping[str, Any]) -> TaskPayload:
    """Return the payload as one task, whichever of its two forms it has."""
    if "ecsProperties" in payload:
        given = payload["ecsProperties"]["taskProperties"][0]
        return TaskPayload(
            containers=tuple({**one, "name": name_of(one)} for one in given["containers"]),
            settings={name: value for name, value in given.items() if name != "containers"},
        )
    container = payload["container"]
    platform = container.get("fargatePlatformConfiguration") or {}
    settings = {
        ours: container[theirs] for theirs, ours in _TASK_MEMBERS.items() if theirs in container
    }
    return TaskPayload(
        containers=({**container, "name": CONTAINER_NAME},),
        settings={**settings, "platformVersion": platform.get("platformVersion")},
    )


def name_of(container: Mapping[str, Any]) -> str:
    """Return the name by which ECS knows the container."""
    return str(container.get("name") or CONTAINER_NAME)


def essential_names(payload: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the essential containers of `ecsProperties`, in order; none for a single `container`.

    A job's row keeps them: ECS's events name a task's containers and do not say which of them are
    essential, and whose exit counts must be known without reading the job's spec.
    """
    if "ecsProperties" not in payload:
        return ()
    return tuple(one["name"] for one in task_of(payload).containers if one.get("essential", True))
