"""Launches that come late: only what is still at its fencing token becomes a container."""

import pytest

from chalicelib.core.ids import Fence
from chalicelib.core.states import JobStatus
from chalicelib.engine.tasks.grace_periods import (
    CLOSE_GRACE_MS,
    LAUNCH_REACH_MS,
    LAUNCH_WINDOW_MS,
)
from tests.support.drivers import run_to_the_end
from tests.support.fake_step_functions import LAUNCH_MACHINE_ARN, Run
from tests.support.multinode import make_multinode_stage, start_main, submit_multinode_job, tasks_of
from tests.support.scenes import finish, make_stage, submit, sweep
from tests.support.world import World

GIVEN_BACK_MINUTES = -(-(CLOSE_GRACE_MS + LAUNCH_REACH_MS) // 60_000) + 2


def placed(world: World, count: int = 1) -> list[str]:
    """Submit jobs and dispatch them; the records that would launch them are not delivered."""
    jobs = [submit(world, f"job-{number}") for number in range(count)]
    world.deliver_stream()
    world.deliver_wakes()
    assert {world.job(job_id).status for job_id in jobs} == {JobStatus.STARTING}
    return jobs


def hold_stream(world: World, minutes: int) -> None:
    """Deliver everything but the jobs table's stream, and sweep every minute."""
    for _ in range(minutes):
        world.now_ms += 60_000
        world.begin_sweep()
        while (
            world.deliver_execution()
            or world.deliver_messages()
            or world.deliver_wakes()
            or world.deliver_sweeps()
        ):
            pass


def taken_executions(world: World) -> list[Run]:
    """Take the launches that are about to begin out of Step Functions."""
    held = [run for run in world.machines.running if run.machine == LAUNCH_MACHINE_ARN]
    world.machines.running = [run for run in world.machines.running if run not in held]
    return held


def test_three_jobs_are_three_containers_however_long_the_stream_is_held_up(world: World) -> None:
    make_stage(world)
    jobs = placed(world, 3)
    hold_stream(world, 8)
    world.run_until_idle()
    assert len(world.ecs.tasks) == 3
    assert sorted(task.started_by for task in world.ecs.live()) == sorted(
        f"{job_id}/job/1" for job_id in jobs
    )
    run_to_the_end(world, jobs, lambda fence: 0)
    assert len(world.ecs.tasks) == 3


def test_a_stream_held_up_beyond_every_grace_period_launches_nothing_twice(world: World) -> None:
    make_stage(world, max_vcpus=2)
    jobs = placed(world, 2)
    for task in world.ecs.live():
        world.ecs.lose(task)
    hold_stream(world, 45)
    world.run_until_idle()
    assert len(world.ecs.live()) == 2
    run_to_the_end(world, jobs, lambda fence: 0)


def test_a_record_of_a_placement_that_was_given_back_launches_nothing(world: World) -> None:
    make_stage(world)
    (job_id,) = placed(world)
    world.jobs_stream.draw()
    late = list(world.jobs_stream.records)
    world.jobs_stream.records.clear()
    refuse_launches(world, minutes=GIVEN_BACK_MINUTES)
    assert world.job(job_id).dispatch_count == 2
    before = len(world.ecs.tasks)

    world.jobs_stream.records[:0] = late
    world.run_until_idle()

    assert len(world.ecs.tasks) == before
    assert {task.started_by for task in world.ecs.live()} == {f"{job_id}/job/1-2"}
    run_to_the_end(world, [job_id], lambda fence: 0)


def refuse_launches(world: World, *, minutes: int) -> None:
    """Sweep without letting any launch reach ECS, until the job is dispatched anew."""
    for _ in range(minutes):
        world.now_ms += 60_000
        world.sweep()
        taken_executions(world)
        world.deliver_messages()
    world.advance(30)


def test_a_launch_that_was_closed_is_not_made_by_the_record_that_comes_then(world: World) -> None:
    make_stage(world)
    (job_id,) = placed(world)
    world.jobs_stream.draw()
    for _ in range(CLOSE_GRACE_MS // 60_000 + 1):
        world.now_ms += 60_000
        world.sweep()
        taken_executions(world)
    assert world.job(job_id).launch_closed_at_ms is not None
    assert world.capacity("fargate").tasks == 1, "nothing is given back yet"

    world.deliver_stream()
    assert taken_executions(world) == []
    sweep(world, minutes=8)
    assert world.task_of(job_id).started_by == f"{job_id}/job/1-2"
    run_to_the_end(world, [job_id], lambda fence: 0)


def test_an_execution_that_is_held_up_makes_no_task_after_its_window(world: World) -> None:
    make_stage(world)
    (job_id,) = placed(world)
    world.deliver_stream()
    held = taken_executions(world)
    assert len(held) == 1
    refuse_launches(world, minutes=GIVEN_BACK_MINUTES)
    world.machines.running.extend(held)
    world.run_until_idle()
    assert [task.started_by for task in world.ecs.tasks.values()] == [f"{job_id}/job/1-2"]
    run_to_the_end(world, [job_id], lambda fence: 0)


@pytest.mark.parametrize(("late_ms", "made"), [(0, 1), (1, 0)])
def test_a_window_ends_to_the_millisecond_and_the_sweeper_asks_again(
    world: World, late_ms: int, made: int
) -> None:
    make_stage(world)
    (job_id,) = placed(world)
    world.deliver_stream()
    held = taken_executions(world)
    world.now_ms += LAUNCH_WINDOW_MS + late_ms
    world.machines.running.extend(held)
    world.run_until_idle()
    assert len(world.ecs.tasks) == made
    sweep(world)
    assert world.task_of(job_id).started_by == f"{job_id}/job/1"
    run_to_the_end(world, [job_id], lambda fence: 0)


def test_a_fresh_launch_costs_no_further_read(world: World) -> None:
    make_stage(world)
    placed(world, 3)
    world.calls.clear()
    world.deliver_stream()
    reads = [call for call in world.calls if call == "dynamodb.BatchGetItem"]
    assert len(reads) == 4, "specs, environments, the new task definition twice; no job"
    world.run_until_idle()


def test_late_launches_are_read_together(world: World) -> None:
    make_stage(world)
    jobs = placed(world, 3)
    world.now_ms += 6_000
    world.calls.clear()
    world.deliver_stream()
    reads = [call for call in world.calls if call == "dynamodb.BatchGetItem"]
    assert len(reads) == 5, "one more, for all of them"
    world.run_until_idle()
    assert len(world.ecs.live()) == 3
    run_to_the_end(world, jobs, lambda fence: 0)


@pytest.mark.parametrize("error", ["States.Timeout", "Ecs.ServerException"])
def test_a_launch_that_may_have_made_a_task_gives_nothing_back(world: World, error: str) -> None:
    """RunTask gave no answer, but ECS has taken it: the task is found, and runs alone."""
    make_stage(world)
    (job_id,) = placed(world)
    world.deliver_stream()
    world.run_until_idle()
    fence = Fence.parse(world.task_of(job_id).started_by)
    assert fence is not None
    world.ports.messages.send_launch_failure(fence, error, "no answer")
    world.run_until_idle()
    assert world.job(job_id).status is JobStatus.STARTING
    assert world.capacity("fargate").tasks == 1
    world.ecs.start(world.task_of(job_id))
    finish(world, job_id)
    assert len(world.ecs.tasks) == 1


def test_a_terminated_job_whose_launch_was_lost_ends_when_no_launch_can_come(world: World) -> None:
    make_stage(world)
    (job_id,) = placed(world)
    world.deliver_stream()
    late = taken_executions(world)
    world.api("TerminateJob", {"jobId": job_id, "reason": "enough"})
    sweep(world, minutes=2)
    assert world.job(job_id).status is JobStatus.STARTING
    sweep(world, minutes=8)
    assert world.detail(job_id)["statusReason"] == "enough"
    assert world.capacity("fargate").tasks == 0
    world.machines.running.extend(late)
    world.run_until_idle()
    assert world.ecs.tasks == {}


def test_the_main_node_of_a_job_is_launched_again_too(world: World) -> None:
    make_multinode_stage(world)
    job_id = submit_multinode_job(world)
    world.deliver_stream()
    world.deliver_wakes()
    world.deliver_stream()
    while world.machines.due() and not taken_executions(world):
        world.deliver_execution()
    sweep(world, minutes=2)
    assert tasks_of(world, job_id).keys() == {"job"}
    start_main(world, job_id)
    world.advance(300)
    run_to_the_end(world, [job_id], lambda fence: 0)


def test_a_node_that_runs_is_not_launched_by_an_old_record(world: World) -> None:
    """Its row has moved on since it asked for a launch, which would have another client token."""
    make_multinode_stage(world)
    job_id = submit_multinode_job(world)
    world.run_until_idle()
    world.machines.running = [r for r in world.machines.running if "-multinode" not in r.machine]
    start_main(world, job_id)
    for _ in range(2):
        world.now_ms += 60_000
        world.sweep()
    world.jobs_stream.draw()
    old = list(world.jobs_stream.records)
    world.run_until_idle()
    tasks = tasks_of(world, job_id)
    assert tasks.keys() == {"job", "n1", "n2"}
    for name in ("n1", "n2"):
        world.ecs.start(tasks[name])
    world.run_until_idle()

    world.jobs_stream.records.extend(old)
    world.run_until_idle()
    assert len(world.ecs.live()) == 3
    run_to_the_end(world, [job_id], lambda fence: 0)
