"""Exactly one record of the stream is lost; the sweeper does what should have followed from it."""

import json
from collections.abc import Callable
from typing import Any

from chalicelib.core.ids import JobKey
from chalicelib.core.job import ready_of
from chalicelib.core.states import JobStatus
from chalicelib.engine.notify.task_tokens import wait_for
from tests.support.arrays import array
from tests.support.drivers import run_to_the_end
from tests.support.fake_step_functions import SUBMIT_ARN
from tests.support.scenes import finish, make_stage, running, submit, sweep
from tests.support.world import World

Json = dict[str, Any]
WAITING_MACHINE = {
    "StartAt": "Run",
    "States": {
        "Run": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "Parameters": {
                "FunctionName": SUBMIT_ARN,
                "Payload": {
                    "jobName": "waited-for",
                    "jobQueue": "queue",
                    "jobDefinition": "work",
                    "taskToken.$": "$$.Task.Token",
                },
            },
            "End": True,
        }
    },
}


def lose_record(world: World, fits: Callable[[Json], bool]) -> None:
    """Lose the one record of the stream that has this new image."""
    world.jobs_stream.draw()
    (lost,) = [
        record
        for record in world.jobs_stream.records
        if fits(record["dynamodb"].get("NewImage", {}))
    ]
    world.jobs_stream.records.remove(lost)


def record_of(key: str, status: str) -> Callable[[Json], bool]:
    wanted = JobKey.parse(key)

    def fits(image: Json) -> bool:
        own = (image["root"]["S"], image["part"]["S"]) == (wanted.job_id, wanted.part)
        return own and bool(image["status"]["S"] == status)

    return fits


def end_without_its_record(world: World, job_id: str, exit_code: int = 0) -> None:
    """Let the job's task end, and lose the record of the job's end."""
    world.ecs.finish(world.task_of(job_id), exit_code)
    world.deliver_messages()
    lose_record(world, record_of(job_id, "FAILED" if exit_code else "SUCCEEDED"))
    world.run_until_idle()


def test_a_job_that_waits_goes_on_when_the_record_of_the_end_is_lost(world: World) -> None:
    make_stage(world)
    first = running(world, "a")
    second = submit(world, "b", dependsOn=[{"jobId": first}])
    world.run_until_idle()
    end_without_its_record(world, first)
    assert world.detail(second)["status"] == "PENDING"

    sweep(world, minutes=2)

    assert world.detail(second)["status"] == "STARTING"
    run_to_the_end(world, [second], lambda fence: 0)


def test_a_job_that_waits_fails_when_the_record_of_a_failure_is_lost(world: World) -> None:
    make_stage(world)
    first = running(world, "a")
    second = submit(world, "b", dependsOn=[{"jobId": first}])
    world.run_until_idle()
    end_without_its_record(world, first, exit_code=1)
    sweep(world, minutes=2)
    assert world.detail(second)["status"] == "FAILED"
    assert world.detail(second)["statusReason"] == "Dependent Job failed"


def test_each_of_many_waiting_jobs_goes_on_within_ten_rounds(quick: World) -> None:
    make_stage(quick, max_vcpus=256)
    first = running(quick, "a")
    waiting = [submit(quick, f"b{n}", dependsOn=[{"jobId": first}]) for n in range(120)]
    quick.run_until_idle()
    end_without_its_record(quick, first)
    quick.advance(60)

    quick.calls.clear()
    quick.sweep()
    statuses = [quick.job(job_id).status for job_id in waiting]
    assert 0 < statuses.count(JobStatus.PENDING) < len(waiting), "a part of them in each round"

    sweep(quick, minutes=10)
    assert JobStatus.PENDING not in {quick.job(job_id).status for job_id in waiting}
    run_to_the_end(quick, waiting, lambda fence: 0)


def test_a_sequence_goes_on_when_the_record_of_a_child_s_end_is_lost(world: World) -> None:
    make_stage(world)
    job_id = array(world, 2, dependsOn=[{"type": "SEQUENTIAL"}])
    world.run_until_idle()
    world.ecs.start(world.task_of(f"{job_id}/c0"))
    world.run_until_idle()
    world.ecs.finish(world.task_of(f"{job_id}/c0"))
    world.deliver_messages()
    lose_record(world, record_of(f"{job_id}:0", "SUCCEEDED"))
    world.run_until_idle()
    assert world.detail(f"{job_id}:1")["status"] == "PENDING"

    sweep(world, minutes=11)

    assert world.detail(f"{job_id}:1")["status"] == "STARTING"
    run_to_the_end(world, [job_id], lambda fence: 0)


def test_an_array_ends_when_the_record_of_its_last_child_is_lost(world: World) -> None:
    make_stage(world)
    job_id = array(world, 2)
    world.run_until_idle()
    for task in world.ecs.live():
        world.ecs.start(task)
    world.run_until_idle()
    for task in world.ecs.live():
        world.ecs.finish(task)
    world.deliver_messages()
    world.jobs_stream.draw()
    world.jobs_stream.records.clear()
    assert world.detail(job_id)["status"] == "PENDING"
    sweep(world, minutes=2)
    assert world.detail(job_id)["status"] == "SUCCEEDED"


def test_the_children_of_a_terminated_array_end_when_the_record_of_the_stop_is_lost(
    world: World,
) -> None:
    make_stage(world, max_vcpus=1)
    job_id = array(world, 3)
    world.run_until_idle()
    world.ecs.start(world.task_of(f"{job_id}/c0"))
    world.run_until_idle()
    world.api("TerminateJob", {"jobId": job_id, "reason": "enough"})
    world.jobs_stream.draw()
    world.jobs_stream.records.clear()
    sweep(world, minutes=2)
    assert world.detail(job_id)["status"] == "FAILED"
    assert world.ecs.live() == []


def test_a_task_token_is_answered_when_the_record_of_the_end_is_lost(world: World) -> None:
    make_stage(world)
    machine = world.machines.add_machine("waits", WAITING_MACHINE)
    world.machines.answer("StartExecution", {"stateMachineArn": machine, "input": "{}"})
    world.run_until_idle()
    (task,) = world.ecs.live()
    job_id = task.started_by.partition("/")[0]
    world.ecs.start(task)
    world.run_until_idle()
    end_without_its_record(world, job_id)
    assert world.machines.answers == []

    sweep(world, minutes=2)

    ((call, _, answer),) = world.machines.answers
    assert call == "SendTaskSuccess"
    assert json.loads(answer["output"])["jobId"] == job_id
    assert world.ports.lanes.unanswered("queue", limit=9) == ()
    world.run_until_idle()


def test_a_token_that_came_with_a_later_try_is_answered_too(world: World) -> None:
    make_stage(world)
    job_id = running(world)
    wait_for(job_id, "token-of-nobody", world.ports)
    assert world.ports.lanes.unanswered("queue", limit=9) == (job_id,)
    end_without_its_record(world, job_id)
    sweep(world, minutes=2)
    assert world.ports.lanes.unanswered("queue", limit=9) == ()


def test_what_was_answered_leaves_nothing_for_the_sweeper(world: World) -> None:
    make_stage(world)
    machine = world.machines.add_machine("waits", WAITING_MACHINE)
    world.machines.answer("StartExecution", {"stateMachineArn": machine, "input": "{}"})
    world.run_until_idle()
    (task,) = world.ecs.live()
    job_id = task.started_by.partition("/")[0]
    assert world.ports.lanes.unanswered("queue", limit=9) == (job_id,)
    world.ecs.start(task)
    finish(world, job_id)
    assert len(world.machines.answers) == 1
    assert world.ports.lanes.unanswered("queue", limit=9) == ()


def test_a_runnable_job_without_a_ready_row_gets_it_back(world: World) -> None:
    make_stage(world, max_vcpus=1)
    holder, waiting = running(world, "holder"), submit(world, "waiting")
    world.run_until_idle()
    ready = ready_of(world.job(waiting))
    assert ready is not None
    assert world.ports.lanes.drop_ready(ready)
    finish(world, holder)
    assert world.job(waiting).status is JobStatus.RUNNABLE

    sweep(world, minutes=2)

    assert world.job(waiting).status is JobStatus.STARTING
    run_to_the_end(world, [waiting], lambda fence: 0)


def test_an_array_without_a_ready_row_gets_it_back(world: World) -> None:
    make_stage(world, max_vcpus=1)
    job_id = array(world, 2)
    world.run_until_idle()
    ready = ready_of(world.job(job_id))
    assert ready is not None
    assert world.ports.lanes.drop_ready(ready)
    world.ecs.start(world.task_of(f"{job_id}/c0"))
    finish(world, f"{job_id}/c0")
    assert world.ecs.live() == []
    run_to_the_end(world, [job_id], lambda fence: 0)


def test_a_child_without_a_ready_row_gets_it_back(world: World) -> None:
    make_stage(world, max_vcpus=1)
    job_id = array(world, 2, retryStrategy={"attempts": 2})
    world.run_until_idle()
    world.ecs.start(world.task_of(f"{job_id}/c0"))
    world.ecs.finish(world.task_of(f"{job_id}/c0"), 1)
    world.deliver_messages()
    ready = ready_of(world.job(f"{job_id}:0"))
    assert ready is not None
    assert world.ports.lanes.drop_ready(ready)
    world.run_until_idle()
    assert world.job(f"{job_id}:0").status is JobStatus.RUNNABLE
    assert ready.part != "job"
    run_to_the_end(world, [job_id], lambda fence: 0)


def test_a_job_that_is_dispatched_meanwhile_gets_no_second_ready_row(world: World) -> None:
    make_stage(world, max_vcpus=1)
    holder, waiting = running(world, "holder"), submit(world, "waiting")
    world.run_until_idle()
    old = world.job(waiting)
    finish(world, holder)
    assert world.job(waiting).status is JobStatus.STARTING
    assert not world.ports.jobs.restore_ready(old)
    assert not world.ports.lanes.has_work("queue")
    run_to_the_end(world, [waiting], lambda fence: 0)
