"""What the sweeper corrects once a minute; lost tasks are in tests/unit/engine/tasks."""

import pytest

from chalicelib.core.scheduling.snapshot import Capacity
from tests.support.clients import client_error
from tests.support.scenes import (
    finish,
    make_definition,
    make_environment,
    make_queue,
    make_stage,
    needing,
    running,
    submit,
    sweep,
)
from tests.support.world import World

WHY_TOO_BIG = "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE"


def test_a_round_with_nothing_to_do_writes_and_sends_nothing(world: World) -> None:
    make_stage(world)
    ended, alive = running(world), running(world)
    finish(world, ended)
    world.calls.clear()

    world.sweep()

    written = [c for c in world.calls if not c.endswith(("BatchGetItem", "Query"))]
    assert written == ["sqs.SendMessageBatch"], "the parts of the round"
    finish(world, alive)


def test_a_lane_with_work_whose_wake_was_lost_is_woken(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    world.deliver_stream()
    world.sqs.wakes.messages.clear()
    world.run_until_idle()
    assert world.job(job_id).status == "RUNNABLE"

    sweep(world)

    assert world.job(job_id).status == "STARTING"
    world.ecs.start(world.task_of(job_id))
    finish(world, job_id)


def test_an_array_of_which_only_some_children_fit_is_woken_when_its_wake_was_lost(
    world: World,
) -> None:
    make_stage(world, max_vcpus=2)
    job_id = submit(world, arrayProperties={"size": 3})
    world.deliver_stream()
    world.sqs.wakes.messages.clear()
    world.run_until_idle()
    assert world.capacity("fargate").tasks == 0

    sweep(world)

    assert world.capacity("fargate").tasks == 2
    for child in (0, 1, 2):
        world.ecs.start(world.task_of(f"{job_id}/c{child}"))
        finish(world, f"{job_id}/c{child}")


def test_a_lane_whose_record_was_lost_is_woken(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    world.jobs_stream.draw()
    world.jobs_stream.records.clear()
    sweep(world)
    assert world.job(job_id).status == "STARTING"
    world.ecs.start(world.task_of(job_id))
    finish(world, job_id)


def test_the_head_of_a_queue_says_why_it_waits(world: World) -> None:
    make_stage(world, max_vcpus=1)
    holder, head, behind = running(world), submit(world), submit(world)
    sweep(world)
    assert world.detail(head)["statusReason"].startswith("The job needs 1 vCPU")
    assert "statusReason" not in world.detail(behind)
    version = world.job(head).version
    sweep(world)
    assert world.job(head).version == version, "what is known is not written again"

    finish(world, holder)
    assert world.job(head).status == "STARTING"
    assert "statusReason" not in world.detail(head)
    for job_id in (head, behind):
        world.ecs.start(world.task_of(job_id))
        finish(world, job_id)


def test_a_head_that_waits_too_long_is_cancelled_by_its_queues_rule(world: World) -> None:
    make_environment(world, max_vcpus=1)
    action = {"reason": WHY_TOO_BIG, "state": "RUNNABLE", "maxTimeSeconds": 600, "action": "CANCEL"}
    make_queue(world, jobStateTimeLimitActions=[action])
    make_definition(world)
    head = submit(world, "too-big", containerOverrides=needing(2))
    behind = submit(world, "fits")

    world.run_until_idle()
    # The dispatcher has said at once what will not pass by itself; the time counts from then.
    assert world.detail(head)["statusReason"].startswith(WHY_TOO_BIG)
    sweep(world, minutes=9)
    assert world.job(head).status == "RUNNABLE"
    sweep(world)

    detail = world.detail(head)
    assert detail["status"] == "FAILED"
    assert detail["statusReason"].endswith(WHY_TOO_BIG)
    assert detail["isCancelled"] is True
    assert world.job(behind).status == "STARTING"
    world.ecs.start(world.task_of(behind))
    finish(world, behind)


def test_a_rule_for_another_reason_cancels_nothing(world: World) -> None:
    make_environment(world, max_vcpus=1)
    action = {
        "reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
        "state": "RUNNABLE",
        "maxTimeSeconds": 600,
        "action": "CANCEL",
    }
    make_queue(world, jobStateTimeLimitActions=[action])
    make_definition(world)
    head = submit(world, "too-big", containerOverrides=needing(2))
    sweep(world, minutes=12)
    assert world.job(head).status == "RUNNABLE"


@pytest.mark.parametrize("cpu_units", [0, 4096, 99_999])
def test_capacity_that_drifted_is_corrected(world: World, cpu_units: int) -> None:
    make_stage(world, max_vcpus=4)
    job_id = running(world)
    wrong = Capacity(environment="fargate", cpu_units=cpu_units, tasks=7, starting=9)
    assert world.ports.lanes.correct_capacity(world.capacity("fargate"), wrong)

    sweep(world)

    right = Capacity(environment="fargate", cpu_units=1024, tasks=1, starting=0)
    assert world.capacity("fargate") == right
    finish(world, job_id)


def test_capacity_that_moves_while_it_is_counted_is_left_alone(world: World) -> None:
    make_stage(world, max_vcpus=4)
    job_id = running(world)
    wrong = Capacity(environment="fargate", cpu_units=2048, tasks=2, starting=0)
    assert world.ports.lanes.correct_capacity(world.capacity("fargate"), wrong)
    world.ecs.finish(world.task_of(job_id))

    def end_meanwhile() -> None:
        world.on_pause = lambda: None
        world.deliver_messages()

    world.on_pause = end_meanwhile
    world.sweep()

    assert world.capacity("fargate").cpu_units == 1024, "the end was counted, the drift is not yet"
    sweep(world)
    assert world.capacity("fargate").tasks == 0


def test_a_window_that_was_not_freed_by_a_crash_is_counted_anew(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    world.run_until_idle()
    world.ecs.start(world.task_of(job_id))
    world.calls.clear()
    world.crash_at = 3  # the job is read and written; then the window would be freed
    world.deliver_messages()
    assert world.calls[-1] == "dynamodb.UpdateItem"
    world.advance(3600)
    assert world.job(job_id).status == "RUNNING"
    assert world.capacity("fargate").starting == 1

    sweep(world)

    assert world.job(job_id).status == "RUNNING"
    assert world.capacity("fargate").starting == 0
    finish(world, job_id)


def test_a_queue_that_cannot_be_swept_keeps_no_other_from_its_round(world: World) -> None:
    make_stage(world)
    make_environment(world, "other")
    make_queue(world, "zzz", environments=("other",))
    broken, lost = running(world), submit(world, queue="zzz")
    world.deliver_stream()
    world.sqs.wakes.messages.clear()
    world.now_ms += 60_000

    def refuse(call: str) -> None:
        if call == "ecs.DescribeTasks":
            raise client_error("ServerException", "a bad moment", "DescribeTasks")

    world.on_call = refuse
    world.sweep()
    assert [message.receives for message in world.sqs.sweeps.messages] == [1], "it comes again"
    world.on_call = None
    world.run_until_idle()

    assert world.job(lost).status == "STARTING"
    world.ecs.start(world.task_of(lost))
    finish(world, lost)
    finish(world, broken)
    world.advance(600)


def test_a_vanished_cluster_stops_no_sweep_and_its_jobs_end(world: World) -> None:
    make_stage(world)
    job_id, starting = running(world), submit(world)
    world.run_until_idle()
    world.ecs.clusters.clear()
    for task in world.ecs.live():
        world.ecs.lose(task)

    sweep(world, minutes=2)

    assert world.detail(job_id)["status"] == "FAILED"
    assert world.detail(job_id)["statusReason"].startswith("Task is gone")
    assert world.job(starting).status in {"RUNNABLE", "STARTING"}
    world.api("TerminateJob", {"jobId": starting, "reason": "no cluster"})
    world.advance(120)
    sweep(world, minutes=10)
    assert world.detail(starting)["status"] == "FAILED"
    assert world.capacity("fargate").tasks == 0
