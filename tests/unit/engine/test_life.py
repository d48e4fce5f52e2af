"""Jobs from the submission to the end."""

import pytest

from tests.support.scenes import finish, make_definition, make_stage, running, submit
from tests.support.world import ApiError, World


def test_a_job_succeeds(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    assert world.detail(job_id)["status"] == "RUNNABLE"

    world.run_until_idle()
    assert world.detail(job_id)["status"] == "STARTING"
    assert world.capacity("fargate").cpu_units == 1024

    task = world.task_of(job_id)
    world.advance(5)
    world.ecs.start(task)
    world.run_until_idle()
    assert world.detail(job_id)["status"] == "RUNNING"

    world.advance(7)
    world.ecs.finish(task)
    world.run_until_idle()
    detail = world.detail(job_id)
    assert detail["status"] == "SUCCEEDED"
    assert detail["container"]["exitCode"] == 0
    assert detail["stoppedAt"] - detail["startedAt"] == 7000
    assert len(detail["attempts"]) == 1
    assert world.capacity("fargate").cpu_units == 0
    assert world.events.statuses_of(job_id) == ["RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"]


def test_a_job_fails_with_the_exit_code_and_reason_of_its_container(world: World) -> None:
    make_stage(world)
    job_id = running(world)

    finish(world, job_id, 137, reason="OutOfMemoryError: container killed")

    detail = world.detail(job_id)
    assert detail["status"] == "FAILED"
    assert detail["statusReason"] == "Essential container in task exited"
    assert detail["container"]["exitCode"] == 137
    assert detail["container"]["reason"] == "OutOfMemoryError: container killed"
    assert world.events.statuses_of(job_id) == ["RUNNABLE", "STARTING", "RUNNING", "FAILED"]


def test_a_task_that_cannot_start_fails_the_job_with_ecs_own_cause(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    world.run_until_idle()

    world.ecs.fail_to_start(world.task_of(job_id), "CannotPullContainerError: no such image")
    world.run_until_idle()

    detail = world.detail(job_id)
    assert detail["status"] == "FAILED"
    assert detail["statusReason"] == "Task failed to start"
    (attempt,) = detail["attempts"]
    assert attempt["container"]["reason"] == "CannotPullContainerError: no such image"
    assert "startedAt" not in attempt
    assert world.events.statuses_of(job_id) == ["RUNNABLE", "STARTING", "FAILED"]


def test_the_container_learns_who_it_is(world: World) -> None:
    make_stage(world)
    job_id = running(world)

    seen = world.task_of(job_id).environment
    assert seen["AWS_BATCH_JOB_ID"] == job_id
    assert seen["AWS_BATCH_JOB_ATTEMPT"] == "1"
    assert seen["AWS_BATCH_JQ_NAME"] == "queue"
    assert seen["AWS_BATCH_CE_NAME"] == "fargate"
    finish(world, job_id)


def test_jobs_of_one_definition_share_one_task_definition(world: World) -> None:
    make_stage(world)
    first, second = running(world), running(world)
    world.restart()
    third = running(world)

    assert len(world.ecs.definitions) == 1
    for job_id in (first, second, third):
        finish(world, job_id)


def test_a_job_goes_its_way_though_its_definition_is_deregistered(world: World) -> None:
    make_stage(world)
    arn = make_definition(world)
    job_id = submit(world, jobDefinition=arn)
    world.api("DeregisterJobDefinition", {"jobDefinition": arn})

    world.run_until_idle()
    world.ecs.start(world.task_of(job_id))
    finish(world, job_id)

    assert world.detail(job_id)["status"] == "SUCCEEDED"


def test_running_is_published_though_start_and_end_came_together(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    world.run_until_idle()
    task = world.task_of(job_id)
    world.ecs.start(task)
    world.ecs.finish(task)
    version = world.job(job_id).version

    world.run_until_idle()

    assert world.job(job_id).version == version + 1, "one write for both reports"
    assert world.events.statuses_of(job_id) == ["RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"]


def test_running_is_published_for_a_failing_attempt_whose_start_and_end_came_together(
    world: World,
) -> None:
    make_stage(world)
    job_id = submit(world, retryStrategy={"attempts": 2})
    world.run_until_idle()
    task = world.task_of(job_id)
    world.ecs.start(task)
    world.ecs.finish(task, 1)

    world.run_until_idle()

    statuses = world.events.statuses_of(job_id)
    assert statuses == ["RUNNABLE", "STARTING", "RUNNING", "RUNNABLE", "STARTING"]
    assert world.capacity("fargate").tasks == 1
    world.ecs.start(world.task_of(job_id))
    finish(world, job_id)


def test_a_submission_repeated_after_its_queue_was_disabled_answers_the_first_job(
    world: World,
) -> None:
    make_stage(world)
    request = {"jobName": "job", "jobQueue": "queue", "jobDefinition": "work"}
    first = world.api("SubmitJob", request, invocation_id="call-1")
    world.run_until_idle()
    world.api("UpdateJobQueue", {"jobQueue": "queue", "state": "DISABLED"})
    world.run_until_idle()

    assert world.api("SubmitJob", request, invocation_id="call-1") == first
    with pytest.raises(ApiError, match="ENABLED"):
        world.api("SubmitJob", request, invocation_id="call-2")

    world.ecs.start(world.task_of(first["jobId"]))
    finish(world, first["jobId"])
    assert world.detail(first["jobId"])["status"] == "SUCCEEDED"


def test_what_hangs_on_an_expired_job_goes_with_it(world: World) -> None:
    make_stage(world)
    job_id = running(world)
    finish(world, job_id)
    assert world.ports.jobs.find_specs([job_id])

    world.expire(job_id)
    world.run_until_idle()

    assert not world.ports.jobs.find_specs([job_id])
    assert world.api("DescribeJobs", {"jobs": [job_id]})["jobs"] == []
