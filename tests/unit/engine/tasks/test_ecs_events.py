"""Messages of the task-events queue, parsed into events of the lifecycle.

The files in tests/events have the shape in which ECS sends its events, member by member.
"""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.core.events import ContainerEnd, Event, EventKind, HostLoss, TaskHost
from chalicelib.core.ids import Fence
from chalicelib.core.launch_failures import LaunchFailure
from chalicelib.core.messages import NO_INSTANCE_CAME
from chalicelib.engine.tasks.ecs_events import (
    cluster_from_message,
    event_from_description,
    event_from_message,
    wake_from_message,
)
from tests.support import stack
from tests.support.ecs_limits import NO_CAPACITY
from tests.support.values import JOB_ID, NOW_MS

FENCE = Fence(job_id=JOB_ID, part="job", attempt=1, dispatch_count=1)
TASK = "arn:aws:ecs:us-east-1:123456789012:task/yard_fargate/b99d40b39b5b4c2b8d5c7a0f6e1d2c3b"
STARTED_MS = 1_795_105_427_712
RECORDED = sorted((stack.ROOT / "tests" / "events").glob("*.json"))


def recorded(name: str) -> dict[str, Any]:
    message: dict[str, Any] = json.loads((stack.ROOT / "tests" / "events" / name).read_text())
    return message


def event_of(name: str) -> Event:
    event = event_from_message(recorded(name), NOW_MS)
    assert event is not None
    return event


def launch_failed(error: str, reason: str) -> Event:
    detail = {"startedBy": str(FENCE), "error": error, "reason": reason}
    message = {"source": "batchyard", "detail-type": "Launch Failed", "detail": detail}
    event = event_from_message(message, NOW_MS)
    assert event is not None
    return event


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: str(path.stem))
def test_an_event_passes_the_rule_of_the_stack_and_names_its_job(path: Any) -> None:
    message = recorded(path.name)
    assert stack.matches(stack.properties("TaskStateChanges")["EventPattern"], message)
    event = event_of(path.name)
    assert (event.fence, event.task_arn, event.at_ms) == (FENCE, TASK, NOW_MS)
    assert (
        cluster_from_message(message) == "arn:aws:ecs:us-east-1:123456789012:cluster/yard_fargate"
    )


def test_an_event_of_a_running_task_has_its_start_time() -> None:
    event = event_of("task_running.json")
    assert (event.kind, event.started_at_ms) == (EventKind.TASK_RUNNING, STARTED_MS)


def test_an_event_of_an_end_has_exit_code_times_and_reason() -> None:
    event = event_of("task_stopped_exit_0.json")
    assert event.kind is EventKind.TASK_STOPPED
    assert (event.exit_code, event.reason) == (0, "Essential container in task exited")
    assert (event.started_at_ms, event.container_reason) == (STARTED_MS, None)
    # When the container ended, not when ECS had taken its network away.
    assert event.stopped_at_ms == 1_795_105_848_250


def test_a_container_out_of_memory_says_so() -> None:
    event = event_of("task_stopped_out_of_memory.json")
    assert event.exit_code == 137
    assert event.container_reason == "OutOfMemoryError: Container killed due to memory usage"


def test_a_task_stopped_by_request_carries_the_request_s_reason() -> None:
    event = event_of("task_stopped_by_user.json")
    assert (event.exit_code, event.reason) == (143, "enough")


def test_the_reason_of_a_spot_interruption_is_one_that_retry_rules_match() -> None:
    event = event_of("task_stopped_spot_interruption.json")
    assert (event.exit_code, event.reason) == (137, "Your Spot Task was interrupted.")


def test_a_task_that_failed_to_start_keeps_the_cause_as_the_container_s_reason() -> None:
    event = event_of("task_failed_to_start.json")
    assert (event.reason, event.exit_code) == ("Task failed to start", None)
    assert event.started_at_ms is None
    assert (event.container_reason or "").startswith("CannotPullContainerError: ")
    assert event.stopped_at_ms == 1_795_105_861_998


def test_a_container_that_an_agent_added_does_not_decide_for_the_job() -> None:
    message = recorded("task_stopped_exit_0.json")
    agent = {"name": "aws-guardduty-agent-x", "lastStatus": "STOPPED", "exitCode": 137}
    message["detail"]["containers"].insert(0, agent)
    event = event_from_message(message, NOW_MS)
    assert event is not None
    assert event.exit_code == 0


def test_a_task_without_containers_has_no_exit_code() -> None:
    message = recorded("task_stopped_exit_0.json")
    message["detail"]["containers"] = []
    event = event_from_message(message, NOW_MS)
    assert event is not None
    assert event.exit_code is None


def test_an_event_of_an_end_has_the_end_of_each_container() -> None:
    event = event_of("task_stopped_several_containers.json")
    assert event.container_ends == (
        ContainerEnd(name="init", exit_code=0),
        ContainerEnd(name="main", exit_code=3),
        ContainerEnd(
            name="sidecar", exit_code=137, reason="OutOfMemoryError: Container killed due to memory"
        ),
    )
    assert event.essential_exited


@pytest.mark.parametrize("name", ["task_stopped_by_user", "task_stopped_spot_interruption"])
def test_a_stop_from_outside_is_not_taken_for_a_container_s_end(name: str) -> None:
    assert not event_of(f"{name}.json").essential_exited


@pytest.mark.parametrize("status", ["PROVISIONING", "PENDING", "DEACTIVATING", "STOPPING", None])
def test_an_intermediate_status_is_no_event(status: str | None) -> None:
    message = recorded("task_running.json")
    message["detail"]["lastStatus"] = status
    assert event_from_message(message, NOW_MS) is None


@pytest.mark.parametrize("started_by", [None, "", "ecs-svc/1", "somebody"])
def test_a_task_of_another_owner_is_no_event(started_by: str | None) -> None:
    message = recorded("task_running.json")
    message["detail"]["startedBy"] = started_by
    assert event_from_message(message, NOW_MS) is None


@pytest.mark.parametrize("message", [{}, {"detail": None}, {"detail": []}, {"detail-type": "X"}])
def test_a_message_of_another_kind_is_no_event(message: dict[str, Any]) -> None:
    assert event_from_message(message, NOW_MS) is None
    assert wake_from_message(message) is None
    assert cluster_from_message(message) is None


def test_a_description_says_what_the_event_says() -> None:
    task = recorded("task_stopped_exit_0.json")["detail"]
    described = dict(task)
    for name in ("startedAt", "stoppedAt", "executionStoppedAt"):
        described[name] = datetime.fromisoformat(task[name].replace("Z", "+00:00"))
    event = event_from_description(described, FENCE, NOW_MS)
    assert event == event_of("task_stopped_exit_0.json")


@pytest.mark.parametrize("millisecond", range(0, 1000, 7))
def test_a_moment_keeps_its_millisecond(millisecond: int) -> None:
    moment = datetime(2026, 11, 19, 16, 23, 47, millisecond * 1000, tzinfo=UTC)
    task = {"lastStatus": "RUNNING", "taskArn": TASK, "startedAt": moment}
    event = event_from_description(task, FENCE, NOW_MS)
    assert event is not None
    assert event.started_at_ms == STARTED_MS - 712 + millisecond


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("RunTask.Failure", "RESOURCE:CPU"),
        ("RunTask.Failure", "AGENT"),
        ("RunTask.Failure", "Capacity is unavailable at this time."),
        ("Ecs.EcsException", "Rate exceeded (Service: Ecs, Status Code: 400)"),
        ("Ecs.ClusterNotFoundException", "Cluster not found."),
        ("Ecs.LimitExceededException", "You've reached the limit on the number of tasks"),
    ],
)
def test_a_launch_that_may_succeed_later_is_refused_only(error: str, reason: str) -> None:
    event = launch_failed(error, reason)
    assert (event.kind, event.fence) == (EventKind.LAUNCH_REFUSED, FENCE)
    assert event.reason == (reason or error)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("States.Timeout", ""),
        ("Ecs.ServerException", "Service Unavailable"),
        ("Ecs.SdkClientException", "Read timed out"),
    ],
)
def test_a_launch_without_an_answer_reports_nothing(error: str, reason: str) -> None:
    """ECS may have made its task: giving the job back could make a second one."""
    detail = {"startedBy": str(FENCE), "error": error, "reason": reason}
    message = {"source": "batchyard", "detail-type": "Launch Failed", "detail": detail}
    assert event_from_message(message, NOW_MS) is None


@pytest.mark.parametrize(
    ("error", "reason", "reported"),
    [
        ("Ecs.InvalidParameterException", "No such role.", "No such role."),
        (
            "Ecs.AccessDeniedException",
            "not authorized: iam:PassRole",
            "not authorized: iam:PassRole",
        ),
        ("KeyError", "", "KeyError"),
    ],
)
def test_a_launch_that_never_will_fails_the_attempt(error: str, reason: str, reported: str) -> None:
    event = launch_failed(error, reason)
    assert (event.kind, event.reason) == (EventKind.LAUNCH_FAILED, "Task failed to start")
    assert event.container_reason == reported


def test_a_deadline_is_about_its_own_placement() -> None:
    detail = {"startedBy": str(FENCE)}
    event = event_from_message({"detail-type": "Deadline", "detail": detail}, NOW_MS)
    assert event == Event(kind=EventKind.DEADLINE, at_ms=NOW_MS, fence=FENCE)


def test_a_delayed_wake_names_its_queue_and_is_no_event() -> None:
    message = {"source": "batchyard", "detail-type": "Wake", "detail": {"queue": "queue"}}
    assert wake_from_message(message) == "queue"
    assert event_from_message(message, NOW_MS) is None


INTERFACE = {
    "containers": [{"name": "default", "networkInterfaces": [{"privateIpv4Address": "a"}]}]
}
ATTACHMENT = {
    "attachments": [
        {"type": "ElasticNetworkInterface", "details": [{"name": "subnetId", "value": "s"}]},
        {"type": "eni", "details": [{"name": "privateIPv4Address", "value": "b"}]},
    ]
}


@pytest.mark.parametrize(
    ("detail", "address"),
    [
        (INTERFACE, "a"),
        (ATTACHMENT, "b"),
        (INTERFACE | ATTACHMENT, "a"),
        ({"containers": [{"name": "default", "networkInterfaces": []}]}, None),
        ({"attachments": [{"type": "sdi", "details": [{"name": "privateIPv4Address"}]}]}, None),
        ({}, None),
    ],
)
def test_an_event_of_a_running_task_has_its_address_if_there_is_one(
    detail: dict[str, Any], address: str | None
) -> None:
    task = {"taskArn": TASK, "lastStatus": "RUNNING", **detail}
    event = event_from_description(task, FENCE, NOW_MS)
    assert event is not None
    assert event.address == address


ON_INSTANCE = {"containerInstanceArn": "arn:instance"}
FULL_INTERFACE = {"attachmentId": "id", "privateIpv4Address": "a", "ipv6Address": "b"}


@pytest.mark.parametrize(
    ("detail", "host"),
    [
        ({"containers": [{"name": "default"}]}, None),
        (ON_INSTANCE, TaskHost(container_instance_arn="arn:instance")),
        (
            {"containers": [{"networkInterfaces": []}, {"networkInterfaces": [FULL_INTERFACE]}]},
            TaskHost(attachment_id="id", ipv4_address="a", ipv6_address="b"),
        ),
        (
            ON_INSTANCE | {"containers": [{"networkInterfaces": [{"attachmentId": "id"}]}]},
            TaskHost(container_instance_arn="arn:instance", attachment_id="id"),
        ),
    ],
)
@pytest.mark.parametrize("status", ["RUNNING", "STOPPED"])
def test_an_event_of_a_task_says_where_it_runs(
    detail: dict[str, Any], host: TaskHost | None, status: str
) -> None:
    task = {"taskArn": TASK, "lastStatus": status, **detail}
    event = event_from_description(task, FENCE, NOW_MS)
    assert event is not None
    assert event.host == host


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: str(path.stem))
def test_an_event_of_a_task_on_fargate_has_its_network_interface(path: Any) -> None:
    host = event_of(path.name).host
    assert host is not None
    assert host.container_instance_arn is None
    assert host.attachment_id is not None
    assert (host.ipv4_address or "").startswith("10.0.0.")


def ended(code: str, reason: str, *, fence: Fence = FENCE, started: bool = False) -> Event:
    times = {"startedAt": "2026-11-19T16:23:47.712Z"} if started else {}
    task = {
        "taskArn": TASK,
        "lastStatus": "STOPPED",
        "stopCode": code,
        "stoppedReason": reason,
        "stoppedAt": "2026-11-19T16:31:01.998Z",
        "containers": [{"name": "default"}],
        **times,
    }
    event = event_from_description(task, fence, NOW_MS)
    assert event is not None
    return event


@pytest.mark.parametrize(
    ("code", "reason", "shown"),
    [
        ("TaskFailedToStart", "EMPTY CAPACITY PROVIDER", "EMPTY CAPACITY PROVIDER"),
        ("TaskFailedToStart", "RESOURCE:MEMORY", "RESOURCE:MEMORY"),
        ("TaskFailedToStart", NO_CAPACITY, NO_CAPACITY),
        ("UserInitiated", f"{NO_INSTANCE_CAME}: why", "why"),
    ],
)
def test_a_task_that_nothing_had_capacity_for_is_a_launch_that_was_refused(
    code: str, reason: str, shown: str
) -> None:
    event = ended(code, reason)
    assert (event.kind, event.failure) == (EventKind.LAUNCH_REFUSED, LaunchFailure.CAPACITY)
    assert (event.reason, event.stopped_at_ms) == (shown, 1_795_105_861_998)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("TaskFailedToStart", "CannotPullContainerError: toomanyrequests: pull rate limit"),
        ("TaskFailedToStart", "ResourceInitializationError: unable to pull secrets"),
        ("UserInitiated", "enough"),
    ],
)
def test_a_task_that_failed_for_another_cause_has_ended_its_attempt(code: str, reason: str) -> None:
    event = ended(code, reason)
    assert (event.kind, event.is_free) == (EventKind.TASK_STOPPED, False)


def test_a_task_that_ran_is_never_a_refused_launch() -> None:
    event = ended("UserInitiated", f"{NO_INSTANCE_CAME}: why", started=True)
    assert (event.kind, event.is_free) == (EventKind.TASK_STOPPED, True)


def test_the_task_of_a_node_is_never_a_refused_launch() -> None:
    """Its launch has the client token of its job's placement: ECS would answer with this task."""
    fence = Fence(job_id=JOB_ID, part="node#1", attempt=1, dispatch_count=1)
    event = ended("TaskFailedToStart", "EMPTY CAPACITY PROVIDER", fence=fence)
    assert event.kind is EventKind.TASK_STOPPED


@pytest.mark.parametrize("loss", [*HostLoss, None])
def test_the_loss_of_a_host_is_recognised_by_its_stop_code(loss: HostLoss | None) -> None:
    code = str(loss) if loss is not None else "EssentialContainerExited"
    assert ended(code, "any", started=True).host_loss is loss
