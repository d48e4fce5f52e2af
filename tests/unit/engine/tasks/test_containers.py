"""Tasks of several containers: whose end is the job's, and what follows from it."""

import pytest

from tests.support.scenes import (
    finish,
    make_environment,
    make_queue,
    make_task_definition,
    running,
    submit,
    sweep,
)
from tests.support.world import World

FIRST, SECOND, HELPER = {"name": "first"}, {"name": "second"}, {"name": "helper"}
SMALL = [{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "512"}]


@pytest.fixture(autouse=True)
def stage(world: World) -> None:
    """Register the definition `work` of two essential containers and one that is not."""
    make_environment(world)
    make_queue(world)
    small = {"resourceRequirements": SMALL}
    half = {
        "resourceRequirements": [{"type": "VCPU", "value": "0.5"}, SMALL[1] | {"value": "1024"}]
    }
    helper = HELPER | {"essential": False}
    make_task_definition(world, helper | small, FIRST | small, SECOND | half)


def test_the_end_of_an_essential_container_with_0_is_the_job_s_success(world: World) -> None:
    job_id = running(world)
    finish(world, job_id, container="second")
    job = world.job(job_id)
    assert (job.status, job.exit_code) == ("SUCCEEDED", 0)
    ends = {end.name: end.exit_code for end in job.container_ends}
    assert ends == {"helper": 143, "first": 143, "second": 0}
    assert world.capacity("fargate").cpu_units == 0


def test_the_failure_of_an_essential_container_is_the_job_s(world: World) -> None:
    job_id = running(world)
    finish(world, job_id, 7, container="second")
    job = world.job(job_id)
    assert (job.status, job.exit_code) == ("FAILED", 7)
    assert job.status_reason == "Essential container in task exited"


def test_the_failure_of_a_helper_is_nobody_s(world: World) -> None:
    job_id = running(world)
    world.ecs.exit(world.task_of(job_id), "helper", 9, reason="it broke")
    finish(world, job_id, container="first")
    assert (world.job(job_id).status, world.job(job_id).exit_code) == ("SUCCEEDED", 0)


@pytest.mark.parametrize(("pattern", "attempts"), [("7", 1), ("143", 2)])
def test_retry_rules_look_at_the_container_that_failed(
    world: World, pattern: str, attempts: int
) -> None:
    rules = [{"onExitCode": pattern, "action": "EXIT"}]
    strategy = {"attempts": 2, "evaluateOnExit": rules}
    job_id = running(world, retryStrategy=strategy)
    world.ecs.exit(world.task_of(job_id), "helper", 0)
    finish(world, job_id, 7, container="second")
    assert world.job(job_id).attempt == attempts
    if attempts == 2:
        world.ecs.start(world.task_of(job_id))
        finish(world, job_id, container="first")
        (failed, done) = world.job(job_id).attempts
        assert (failed.exit_code, done.exit_code) == (7, 0)


def test_a_job_that_was_terminated_has_failed_whatever_its_containers_say(world: World) -> None:
    job_id = running(world)
    task = world.task_of(job_id)
    world.ecs.exit(task, "first", 0)
    world.api("TerminateJob", {"jobId": job_id, "reason": "enough"})
    world.run_until_idle()
    job = world.job(job_id)
    assert (job.status, job.status_reason, job.exit_code) == ("FAILED", "enough", 143)


def test_a_task_that_the_sweeper_finds_stopped_is_judged_alike(world: World) -> None:
    job_id = running(world)
    world.ecs.finish(world.task_of(job_id), 7, container="second")
    world.sqs.task_events.messages.clear()
    sweep(world, minutes=3)
    assert (world.job(job_id).status, world.job(job_id).exit_code) == ("FAILED", 7)


def test_the_report_of_an_end_that_comes_twice_changes_nothing(world: World) -> None:
    job_id = running(world)
    world.ecs.finish(world.task_of(job_id), container="first")
    world.deliver_messages(again=True)
    once = world.job(job_id)
    world.run_until_idle()
    assert world.job(job_id) == once


def test_whose_exit_counts_is_known_without_another_read(world: World) -> None:
    """It is in the job's row: at the end of an attempt the row is read, and no spec."""
    job_id = submit(world)
    world.run_until_idle()
    world.ecs.start(world.task_of(job_id))
    world.run_until_idle()
    world.ecs.finish(world.task_of(job_id), 7, container="second")
    world.calls.clear()
    world.deliver_messages()
    assert [call for call in world.calls if "Get" in call] == ["dynamodb.BatchGetItem"]
    world.run_until_idle()
