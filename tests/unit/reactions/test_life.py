"""Whole lives of jobs, from the submission to the end."""

from tests.support.scenes import make_stage, submit
from tests.support.world import World


def test_a_job_succeeds(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    assert world.detail(job_id)["status"] == "RUNNABLE"

    world.settle()
    assert world.detail(job_id)["status"] == "STARTING"
    assert world.capacity("fargate").cpu_units == 1024

    task = world.task_of(job_id)
    world.advance(5)
    world.ecs.start(task)
    world.settle()
    assert world.detail(job_id)["status"] == "RUNNING"

    world.advance(7)
    world.ecs.finish(task)
    world.settle()
    detail = world.detail(job_id)
    assert detail["status"] == "SUCCEEDED"
    assert detail["container"]["exitCode"] == 0
    assert detail["stoppedAt"] - detail["startedAt"] == 7000
    assert len(detail["attempts"]) == 1
    assert world.capacity("fargate").cpu_units == 0
    assert world.events.statuses_of(job_id) == ["RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"]
