"""Provisioning of compute environments and queues: made, changed, refused, drained, removed."""

import json
from typing import Any

import pytest

from tests.support.clients import client_error
from tests.support.scenes import (
    cluster_of,
    finish,
    make_environment,
    make_queue,
    make_stage,
    running,
    submit,
)
from tests.support.world import ApiError, World


def environment(world: World) -> dict[str, Any] | None:
    found = world.api("DescribeComputeEnvironments", {"computeEnvironments": ["fargate"]})
    return next(iter(found["computeEnvironments"]), None)


def queue(world: World, name: str = "queue") -> dict[str, Any] | None:
    found = world.api("DescribeJobQueues", {"jobQueues": [name]})
    return next(iter(found["jobQueues"]), None)


def disable(world: World, *, of: str) -> None:
    if of == "queue":
        world.api("UpdateJobQueue", {"jobQueue": "queue", "state": "DISABLED"})
    else:
        world.api("UpdateComputeEnvironment", {"computeEnvironment": of, "state": "DISABLED"})
    world.run_until_idle()


def test_an_environment_is_valid_once_its_cluster_exists(world: World) -> None:
    make_environment(world, "fargate", type="FARGATE_SPOT")
    made = environment(world)
    assert made is not None
    assert made["status"] == "VALID"
    assert world.ecs.clusters[cluster_of(world, "fargate")]["providers"] == ["FARGATE_SPOT"]


def test_a_record_delivered_again_starts_no_second_execution(world: World) -> None:
    request = {
        "computeEnvironmentName": "fargate",
        "type": "MANAGED",
        "computeResources": {
            "type": "FARGATE",
            "maxvCpus": 4,
            "subnets": ["subnet-1"],
            "securityGroupIds": ["sg-1"],
        },
    }
    world.api("CreateComputeEnvironment", request)
    world.deliver_catalog(again=True)
    world.run_until_idle()
    assert len([run for run in world.machines.ended if run.name.startswith("make-")]) == 1


def test_a_passing_error_of_ecs_is_tried_again(world: World) -> None:
    troubles = iter([client_error("ServerException", "a bad moment", "CreateCluster")] * 3)

    def refuse(call: str) -> None:
        trouble = next(troubles, None) if call == "ecs.CreateCluster" else None
        if trouble is not None:
            raise trouble

    world.on_call = refuse
    make_environment(world)
    world.advance(60)
    made = environment(world)
    assert made is not None
    assert made["status"] == "VALID"


def test_an_environment_that_cannot_be_made_is_invalid_and_says_why(world: World) -> None:
    def refuse(call: str) -> None:
        if call == "ecs.CreateCluster":
            raise client_error("LimitExceededException", "too many clusters", "CreateCluster")

    world.on_call = refuse
    make_environment(world)
    world.advance(300)
    world.on_call = None

    made = environment(world)
    assert made is not None
    assert made["status"] == "INVALID"
    assert "too many clusters" in made["statusReason"]

    disable(world, of="fargate")
    made = environment(world)
    assert made is not None
    assert (made["status"], made["state"]) == ("VALID", "DISABLED"), "an update provisions it again"


def test_a_deleted_environment_deletes_its_cluster(world: World) -> None:
    make_environment(world)
    disable(world, of="fargate")
    world.api("DeleteComputeEnvironment", {"computeEnvironment": "fargate"})
    world.run_until_idle()
    assert environment(world) is None
    assert world.ecs.clusters == {}


def test_an_environment_whose_tasks_are_still_ending_is_deleted_when_they_have(
    world: World,
) -> None:
    make_stage(world)
    job_id = running(world)
    task = world.task_of(job_id)
    world.ecs.obeys_stops = False
    world.api("TerminateJob", {"jobId": job_id, "reason": "over"})
    world.run_until_idle()
    # ECS reports the end before its cluster is free of the task.
    world.sqs.put(world.sqs.task_events, {"MessageBody": ended(world, task)})
    world.run_until_idle()
    disable(world, of="queue")
    world.api("DeleteJobQueue", {"jobQueue": "queue"})
    world.advance(5)
    disable(world, of="fargate")
    world.api("DeleteComputeEnvironment", {"computeEnvironment": "fargate"})
    world.run_until_idle()
    going = environment(world)
    assert going is not None
    assert going["status"] == "DELETING"

    world.ecs.end_stopping(task)
    world.advance(60)
    assert environment(world) is None


def ended(world: World, task: Any) -> str:
    """Return the event of the task's end, although the task is still in its cluster."""
    event = world.ecs.event_of(task)
    event["detail"] |= {"lastStatus": "STOPPED", "stoppedReason": "over"}
    return json.dumps(event)


def test_an_environment_that_cannot_be_removed_is_invalid_and_says_why(world: World) -> None:
    make_stage(world)
    job_id = running(world)
    world.expire(job_id)  # its task outlives it
    disable(world, of="queue")
    world.api("DeleteJobQueue", {"jobQueue": "queue"})
    world.run_until_idle()
    disable(world, of="fargate")
    world.api("DeleteComputeEnvironment", {"computeEnvironment": "fargate"})
    world.advance(1200)

    left = environment(world)
    assert left is not None
    assert left["status"] == "INVALID"
    assert "ClusterContainsTasksException" in left["statusReason"]

    world.ecs.finish(world.task_of(job_id))
    world.api("DeleteComputeEnvironment", {"computeEnvironment": "fargate"})
    world.run_until_idle()
    assert environment(world) is None


def test_an_environment_that_a_queue_uses_is_not_deleted(world: World) -> None:
    make_stage(world)
    disable(world, of="fargate")
    with pytest.raises(ApiError, match="found existing JobQueue relationship"):
        world.api("DeleteComputeEnvironment", {"computeEnvironment": "fargate"})


def test_a_deleted_queue_ends_its_jobs_first(world: World) -> None:
    make_stage(world, max_vcpus=2)
    world.ecs.obeys_stops = False
    alive, starting, waiting = running(world), submit(world), submit(world)
    world.run_until_idle()
    disable(world, of="queue")

    world.api("DeleteJobQueue", {"jobQueue": "queue"})
    world.advance(10)
    going = queue(world)
    assert going is not None
    assert going["status"] == "DELETING"
    assert world.job(waiting).status == "FAILED"

    for task in world.ecs.live():
        world.ecs.end_stopping(task)
    world.advance(10)

    assert queue(world) is None
    for job_id in (alive, starting, waiting):
        detail = world.detail(job_id)
        assert (detail["status"], detail["statusReason"]) == ("FAILED", "JobQueue deleted")
    assert world.capacity("fargate").tasks == 0
    assert not world.ports.lanes.has_work("queue")


def test_a_job_that_the_index_does_not_show_yet_is_ended_with_its_queue(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_stage(world, max_vcpus=1)
    first = submit(world)
    world.run_until_idle()
    # A job of a moment ago: its ready row is there, its entry in the index is not.
    late = submit(world)
    world.run_until_idle()
    monkeypatch.setattr(world.ports.jobs, "list_oldest", lambda *_, **__: ())
    world.api("UpdateJobQueue", {"jobQueue": "queue", "state": "DISABLED"})
    world.api("DeleteJobQueue", {"jobQueue": "queue"})
    world.run_until_idle()
    assert world.job(late).status == "FAILED"
    assert world.job(late).status_reason == "JobQueue deleted"
    monkeypatch.undo()
    world.advance(10)
    world.advance(10)
    assert queue(world) is None
    assert world.job(first).status == "FAILED"


def test_capacity_freed_by_a_deleted_queues_jobs_reaches_the_other_queues(world: World) -> None:
    make_stage(world, max_vcpus=1)
    make_queue(world, "other")
    running(world)
    waiting = submit(world, queue="other")
    world.run_until_idle()
    disable(world, of="queue")
    world.ecs.obeys_stops = False
    world.api("DeleteJobQueue", {"jobQueue": "queue"})
    world.run_until_idle()
    (task,) = world.ecs.live()
    world.ecs.end_stopping(task)
    world.deliver_messages()
    world.advance(3)
    assert queue(world) is None

    world.run_until_idle()

    assert world.job(waiting).status == "STARTING"
    world.ecs.start(world.task_of(waiting))
    finish(world, waiting)


def test_a_deleted_queue_frees_its_name_and_its_environment(world: World) -> None:
    make_stage(world)
    disable(world, of="queue")
    world.api("DeleteJobQueue", {"jobQueue": "queue"})
    world.run_until_idle()
    make_queue(world)
    job_id = running(world)
    finish(world, job_id)
    assert world.detail(job_id)["status"] == "SUCCEEDED"
