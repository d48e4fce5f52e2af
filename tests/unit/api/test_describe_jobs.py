"""DescribeJobs: which jobs, in which order, with which members."""

from unittest.mock import ANY

import pytest

from tests.support.scenes import finish, make_definition, make_stage, running, submit
from tests.support.world import ApiError, World

PREFIX = "arn:aws:batch:us-east-1:123456789012"


def test_jobs_come_in_the_order_in_which_they_were_asked_for(world: World) -> None:
    make_stage(world)
    ids = [submit(world) for _ in range(4)]
    asked = [ids[2], "nobody", ids[0], f"{PREFIX}:job/{ids[3]}", ids[2]]
    found = world.api("DescribeJobs", {"jobs": asked})["jobs"]
    assert [job["jobId"] for job in found] == [ids[2], ids[0], ids[3]]
    world.run_until_idle()


def test_unknown_jobs_are_left_out(world: World) -> None:
    for reference in ("x" * 32, "", "arn:aws:s3:::x", f"{PREFIX}:job-queue/x"):
        assert world.api("DescribeJobs", {"jobs": [reference]})["jobs"] == []


def test_a_hundred_jobs_are_described_at_once_and_no_more(world: World) -> None:
    ids = [f"job-{number}" for number in range(101)]
    assert world.api("DescribeJobs", {"jobs": ids[:100]})["jobs"] == []
    with pytest.raises(ApiError, match="Maximum number of jobs supported is 100"):
        world.api("DescribeJobs", {"jobs": ids})


def test_a_waiting_job_has_no_member_before_its_time(world: World) -> None:
    make_stage(world)
    job = world.detail(submit(world))
    assert not {"startedAt", "stoppedAt", "statusReason"} & job.keys()
    assert not {"exitCode", "reason", "taskArn", "logStreamName"} & job["container"].keys()
    assert (job["attempts"], job["dependsOn"]) == ([], [])
    assert job["jobQueue"] == f"{PREFIX}:job-queue/queue"
    assert job["jobDefinition"] == f"{PREFIX}:job-definition/work:1"
    assert (job["isCancelled"], job["isTerminated"]) == (False, False)
    assert job["tags"] == {"resourceArn": job["jobArn"]}
    assert job["platformCapabilities"] == ["FARGATE"]
    for name in ("volumes", "mountPoints", "ulimits", "secrets", "networkInterfaces"):
        assert job["container"][name] == []
    world.run_until_idle()


def test_a_running_job_shows_its_task_and_its_log_stream(world: World) -> None:
    make_stage(world)
    job_id = running(world)
    job = world.detail(job_id)
    task = world.task_of(job_id).arn
    assert job["container"]["taskArn"] == task
    assert job["container"]["logStreamName"] == f"work/default/{task.rpartition('/')[2]}"
    assert "stoppedAt" not in job
    assert job["attempts"] == []


def test_a_retried_job_shows_no_end_until_it_has_ended(world: World) -> None:
    make_stage(world)
    job_id = running(world, retryStrategy={"attempts": 2})
    first = world.task_of(job_id).arn
    finish(world, job_id, 1, reason="OutOfMemoryError: x")
    job = world.detail(job_id)
    assert "stoppedAt" not in job
    assert "exitCode" not in job["container"]
    (attempt,) = job["attempts"]
    assert attempt["container"] == {
        "taskArn": first,
        "exitCode": 1,
        "reason": "OutOfMemoryError: x",
        "logStreamName": f"work/default/{first.rpartition('/')[2]}",
        "networkInterfaces": [{"attachmentId": ANY, "privateIpv4Address": "10.0.0.1"}],
    }
    assert attempt["statusReason"] == "Essential container in task exited"
    assert attempt["stoppedAt"] >= attempt["startedAt"]


def test_a_job_that_failed_to_start_shows_the_cause(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    world.run_until_idle()
    world.ecs.fail_to_start(world.task_of(job_id), "CannotPullContainerError: no such image")
    world.run_until_idle()
    job = world.detail(job_id)
    assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
    (attempt,) = job["attempts"]
    assert attempt["container"]["reason"] == "CannotPullContainerError: no such image"
    assert not {"exitCode", "logStreamName"} & attempt["container"].keys()
    assert "startedAt" not in attempt
    assert "logStreamName" not in job["container"]
    assert job["stoppedAt"] > 0


def test_a_cancelled_job_has_an_end_and_no_attempt(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    world.api("CancelJob", {"jobId": job_id, "reason": "enough"})
    job = world.detail(job_id)
    assert (job["attempts"], job["isCancelled"]) == ([], True)
    assert job["stoppedAt"] > 0
    assert "startedAt" not in job
    world.run_until_idle()


def test_a_log_stream_may_have_a_prefix_of_its_own(world: World) -> None:
    make_stage(world)
    options = {"awslogs-stream-prefix": "mine"}
    make_definition(
        world, container={"logConfiguration": {"logDriver": "awslogs", "options": options}}
    )
    job_id = running(world)
    assert world.detail(job_id)["container"]["logStreamName"].startswith("mine/default/")
