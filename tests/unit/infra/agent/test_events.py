"""The shape of the events, member by member."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from batchyard.agent import events, lifecycle
from batchyard.agent.lifecycle import ContainerState, Phase, StopCode, TaskState
from batchyard.agent.plan import Json

from .world import CLUSTER, TASK_PREFIX, container, task_definition, task_record

AT_MS = 1_767_323_045_678
AT = "2026-01-02T03:04:05.678Z"


def record(**more: object) -> Json:
    """Return a task of one container."""
    return task_record("task1", task_definition(container()), **more)


def ended(**more: object) -> TaskState:
    """Return the state of a task whose container ended like this."""
    state = ContainerState(phase=Phase.STOPPED, started=True, runtime_id="r1", **more)  # type: ignore[arg-type]
    return TaskState(containers={"default": state})


def stopped(task: Json, state: TaskState, started_at_ms: int | None = AT_MS) -> Json:
    """Return the STOPPED event after the exit of an essential container."""
    return events.stopped_event(
        task,
        state,
        lifecycle.ESSENTIAL_EXITED,
        event_id="e1",
        started_at_ms=started_at_ms,
        stopping_at_ms=AT_MS,
        stopped_at_ms=AT_MS,
    )


def test_the_envelope_is_the_one_of_eventbridge() -> None:
    event = stopped(record(), ended(exit_code=0))
    event.pop("detail")
    assert event == {
        "version": "0",
        "id": "e1",
        "detail-type": "ECS Task State Change",
        "source": "aws.ecs",
        "account": "000000000000",
        "time": "2026-01-02T03:04:05Z",
        "region": "us-east-1",
        "resources": [TASK_PREFIX + "task1"],
    }


def test_a_stopped_event_has_exit_codes_and_reason() -> None:
    detail = stopped(record(), ended(exit_code=3))["detail"]
    assert detail["clusterArn"] == CLUSTER
    assert detail["startedBy"] == "task1/job/1"
    assert detail["group"] == "family:job"
    assert detail["lastStatus"] == detail["desiredStatus"] == "STOPPED"
    assert detail["stopCode"] == "EssentialContainerExited"
    assert detail["stoppedReason"] == "Essential container in task exited"
    assert detail["startedAt"] == detail["stoppingAt"] == detail["stoppedAt"] == AT
    assert detail["containers"] == [
        {
            "containerArn": TASK_PREFIX + "task1/default",
            "taskArn": TASK_PREFIX + "task1",
            "name": "default",
            "image": "batchyard-busybox:test",
            "cpu": "0",
            "memory": "0",
            "lastStatus": "STOPPED",
            "networkInterfaces": [],
            "runtimeId": "r1",
            "exitCode": 3,
        }
    ]


def test_versions_rise() -> None:
    state = TaskState(containers={"default": ContainerState(phase=Phase.RUNNING)})
    running = events.running_event(record(), state, event_id="e", started_at_ms=AT_MS)["detail"]
    assert running["lastStatus"] == running["containers"][0]["lastStatus"] == "RUNNING"
    assert "stopCode" not in running
    assert 1 < running["version"] < stopped(record(), ended())["detail"]["version"]


def test_a_task_that_never_started_has_no_start_and_no_exit_code() -> None:
    state = TaskState(containers={"default": ContainerState(phase=Phase.STOPPED, reason="why")})
    detail = stopped(record(), state, started_at_ms=None)["detail"]
    assert "startedAt" not in detail
    assert "exitCode" not in detail["containers"][0]
    assert detail["containers"][0]["reason"] == "why"


def test_only_tasks_on_instances_name_one() -> None:
    assert "containerInstanceArn" not in stopped(record(), ended())["detail"]
    assert "containerInstanceArn" in stopped(record(launchType="EC2"), ended())["detail"]


@pytest.mark.parametrize(
    ("task", "code", "reason"),
    [
        (
            {"launchType": "EC2"},
            StopCode.TERMINATION_NOTICE,
            "Host EC2 (instance i-0a1b2c) terminated.",
        ),
        (
            {"capacityProviderName": "FARGATE_SPOT"},
            StopCode.SPOT_INTERRUPTION,
            "Your Spot Task was interrupted.",
        ),
        (
            {},
            StopCode.TERMINATION_NOTICE,
            "ECS is performing maintenance on the underlying infrastructure hosting the task.",
        ),
    ],
)
def test_a_lost_host_is_reported_in_the_words_of_ecs(
    task: Json, code: StopCode, reason: str
) -> None:
    cause = events.lost_host(record(**task))
    assert (cause.code, cause.reason) == (code, reason)


def test_times_become_text_wherever_they_are() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    assert events.json_ready({"a": [{"b": moment}], "c": 1}) == {"a": [{"b": AT}], "c": 1}


def test_a_container_event_has_the_address_where_others_reach_it() -> None:
    state = ContainerState(phase=Phase.RUNNING, started=True, address="127.0.0.1")
    event = events.running_event(
        record(), TaskState(containers={"default": state}), event_id="e1", started_at_ms=AT_MS
    )
    (described,) = event["detail"]["containers"]
    assert described["networkInterfaces"] == [{"privateIpv4Address": "127.0.0.1"}]
    (silent,) = stopped(record(), ended())["detail"]["containers"]
    assert silent["networkInterfaces"] == []
