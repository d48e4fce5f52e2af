"""Messages of the task-events queue, parsed into events of the lifecycle.

"ECS Task State Change" has the form in which ECS sends it; "Launch Failed" and "Deadline" are this
service's own. A message about another task, or without a fact that the lifecycle uses, gives None.
Reasons are put in AWS Batch's words here, and nowhere else.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from chalicelib.core.attempt_ends import START_FAILURE_REASON
from chalicelib.core.events import ContainerEnd, Event, EventKind, HostLoss, TaskHost
from chalicelib.core.ids import Fence
from chalicelib.core.launch_failures import LaunchFailure, is_lack_of_capacity, launch_failure_from
from chalicelib.core.messages import (
    CONTINUATION,
    DEADLINE,
    EXECUTION_STOPPED,
    LAUNCH_FAILED,
    NO_INSTANCE_CAME,
    WAKE,
)
from chalicelib.core.payload import CONTAINER_NAME

ECS_TASK_STATE_CHANGE = "ECS Task State Change"
_HOST_LOSSES = {str(loss): loss for loss in HostLoss}
EXECUTION_STATUS_CHANGE = "Step Functions Execution Status Change"


def event_from_message(message: Mapping[str, Any], now_ms: int) -> Event | None:
    """Return the lifecycle event that a message reports; None when it reports none."""
    detail = message.get("detail")
    if not isinstance(detail, Mapping):
        return None
    fence = Fence.parse(str(detail.get("startedBy") or ""))
    if fence is None:
        return None
    match message.get("detail-type"):
        case kind if kind == ECS_TASK_STATE_CHANGE:
            return _event_of_task(detail, fence, now_ms)
        case kind if kind == LAUNCH_FAILED:
            return _event_of_launch(detail, fence, now_ms)
        case kind if kind == DEADLINE:
            return Event(kind=EventKind.DEADLINE, at_ms=now_ms, fence=fence)
        case _:
            return None


def wake_from_message(message: Mapping[str, Any]) -> str | None:
    """Return the queue that a delayed wake is for; None when the message is not a wake."""
    detail = message.get("detail")
    if message.get("detail-type") != WAKE or not isinstance(detail, Mapping):
        return None
    return str(detail["queue"])


def continuation_from_message(message: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the detail of a continuation; None when the message is not one."""
    detail = message.get("detail")
    if message.get("detail-type") != CONTINUATION or not isinstance(detail, Mapping):
        return None
    return detail


def execution_from_message(message: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the detail of a report that an execution stopped; None when it is not one.

    It comes from Step Functions, or is a delayed message of this service.
    """
    detail = message.get("detail")
    kinds = (EXECUTION_STATUS_CHANGE, EXECUTION_STOPPED)
    if message.get("detail-type") not in kinds or not isinstance(detail, Mapping):
        return None
    return detail


def cluster_from_message(message: Mapping[str, Any]) -> str | None:
    """Return the cluster of the task that a message is about."""
    detail = message.get("detail")
    if not isinstance(detail, Mapping) or "clusterArn" not in detail:
        return None
    return str(detail["clusterArn"])


def event_from_description(task: Mapping[str, Any], fence: Fence, now_ms: int) -> Event | None:
    """Return the lifecycle event in DescribeTasks' answer: an event's shape, times as datetimes."""
    return _event_of_task(task, fence, now_ms)


def _event_of_task(task: Mapping[str, Any], fence: Fence, now_ms: int) -> Event | None:
    match task.get("lastStatus"):
        case "PENDING" if task.get("containerInstanceArn"):
            # Before, it was PROVISIONING: it waited for an instance with space for it.
            return Event(kind=EventKind.TASK_PENDING, at_ms=now_ms, fence=fence)
        case "RUNNING":
            return Event(
                kind=EventKind.TASK_RUNNING,
                at_ms=now_ms,
                fence=fence,
                task_arn=task["taskArn"],
                started_at_ms=_ms(task.get("startedAt")),
                host=_host_of(task),
            )
        case "STOPPED":
            return _event_of_end(task, fence, now_ms)
        case _:
            return None


def _event_of_end(task: Mapping[str, Any], fence: Fence, now_ms: int) -> Event:
    container = _container_of(task)
    stopped_reason = str(task.get("stoppedReason") or "")
    if not task.get("startedAt") and not fence.key.is_node and _had_no_capacity(task):
        return Event(
            kind=EventKind.LAUNCH_REFUSED,
            at_ms=now_ms,
            fence=fence,
            reason=stopped_reason.removeprefix(f"{NO_INSTANCE_CAME}: "),
            failure=LaunchFailure.CAPACITY,
            stopped_at_ms=_ms(task.get("stoppedAt")),
        )
    reason, container_reason = stopped_reason, container.get("reason")
    if task.get("stopCode") == "TaskFailedToStart":
        # AWS Batch reports this fixed text, and ECS's cause as the container's reason.
        reason, container_reason = START_FAILURE_REASON, container_reason or stopped_reason
    return Event(
        kind=EventKind.TASK_STOPPED,
        at_ms=now_ms,
        fence=fence,
        reason=reason,
        task_arn=task["taskArn"],
        started_at_ms=_ms(task.get("startedAt")),
        stopped_at_ms=_ms(task.get("executionStoppedAt")) or _ms(task.get("stoppedAt")),
        exit_code=_exit_code(container),
        container_reason=container_reason,
        container_ends=tuple(
            ContainerEnd(name=one["name"], exit_code=_exit_code(one), reason=one.get("reason"))
            for one in task.get("containers") or ()
            if one.get("name")
        ),
        host=_host_of(task),
        essential_exited=task.get("stopCode") == "EssentialContainerExited",
        host_loss=_HOST_LOSSES.get(str(task.get("stopCode"))),
        # It got an instance, and ran, between the look at it and the stop.
        is_free=stopped_reason.startswith(NO_INSTANCE_CAME),
    )


def _had_no_capacity(task: Mapping[str, Any]) -> bool:
    """Return whether a task was stopped because nothing had capacity for it, by ECS or by us."""
    reason = str(task.get("stoppedReason") or "")
    if task.get("stopCode") == "TaskFailedToStart":
        return is_lack_of_capacity(reason)
    return reason.startswith(NO_INSTANCE_CAME)


def _exit_code(container: Mapping[str, Any]) -> int | None:
    code = container.get("exitCode")
    return None if code is None else int(code)


def _host_of(task: Mapping[str, Any]) -> TaskHost | None:
    """Return where the task runs; None for one that has neither instance nor interface.

    All containers of a task have the interface of the task. Before they are described with it, it
    is an attachment of the task.
    """
    interfaces = [
        interface
        for container in task.get("containers") or ()
        for interface in container.get("networkInterfaces") or ()
    ]
    attached = [
        {
            "attachmentId": attachment.get("id"),
            "privateIpv4Address": detail.get("value"),
        }
        for attachment in task.get("attachments") or ()
        if attachment.get("type") in {"eni", "ElasticNetworkInterface"}
        for detail in attachment.get("details") or ()
        if detail.get("name") == "privateIPv4Address"
    ]
    known = [one for one in (*interfaces, *attached) if any(one.values())]
    interface: Mapping[str, Any] = known[0] if known else {}
    host = TaskHost(
        container_instance_arn=task.get("containerInstanceArn") or None,
        attachment_id=interface.get("attachmentId") or None,
        ipv4_address=interface.get("privateIpv4Address") or None,
        ipv6_address=interface.get("ipv6Address") or None,
    )
    return None if host == TaskHost() else host


def _container_of(task: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the job's own container; agents of the account may add theirs to a task.

    Where a job has several, `core/outcome.py` decides which of them counts: the event does not say
    which are essential, the job's row does.
    """
    containers = task.get("containers") or [{}]
    return next((one for one in containers if one.get("name") == CONTAINER_NAME), containers[0])


def _event_of_launch(detail: Mapping[str, Any], fence: Fence, now_ms: int) -> Event | None:
    error, cause = str(detail.get("error") or ""), str(detail.get("reason") or "")
    failure = launch_failure_from(error, cause)
    if failure is LaunchFailure.LAUNCHED:
        return None  # the task's own events report it
    if failure is LaunchFailure.OPEN:
        return None  # the sweeper asks again, until there is a task or an answer
    if failure is not LaunchFailure.CONFIGURATION:
        return Event(
            kind=EventKind.LAUNCH_REFUSED,
            at_ms=now_ms,
            fence=fence,
            reason=cause or error,
            failure=failure,
        )
    return Event(
        kind=EventKind.LAUNCH_FAILED,
        at_ms=now_ms,
        fence=fence,
        reason=START_FAILURE_REASON,
        container_reason=cause or error,
    )


def _ms(moment: Any) -> int | None:
    """Return a time of ECS in ms: text in its events, a datetime in boto3's answers."""
    if moment is None or moment == "":
        return None
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment.replace("Z", "+00:00"))
    return int(moment.timestamp() * 1000)
