"""The rules of `ecsProperties`: a task of one to ten containers.

Each container follows the rules of `container`; the rules between them are here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.core.canonical import LATEST_PLATFORM
from chalicelib.core.errors import ClientError
from chalicelib.core.resources.platforms import Platform
from chalicelib.core.validation import fargate
from chalicelib.core.validation.container import validate_container
from chalicelib.core.validation.resources import total_needs, validate_amounts
from chalicelib.core.validation.runtime import validate_runtime_platform
from chalicelib.core.validation.volumes import validate_mount_points, validate_volumes

_MOST_CONTAINERS = 10
_CONDITIONS = ("START", "COMPLETE", "SUCCESS")
_IPC_MODES = ("host", "task", "none")
_PID_MODES = ("host", "task")
_FARGATE_WAIT_SECONDS = range(2, 120 + 1)


def validate_ecs_properties(properties: Mapping[str, Any], platform: Platform) -> None:
    """Refuse what AWS refuses of `ecsProperties` on this platform."""
    tasks = properties["taskProperties"]
    if len(tasks) != 1:
        raise ClientError("Exactly 1 taskProperties element must be provided.")
    task = tasks[0]
    containers = task["containers"]
    if not 1 <= len(containers) <= _MOST_CONTAINERS:
        raise ClientError(f"Number of containers must be between 1 and {_MOST_CONTAINERS}")
    _validate_names(containers)
    for container in containers:
        validate_container(container, platform, task.get("executionRoleArn"))
        validate_amounts(container, platform)
    _validate_dependencies(containers)
    _validate_firelens(containers)
    volumes = task.get("volumes", [])
    validate_volumes(volumes, task.get("taskRoleArn"))
    validate_mount_points(containers, volumes)
    validate_runtime_platform(task.get("runtimePlatform"), platform)
    _validate_modes(task, platform)
    if platform is Platform.FARGATE:
        _validate_for_fargate(task)


def _validate_names(containers: Sequence[Mapping[str, Any]]) -> None:
    names = [container.get("name") for container in containers]
    # A single container needs no name.
    if len(containers) > 1 and not all(names):
        raise ClientError("Container name is required.")
    if len(set(names)) != len(names):
        raise ClientError("Container names must be unique")
    if not any(container.get("essential", True) for container in containers):
        raise ClientError("At least one container must be set as essential")


def _validate_dependencies(containers: Sequence[Mapping[str, Any]]) -> None:
    essential = {c.get("name"): c.get("essential", True) for c in containers}
    for container in containers:
        for dependency in container.get("dependsOn", []):
            if len(containers) == 1:
                raise ClientError("Container dependency can not be used in a single-container job.")
            target, condition = dependency.get("containerName"), dependency.get("condition")
            if target not in essential or target == container.get("name"):
                raise ClientError(f"containerName {target} must reference a defined container.")
            if condition not in _CONDITIONS:
                raise ClientError(
                    f"TaskContainer dependency {condition} is not valid. "
                    f"Valid values are: [{', '.join(_CONDITIONS)}]"
                )
            if condition != "START" and essential[target]:
                raise ClientError(
                    "The container target of a dependency can not have condition "
                    f"{condition} if the target container {target} is essential."
                )
    _refuse_cycle(containers)


def _refuse_cycle(containers: Sequence[Mapping[str, Any]]) -> None:
    waiting = {
        container.get("name"): {d["containerName"] for d in container.get("dependsOn", [])}
        for container in containers
    }
    while waiting:
        free = [name for name, targets in waiting.items() if targets.isdisjoint(waiting)]
        if not free:
            raise ClientError("Container dependencies must not form a cycle.")
        for name in free:
            del waiting[name]


def _validate_firelens(containers: Sequence[Mapping[str, Any]]) -> None:
    routers = [container for container in containers if "firelensConfiguration" in container]
    drivers = {c.get("logConfiguration", {}).get("logDriver") for c in containers}
    if routers and "awsfirelens" not in drivers:
        raise ClientError(
            "When a firelensConfiguration object is specified, at least one container has to be "
            "configured with the awsfirelens log driver"
        )


def _validate_modes(task: Mapping[str, Any], platform: Platform) -> None:
    ipc_mode, pid_mode = task.get("ipcMode"), task.get("pidMode")
    if ipc_mode is not None and ipc_mode not in _IPC_MODES:
        raise ClientError(
            f"ipcMode {ipc_mode} is not valid. Valid values are: [{', '.join(_IPC_MODES)}]"
        )
    if pid_mode is not None and pid_mode not in _PID_MODES:
        # "Capability" is AWS's own word for it.
        raise ClientError(
            f"Capability {pid_mode} is not valid. Valid capabilities: [{', '.join(_PID_MODES)}]"
        )
    network_mode = task.get("networkMode")
    if network_mode is not None and platform is not Platform.MANAGED_INSTANCES:
        raise ClientError(f"networkMode is not applicable for {platform.value}.")
    if network_mode not in (None, "host"):
        raise ClientError(f"networkMode {network_mode} is not valid. Valid values: [host]")
    if platform is Platform.FARGATE:
        return
    for member in ("platformVersion", "networkConfiguration", "ephemeralStorage"):
        if task.get(member):
            raise ClientError(f"{member} not applicable for {platform.value}.")


def _validate_for_fargate(task: Mapping[str, Any]) -> None:
    fargate.validate_task(task, task.get("platformVersion") or LATEST_PLATFORM)
    if "ipcMode" in task:
        raise ClientError("ipcMode is not applicable for Fargate.")
    for container in task["containers"]:
        for member in ("startTimeout", "stopTimeout"):
            seconds = container.get(member)
            if seconds is not None and seconds not in _FARGATE_WAIT_SECONDS:
                raise ClientError(f"{member} must be between 2 and 120 seconds, got {seconds}.")
    needs = total_needs(task["containers"])
    fargate.validate_size(needs.vcpus, needs.memory_mib)
