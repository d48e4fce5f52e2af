"""The shape of ECS's "ECS Task State Change" event.

Pure. Owns the members of the event, and what ECS reports when a host is lost. It must
not know who sends it where (`sender`) nor when (`supervisor`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from .lifecycle import ContainerState, Phase, StopCause, StopCode, TaskState
from .plan import Json

_ECHOED = (
    "attachments",
    "attributes",
    "availabilityZone",
    "capacityProviderName",
    "clusterArn",
    "connectivity",
    "connectivityAt",
    "cpu",
    "createdAt",
    "enableExecuteCommand",
    "ephemeralStorage",
    "group",
    "launchType",
    "memory",
    "overrides",
    "platformFamily",
    "platformVersion",
    "pullStartedAt",
    "pullStoppedAt",
    "startedBy",
    "taskArn",
    "taskDefinitionArn",
)
_ECHOED_OF_CONTAINER = ("containerArn", "cpu", "image", "memory", "name", "taskArn")
STOPPED_BY_USER = "Task stopped by user"
_RUNNING_VERSION_STEP = 1
_STOPPED_VERSION_STEP = 3


def iso_time(at_ms: int) -> str:
    """Return milliseconds since the epoch as ECS prints a time."""
    moment = datetime.fromtimestamp(at_ms / 1000, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def json_ready(value: Any) -> Any:
    """Return an SDK's answer with its times printed as the event prints them."""
    if isinstance(value, dict):
        return {key: json_ready(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(member) for member in value]
    if isinstance(value, datetime):
        return iso_time(int(value.timestamp() * 1000))
    return value


def pending_event(task: Json, *, event_id: str, at_ms: int) -> Json:
    """Return the event of a task that was placed on an instance and waits for its agent."""
    detail = _detail(task, TaskState(containers={}), at_ms=at_ms, version_step=0) | {
        "lastStatus": "PENDING",
        "desiredStatus": "RUNNING",
    }
    for container in detail["containers"]:
        container["lastStatus"] = "PENDING"
    return _envelope(task, detail, event_id=event_id, at_ms=at_ms)


def running_event(task: Json, state: TaskState, *, event_id: str, started_at_ms: int) -> Json:
    """Return the RUNNING event. `task` is DescribeTasks' record, made `json_ready`."""
    detail = _detail(task, state, at_ms=started_at_ms, version_step=_RUNNING_VERSION_STEP) | {
        "lastStatus": "RUNNING",
        "desiredStatus": "RUNNING",
        "startedAt": iso_time(started_at_ms),
    }
    return _envelope(task, detail, event_id=event_id, at_ms=started_at_ms)


def stopped_event(
    task: Json,
    state: TaskState,
    cause: StopCause,
    *,
    event_id: str,
    started_at_ms: int | None,
    stopping_at_ms: int,
    stopped_at_ms: int,
) -> Json:
    """Return the STOPPED event, without startedAt if the task never started."""
    detail = _detail(task, state, at_ms=stopped_at_ms, version_step=_STOPPED_VERSION_STEP) | {
        "lastStatus": "STOPPED",
        "desiredStatus": "STOPPED",
        "stopCode": cause.code.value,
        "stoppedReason": cause.reason,
        "stoppingAt": iso_time(stopping_at_ms),
        "stoppedAt": iso_time(stopped_at_ms),
        "executionStoppedAt": iso_time(stopped_at_ms),
    }
    if started_at_ms is not None:
        detail["startedAt"] = iso_time(started_at_ms)
    for container in detail["containers"]:
        container["lastStatus"] = "STOPPED"
    return _envelope(task, detail, event_id=event_id, at_ms=stopped_at_ms)


def on_instance(task: Json) -> bool:
    """Return whether ECS places the task on an instance of a capacity provider."""
    return bool(task.get("capacityProviderName")) and task.get("launchType") != "FARGATE"


def recorded_cause(task: Json) -> StopCause:
    """Return why a task was stopped from outside, from its record."""
    code = str(task.get("stopCode") or "")
    known = {one.value: one for one in StopCode}
    return StopCause(
        code=known.get(code, StopCode.USER_INITIATED),
        reason=task.get("stoppedReason") or STOPPED_BY_USER,
    )


def lost_host(task: Json) -> StopCause:
    """Return the cause that ECS reports for a task whose host is gone."""
    if task.get("launchType") != "FARGATE":
        instance = str(task.get("containerInstanceArn") or "").rsplit("/", 1)[-1].replace("-", "")
        return StopCause(
            code=StopCode.TERMINATION_NOTICE,
            reason=f"Host EC2 (instance i-{instance[:17]}) terminated.",
        )
    if task.get("capacityProviderName") == "FARGATE_SPOT":
        return StopCause(code=StopCode.SPOT_INTERRUPTION, reason="Your Spot Task was interrupted.")
    return StopCause(
        code=StopCode.TERMINATION_NOTICE,
        reason="ECS is performing maintenance on the underlying infrastructure hosting the task.",
    )


def _envelope(task: Json, detail: Json, *, event_id: str, at_ms: int) -> Json:
    arn = str(task["taskArn"])
    _, _, _, region, account, _ = arn.split(":", 5)
    return {
        "version": "0",
        "id": event_id,
        "detail-type": "ECS Task State Change",
        "source": "aws.ecs",
        "account": account,
        "time": iso_time(at_ms)[:19] + "Z",
        "region": region,
        "resources": [arn],
        "detail": detail,
    }


def _detail(task: Json, state: TaskState, *, at_ms: int, version_step: int) -> Json:
    detail = {key: task[key] for key in _ECHOED if task.get(key) not in (None, "")}
    if task.get("launchType") != "FARGATE" and task.get("containerInstanceArn"):
        detail["containerInstanceArn"] = task["containerInstanceArn"]
    family = str(task["taskDefinitionArn"]).rsplit("/", 1)[-1].split(":")[0]
    detail.setdefault("group", f"family:{family}")
    detail["containers"] = [
        _container(record, state.containers.get(str(record.get("name")), ContainerState()))
        for record in task.get("containers") or []
    ]
    detail["updatedAt"] = iso_time(at_ms)
    detail["version"] = int(task.get("version") or 1) + version_step
    return detail


def _container(record: Json, state: ContainerState) -> Json:
    event_container: Json = {key: record[key] for key in _ECHOED_OF_CONTAINER if key in record}
    # A container that runs or that ECS has still to start is never shown as PENDING beside a
    # RUNNING task; the caller overrides the status of a stopped task's containers.
    event_container["lastStatus"] = "STOPPED" if state.phase is Phase.STOPPED else "RUNNING"
    # ECS reports it only for tasks with their own interface; here every container has one, so
    # that the nodes of a multi-node job find one another.
    interfaces = [{"privateIpv4Address": state.address}] if state.address else []
    event_container["networkInterfaces"] = record.get("networkInterfaces") or interfaces
    if state.runtime_id is not None:
        event_container["runtimeId"] = state.runtime_id
    if state.exit_code is not None:
        event_container["exitCode"] = state.exit_code
    if state.reason is not None:
        event_container["reason"] = state.reason
    return event_container
