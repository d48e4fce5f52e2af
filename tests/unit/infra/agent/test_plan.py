"""The task plan: definition and overrides merged."""

from __future__ import annotations

import pytest

from batchyard.agent.environment import (
    container_environment,
    local_variables,
    process_environment,
)
from batchyard.agent.plan import Condition, Json, LogTarget, TaskPlan, plan_task

from .world import container, task_definition, task_record


def plan(*containers: Json, definition: Json | None = None, **task: object) -> TaskPlan:
    """Return a plan of these containers; `task` are members of the task's record."""
    whole = task_definition(*containers, **(definition or {}))
    return plan_task(task_record("task1", whole, **task), whole)


def override(**members: object) -> Json:
    """Return the task's overrides for the container `default`."""
    return {"containerOverrides": [{"name": "default"} | members]}


def test_an_override_replaces_the_command_and_leaves_the_entry_point() -> None:
    planned = plan(
        container(command=["a"], entryPoint=["/bin/sh", "-c"]), overrides=override(command=["b"])
    )
    assert planned.containers[0].entry_point == ("/bin/sh", "-c")
    assert planned.containers[0].command == ("b",)


def test_environment_merges_by_name() -> None:
    planned = plan(
        container(environment=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]),
        overrides=override(environment=[{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]),
    )
    assert planned.containers[0].environment == {"A": "1", "B": "3", "C": "4"}


@pytest.mark.parametrize(
    ("member", "overrides", "expected_mib"),
    [
        ({"memory": 128}, {}, 128),
        ({"memory": 128}, override(memory=64), 64),
        ({}, {}, 512),
        ({}, {"memory": "1024"}, 1024),
    ],
)
def test_the_memory_limit_is_the_nearest_one(
    member: Json, overrides: Json, expected_mib: int
) -> None:
    assert plan(container(**member), overrides=overrides).containers[0].memory_mib == expected_mib


def test_a_stop_timeout_of_zero_is_not_the_default() -> None:
    assert plan(container(stopTimeout=0)).containers[0].stop_timeout_seconds == 0
    assert plan(container()).containers[0].stop_timeout_seconds == 30


def test_the_log_stream_is_named_prefix_container_task() -> None:
    expected = LogTarget(group="/logs", stream="t/default/task1")
    assert plan(container()).containers[0].log == expected


def test_other_log_drivers_send_nothing_to_cloudwatch() -> None:
    configuration = {"logDriver": "json-file", "options": {"awslogs-group": "/logs"}}
    assert plan(container(logConfiguration=configuration)).containers[0].log is None


def test_dependencies_and_essential_are_read() -> None:
    planned = plan(
        container("first", essential=False),
        container(dependsOn=[{"containerName": "first", "condition": "SUCCESS"}]),
    )
    assert [one.essential for one in planned.containers] == [False, True]
    dependency = planned.container("default").depends_on[0]
    assert (dependency.container, dependency.condition) == ("first", Condition.SUCCESS)


@pytest.mark.parametrize(
    ("command", "argv"),
    [
        (["CMD-SHELL", "test -f x"], ("/bin/sh", "-c", "test -f x")),
        (["CMD", "test", "-f", "x"], ("test", "-f", "x")),
        (["NONE"], None),
    ],
)
def test_a_health_check_becomes_a_command(command: list[str], argv: tuple[str, ...] | None) -> None:
    check = plan(container(healthCheck={"command": command})).containers[0].health_check
    assert (check.argv if check else None) == argv


@pytest.mark.parametrize(
    ("launch_type", "expected"), [("FARGATE", "AWS_ECS_FARGATE"), ("EC2", "AWS_ECS_EC2")]
)
def test_the_environment_names_where_it_runs_and_the_jobs_own_variables_win(
    launch_type: str, expected: str
) -> None:
    planned = plan(
        container(environment=[{"name": "AWS_REGION", "value": "eu-west-1"}]),
        launchType=launch_type,
    )
    given = container_environment(
        planned,
        planned.containers[0],
        local=local_variables(
            region="us-east-1",
            endpoint_url="http://here",
            batch_endpoint_url="http://here/batch",
            keys={"AWS_ACCESS_KEY_ID": "LOCALKEY", "AWS_SECRET_ACCESS_KEY": "secret"},
        ),
        secrets={"TOKEN": "s"},
    )
    assert given["AWS_EXECUTION_ENV"] == expected
    assert given["AWS_REGION"] == "eu-west-1"
    assert given["AWS_DEFAULT_REGION"] == "us-east-1"
    assert given["AWS_ENDPOINT_URL"] == "http://here"
    assert given["AWS_ENDPOINT_URL_BATCH"] == "http://here/batch"
    assert given["AWS_ACCESS_KEY_ID"] == "LOCALKEY"
    assert given["AWS_SECRET_ACCESS_KEY"] == "secret"
    assert given["TOKEN"] == "s"


def test_a_process_may_set_its_path_but_not_its_host_name() -> None:
    environment = process_environment(
        {"PATH": "/own", "HOSTNAME": "liar"}, path="/host", home="/h", runtime_id="abc"
    )
    assert environment == {"PATH": "/own", "HOME": "/h", "HOSTNAME": "abc"}
