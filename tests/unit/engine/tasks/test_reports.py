"""Reports about tasks that come twice, late, out of order, or for no known job."""

import json
from typing import Any

import pytest

from chalicelib.core.ids import JobKey
from chalicelib.ports import ContentionError
from tests.support.fake_sqs import Message
from tests.support.scenes import finish, make_stage, running, submit, sweep
from tests.support.world import World


def reports(world: World) -> list[Message]:
    return world.sqs.task_events.deliverable(world.now_ms)


def test_reports_delivered_twice_change_nothing_the_second_time(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    world.run_until_idle()
    task = world.task_of(job_id)
    world.ecs.start(task)
    world.deliver_messages(again=True)
    once = world.job(job_id)
    world.deliver_messages()
    assert world.job(job_id) == once

    world.ecs.finish(task)
    world.deliver_messages(again=True)
    once = world.job(job_id)
    world.run_until_idle()
    assert world.job(job_id) == once
    assert world.capacity("fargate").tasks == 0


def test_the_end_may_be_reported_before_the_start(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    world.run_until_idle()
    task = world.task_of(job_id)
    world.ecs.start(task)
    world.advance(0)
    world.ecs.finish(task)
    world.sqs.task_events.messages.reverse()
    world.deliver_messages(reports(world)[:1])
    world.run_until_idle()

    detail = world.detail(job_id)
    assert detail["status"] == "SUCCEEDED"
    assert "startedAt" in detail


def test_reports_in_the_wrong_order_in_one_batch_end_the_job_once(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    world.run_until_idle()
    task = world.task_of(job_id)
    world.ecs.start(task)
    world.ecs.finish(task)

    world.deliver_messages(reports(world)[::-1])
    world.run_until_idle()

    assert world.detail(job_id)["status"] == "SUCCEEDED"
    assert world.events.statuses_of(job_id) == ["RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"]


def test_a_late_report_of_an_earlier_attempt_is_not_applied(world: World) -> None:
    make_stage(world)
    job_id = running(world, retryStrategy={"attempts": 2})
    first = world.task_of(job_id)
    world.ecs.finish(first, 1)
    (end,) = reports(world)
    world.deliver_messages([end], again=True)
    world.run_until_idle()
    second = world.task_of(job_id)
    world.ecs.start(second)
    world.run_until_idle()
    before = world.job(job_id)

    for late in (world.ecs.event_of(first), json.loads(end.body)):
        world.sqs.put(world.sqs.task_events, {"MessageBody": json.dumps(late)})
    world.run_until_idle()

    assert world.job(job_id) == before
    assert world.ecs.live() == [second]
    finish(world, job_id)


def test_a_late_start_of_an_ended_job_leaves_its_own_task_alone(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    world.run_until_idle()
    task = world.task_of(job_id)
    world.ecs.start(task)
    (start,) = reports(world)
    world.sqs.task_events.remove(start)
    world.ecs.finish(task)
    world.run_until_idle()
    world.calls.clear()

    world.sqs.task_events.messages.append(start)
    world.run_until_idle()

    assert world.detail(job_id)["status"] == "SUCCEEDED"
    assert "ecs.StopTask" not in world.calls


def test_a_task_of_an_unknown_job_is_ignored(world: World) -> None:
    make_stage(world)
    job_id = running(world)
    task = world.task_of(job_id)
    world.expire(job_id)
    world.ecs.finish(task)
    world.run_until_idle()
    assert world.ports.jobs.find_job(JobKey(job_id)) is None


def test_a_task_that_somebody_else_started_is_not_ours(world: World) -> None:
    make_stage(world)
    job_id = running(world)
    event = world.ecs.event_of(world.task_of(job_id))
    for started_by in ("ecs-svc/123", "", "someone", f"{job_id}/job/x"):
        foreign = {**event, "detail": {**event["detail"], "startedBy": started_by}}
        world.sqs.put(world.sqs.task_events, {"MessageBody": json.dumps(foreign)})
    before = world.job(job_id)
    world.run_until_idle()
    assert world.job(job_id) == before
    finish(world, job_id)


def test_the_sweeper_finds_a_task_whose_start_was_not_reported(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    world.run_until_idle()
    world.ecs.start(world.task_of(job_id))
    world.sqs.task_events.messages.clear()

    sweep(world, minutes=2)

    assert world.detail(job_id)["status"] == "RUNNING"
    assert world.capacity("fargate").starting == 0
    finish(world, job_id)


def test_the_sweeper_finds_a_running_task_whose_end_was_not_reported(world: World) -> None:
    make_stage(world)
    job_id = running(world)
    world.advance(55)
    world.ecs.finish(world.task_of(job_id), 4)
    world.sqs.task_events.messages.clear()
    world.advance(30)

    world.sweep()
    assert world.job(job_id).status == "RUNNING", "the report may still be on its way"
    sweep(world)

    detail = world.detail(job_id)
    assert detail["status"] == "FAILED"
    assert detail["container"]["exitCode"] == 4
    assert detail["stoppedAt"] - detail["startedAt"] == 55_000


def test_the_sweeper_finds_a_starting_task_whose_end_was_not_reported(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    world.run_until_idle()
    world.ecs.fail_to_start(world.task_of(job_id), "CannotPullContainerError")
    world.sqs.task_events.messages.clear()

    sweep(world, minutes=2)

    (attempt,) = world.detail(job_id)["attempts"]
    assert attempt["container"]["reason"] == "CannotPullContainerError"


def test_a_task_that_ecs_has_forgotten_ends_its_attempt(world: World) -> None:
    make_stage(world)
    job_id = running(world, retryStrategy={"attempts": 2})
    world.ecs.lose(world.task_of(job_id))

    sweep(world)

    second = world.task_of(job_id)
    assert second.started_by == f"{job_id}/job/2"
    world.ecs.start(second)
    finish(world, job_id)
    first, _ = world.detail(job_id)["attempts"]
    assert first["statusReason"].startswith("Task is gone")


def test_a_message_that_cannot_be_read_fails_alone(world: World) -> None:
    make_stage(world)
    job_id = running(world)
    world.sqs.put(world.sqs.task_events, {"MessageBody": "{not json"})
    world.ecs.finish(world.task_of(job_id))
    world.run_until_idle()
    assert world.detail(job_id)["status"] == "SUCCEEDED"

    world.advance(24 * 3600)

    (dead,) = world.sqs.task_events.dead
    assert dead.body == "{not json"
    world.sqs.task_events.dead.clear()


def test_a_wake_that_cannot_be_read_fails_alone(world: World) -> None:
    make_stage(world)
    odd = {"MessageBody": "[]", "MessageGroupId": "odd", "MessageDeduplicationId": "1"}
    world.sqs.put(world.sqs.wakes, odd)
    job_id = submit(world)
    world.run_until_idle()
    assert world.detail(job_id)["status"] == "STARTING"
    world.ecs.start(world.task_of(job_id))
    finish(world, job_id)

    world.advance(24 * 3600)

    (dead,) = world.sqs.wakes.dead
    assert dead.body == "[]"
    world.sqs.wakes.dead.clear()


def test_contention_is_decided_again_within_the_invocation(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue would return the messages only minutes later, with the capacity held meanwhile."""
    make_stage(world)
    job_id = running(world)
    commit, refusals = world.ports.jobs.commit, [ContentionError("others write")] * 2

    def contended(*args: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return commit(*args)

    monkeypatch.setattr(world.ports.jobs, "commit", contended)
    finish(world, job_id)
    assert not refusals
    assert world.capacity("fargate").tasks == 0
