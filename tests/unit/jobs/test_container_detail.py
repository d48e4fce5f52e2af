"""Jobs of several containers, as they are submitted, described and listed."""

from typing import Any
from unittest.mock import ANY

from tests.support.scenes import (
    ROLE,
    finish,
    make_environment,
    make_queue,
    make_task_definition,
    running,
    submit,
)
from tests.support.world import World

MAIN = {
    "name": "main",
    "command": ["work", "Ref::word"],
    "environment": [{"name": "A", "value": "1"}],
}
HELPER = {"name": "helper", "essential": False}
WAITING = MAIN | {"dependsOn": [{"containerName": "helper", "condition": "START"}]}

Json = dict[str, Any]


def make_stage(world: World, *containers: Json, **members: Any) -> None:
    make_environment(world)
    make_queue(world)
    make_task_definition(
        world, *(containers or (WAITING, HELPER)), parameters={"word": "hello"}, **members
    )


def task_in(job: Json) -> Json:
    (task,) = job["ecsProperties"]["taskProperties"]
    found: Json = task
    return found


def containers_in(task: Json) -> dict[str, Json]:
    return {container["name"]: container for container in task["containers"]}


def test_a_waiting_job_shows_the_effective_settings_of_each_container(world: World) -> None:
    make_stage(world)
    override = {
        "name": "main",
        "environment": [{"name": "B", "value": "2"}],
        "resourceRequirements": [{"type": "MEMORY", "value": "3072"}],
    }
    job_id = submit(
        world,
        parameters={"word": "bye"},
        ecsPropertiesOverride={"taskProperties": [{"containers": [override]}]},
    )
    job = world.detail(job_id)
    assert job["container"] == {}
    task = task_in(job)
    assert (task["executionRoleArn"], task["volumes"]) == (ROLE, [])
    assert "taskArn" not in task
    main, helper = task["containers"]
    assert (main["name"], main["essential"], helper["essential"]) == ("main", True, False)
    assert main["command"] == ["work", "bye"]
    assert {e["name"]: e["value"] for e in main["environment"]} == {"A": "1", "B": "2"}
    needs = {need["type"]: need["value"] for need in main["resourceRequirements"]}
    assert needs == {"VCPU": "0.5", "MEMORY": "3072"}
    assert main["dependsOn"] == WAITING["dependsOn"]
    empty = ("command", "dependsOn", "environment", "mountPoints", "secrets", "ulimits")
    assert [helper[name] for name in (*empty, "networkInterfaces")] == [[]] * 7
    assert not {"exitCode", "reason", "logStreamName"} & main.keys()
    assert world.job(job_id).memory_mib == 4096
    world.run_until_idle()


def test_the_task_of_several_containers_is_what_was_asked_for(world: World) -> None:
    make_stage(world, task={"enableExecuteCommand": True})
    job_id = submit(world, parameters={"word": "bye"})
    world.run_until_idle()
    task = world.task_of(job_id)
    definition = world.ecs.definitions[task.request["taskDefinition"]]
    assert [one["name"] for one in definition["containerDefinitions"]] == ["main", "helper"]
    assert (definition["cpu"], definition["memory"]) == ("1024", "2048")
    main, helper = task.request["overrides"]["containerOverrides"]
    assert main["command"] == ["work", "bye"]
    assert "command" not in helper
    assert task.request["enableExecuteCommand"] is True
    for environment in task.environments.values():
        assert environment["AWS_BATCH_JOB_ID"] == job_id
        assert environment["AWS_BATCH_JOB_ATTEMPT"] == "1"


def test_a_running_job_shows_its_task_and_the_log_stream_of_each_container(world: World) -> None:
    make_stage(world)
    job_id = running(world)
    arn = world.task_of(job_id).arn
    task = task_in(world.detail(job_id))
    assert task["taskArn"] == arn
    streams = {name: one["logStreamName"] for name, one in containers_in(task).items()}
    task_id = arn.rpartition("/")[2]
    assert streams == {"main": f"work/main/{task_id}", "helper": f"work/helper/{task_id}"}


def test_an_ended_job_shows_how_each_container_ended(world: World) -> None:
    make_stage(world)
    job_id = running(world)
    finish(world, job_id, 3, reason="OutOfMemoryError: x")
    job = world.detail(job_id)
    assert (job["status"], job["container"]) == ("FAILED", {})
    shown = containers_in(task_in(job))
    assert (shown["main"]["exitCode"], shown["main"]["reason"]) == (3, "OutOfMemoryError: x")
    assert shown["helper"]["exitCode"] == 143
    assert "reason" not in shown["helper"]
    (attempt,) = job["attempts"]
    assert attempt["container"] == {}
    (task,) = attempt["taskProperties"]
    assert task["taskArn"] == task_in(job)["taskArn"]
    assert containers_in(task)["main"] == {
        "name": "main",
        "exitCode": 3,
        "reason": "OutOfMemoryError: x",
        "logStreamName": shown["main"]["logStreamName"],
        "networkInterfaces": [{"attachmentId": ANY, "privateIpv4Address": "10.0.0.1"}],
    }
    assert containers_in(task)["helper"]["exitCode"] == 143
    (summary,) = world.api("ListJobs", {"jobQueue": "queue", "jobStatus": "FAILED"})[
        "jobSummaryList"
    ]
    assert summary["container"] == {"exitCode": 3, "reason": "OutOfMemoryError: x"}


def test_a_retried_job_shows_no_end_until_it_has_ended(world: World) -> None:
    make_stage(world)
    job_id = running(world, retryStrategy={"attempts": 2})
    first = world.task_of(job_id).arn
    finish(world, job_id, 3)
    job = world.detail(job_id)
    assert not any("exitCode" in container for container in task_in(job)["containers"])
    (attempt,) = job["attempts"]
    (task,) = attempt["taskProperties"]
    assert task["taskArn"] == first
    assert [one["exitCode"] for one in task["containers"]] == [3, 143]


def test_a_job_whose_task_could_not_be_made_shows_the_cause(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    world.run_until_idle()
    world.ecs.fail_to_start(world.task_of(job_id), "ResourceInitializationError: no secret")
    world.run_until_idle()
    job = world.detail(job_id)
    assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
    (attempt,) = job["attempts"]
    (task,) = attempt["taskProperties"]
    main = containers_in(task)["main"]
    assert main["reason"] == "ResourceInitializationError: no secret"
    assert not {"exitCode", "logStreamName"} & main.keys()
    assert "startedAt" not in attempt
    assert "logStreamName" not in containers_in(task_in(job))["main"]


def test_a_container_that_ran_before_its_task_did_has_a_log_stream(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    world.run_until_idle()
    task = world.task_of(job_id)
    world.ecs.exit(task, "helper", 3)
    world.ecs.fail_to_start(task, "the helper failed")
    world.run_until_idle()
    job = world.detail(job_id)
    ((reported,), shown) = job["attempts"][0]["taskProperties"], task_in(job)
    for containers in (containers_in(reported), containers_in(shown)):
        assert containers["helper"]["exitCode"] == 3
        assert containers["helper"]["logStreamName"].startswith("work/helper/")
        assert "logStreamName" not in containers["main"]
        assert containers["main"]["reason"] == "the helper failed"


def test_a_single_container_without_a_name_is_shown_under_the_default_name(world: World) -> None:
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}]
    make_stage(world, {"command": ["x"], "resourceRequirements": needs})
    job_id = running(world)
    finish(world, job_id, 0)
    job = world.detail(job_id)
    (container,) = task_in(job)["containers"]
    assert (job["status"], container["exitCode"]) == ("SUCCEEDED", 0)
    assert "/default/" in container["logStreamName"]
    assert "name" not in container
    (attempt,) = job["attempts"]
    assert attempt["taskProperties"][0]["containers"][0]["name"] == "default"


def test_the_event_of_a_job_describes_its_containers(world: World) -> None:
    make_stage(world)
    job_id = running(world)
    finish(world, job_id)
    detail = world.events.published[-1]["Detail"]
    assert detail["status"] == "SUCCEEDED"
    assert [one["exitCode"] for one in task_in(detail)["containers"]] == [0, 143]
