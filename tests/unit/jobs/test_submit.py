"""SubmitJob: what a request makes, and what its repetition makes."""

from typing import Any

import pytest

from chalicelib.core.lane import Lane
from chalicelib.store.tables import JobRow, SpecRow
from tests.support.scenes import make_definition, make_environment, make_queue, make_stage, submit
from tests.support.world import ApiError, World

PREFIX = "arn:aws:batch:us-east-1:123456789012"
REQUEST = {"jobName": "job", "jobQueue": "queue", "jobDefinition": "work"}


def rows(job_id: str) -> tuple[int, int]:
    """Return how many job and spec rows there are of this id."""
    job = list(JobRow.query(job_id, JobRow.part == "job", consistent_read=True))
    spec = list(SpecRow.query(job_id, SpecRow.part == "spec", consistent_read=True))
    return len(job), len(spec)


def test_a_submission_answers_with_name_id_and_arn(world: World) -> None:
    make_stage(world)
    answered = world.api("SubmitJob", REQUEST)
    job_id = answered["jobId"]
    assert answered == {
        "jobName": "job",
        "jobId": job_id,
        "jobArn": f"{PREFIX}:job/{job_id}",
    }
    assert world.detail(job_id)["status"] == "RUNNABLE"
    world.run_until_idle()


def test_a_queue_may_be_named_by_its_arn(world: World) -> None:
    make_stage(world)
    job_id = submit(world, queue=f"{PREFIX}:job-queue/queue")
    assert world.detail(job_id)["jobQueue"] == f"{PREFIX}:job-queue/queue"
    world.run_until_idle()


@pytest.mark.parametrize(
    "queue",
    [
        "nobody",
        f"{PREFIX}:job-queue/nobody",
        f"{PREFIX}:compute-environment/queue",
        f"{PREFIX.replace('123456789012', '210987654321')}:job-queue/queue",
    ],
)
def test_a_submission_to_a_missing_queue_is_refused(world: World, queue: str) -> None:
    make_stage(world)
    with pytest.raises(ApiError, match="not found"):
        submit(world, queue=queue)


def test_a_job_is_the_definition_with_the_request_on_top(world: World) -> None:
    make_stage(world)
    make_definition(
        world,
        container={"command": ["echo", "Ref::word"], "environment": [{"name": "A", "value": "1"}]},
        parameters={"word": "hello", "other": "x"},
        retryStrategy={"attempts": 3},
        timeout={"attemptDurationSeconds": 60},
        propagateTags=True,
        tags={"from": "definition", "both": "definition"},
    )
    job_id = submit(
        world,
        parameters={"word": "bye"},
        containerOverrides={
            "environment": [{"name": "B", "value": "2"}],
            "resourceRequirements": [{"type": "MEMORY", "value": "4096"}],
        },
        timeout={"attemptDurationSeconds": 120},
        tags={"both": "job"},
    )
    job = world.detail(job_id)
    container = job["container"]
    assert container["command"] == ["echo", "bye"]
    assert {e["name"]: e["value"] for e in container["environment"]} == {"A": "1", "B": "2"}
    needs = {need["type"]: need["value"] for need in container["resourceRequirements"]}
    assert needs == {"VCPU": "1", "MEMORY": "4096"}
    assert job["parameters"] == {"word": "bye", "other": "x"}
    assert job["timeout"] == {"attemptDurationSeconds": 120}
    assert job["retryStrategy"]["attempts"] == 3
    assert job["propagateTags"] is True
    assert job["tags"]["both"] == "job"
    world.run_until_idle()
    (task,) = world.ecs.live()
    tags = {tag["key"]: tag["value"] for tag in task.request["tags"]}
    assert tags == {"from": "definition", "both": "job"}


def test_a_submission_that_is_tried_again_is_one_job(world: World) -> None:
    make_stage(world)
    first = world.api("SubmitJob", REQUEST, invocation_id="one")
    world.now_ms += 5000
    assert world.api("SubmitJob", REQUEST, invocation_id="one") == first
    assert rows(first["jobId"]) == (1, 1)
    world.run_until_idle()
    assert world.api("SubmitJob", REQUEST, invocation_id="one") == first
    assert world.detail(first["jobId"])["status"] == "STARTING"
    assert len(world.ecs.tasks) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"invocation_id": "two"},
        {"invocation_id": "one", "caller": "arn:aws:iam::123456789012:user/other"},
        {"invocation_id": None},
    ],
)
def test_another_call_is_another_job(world: World, other: dict[str, Any]) -> None:
    make_stage(world)
    first = world.api("SubmitJob", REQUEST, invocation_id="one")
    assert world.api("SubmitJob", REQUEST, **other)["jobId"] != first["jobId"]
    world.run_until_idle()


def test_another_body_under_the_same_invocation_is_another_job(world: World) -> None:
    make_stage(world)
    first = world.api("SubmitJob", REQUEST, invocation_id="one")
    second = world.api("SubmitJob", REQUEST | {"jobName": "other"}, invocation_id="one")
    assert first["jobId"] != second["jobId"]
    assert world.detail(second["jobId"])["jobName"] == "other"
    world.run_until_idle()


def test_without_an_invocation_id_each_call_is_a_job(world: World) -> None:
    make_stage(world)
    assert submit(world) != submit(world)
    world.run_until_idle()


def test_an_accepted_job_stays_accepted_after_its_queue_was_disabled(world: World) -> None:
    make_stage(world)
    first = world.api("SubmitJob", REQUEST, invocation_id="one")
    world.api("UpdateJobQueue", {"jobQueue": "queue", "state": "DISABLED"})
    world.api("DeregisterJobDefinition", {"jobDefinition": "work:1"})
    assert world.api("SubmitJob", REQUEST, invocation_id="one") == first
    with pytest.raises(ApiError):
        world.api("SubmitJob", REQUEST, invocation_id="two")
    world.run_until_idle()


def test_a_job_of_another_capability_is_refused_by_its_queue(world: World) -> None:
    make_stage(world)
    container = {
        "image": "busybox",
        "resourceRequirements": [
            {"type": "VCPU", "value": "1"},
            {"type": "MEMORY", "value": "64"},
        ],
    }
    world.api(
        "RegisterJobDefinition",
        {"jobDefinitionName": "ec2", "type": "container", "containerProperties": container},
    )
    with pytest.raises(ApiError) as caught:
        submit(world, jobDefinition="ec2")
    assert caught.value.message == (
        "Job Queue is attached to Compute Environment that can not run Jobs with capability EC2."
    )
    world.run_until_idle()


def test_an_unmanaged_environment_runs_jobs_of_ec2_only(world: World) -> None:
    make_stage(world)
    role = "arn:aws:iam::123456789012:role/batch"
    world.api(
        "CreateComputeEnvironment",
        {"computeEnvironmentName": "own", "type": "UNMANAGED", "serviceRole": role},
    )
    world.run_until_idle()
    make_queue(world, "own", environments=("own",))
    with pytest.raises(ApiError, match="capability FARGATE"):
        submit(world, queue="own")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"jobName": "-job"}, "Job name should match valid pattern"),
        ({"jobName": ""}, "Job name should match valid pattern"),
        ({"parameters": {"x": "y"}, "jobDefinition": "nobody"}, "not in ACTIVE status"),
        ({"shareIdentifier": "a"}, "onlybe submitted"),
        ({"schedulingPriorityOverride": 5}, "onlybe submitted"),
        ({"retryStrategy": {"attempts": 11}}, "RetryAttempts must be between 1 and 10"),
        ({"timeout": {"attemptDurationSeconds": 59}}, "at least 60 seconds"),
        ({"tags": {"aws:x": "y"}}, "aws:"),
        ({"containerOverrides": {"command": [""]}}, "ommand"),
        (
            {"containerOverrides": {"resourceRequirements": [{"type": "MEMORY", "value": "5"}]}},
            "Fargate resource requirements",
        ),
        ({"nodeOverrides": {"numNodes": 2}}, "nodeOverrides"),
    ],
)
def test_a_wrong_submission_is_refused_and_leaves_nothing(
    world: World, members: dict[str, Any], message: str
) -> None:
    make_stage(world)
    with pytest.raises(ApiError, match=message) as caught:
        world.api("SubmitJob", REQUEST | members)
    assert (caught.value.status, caught.value.code) == (400, "ClientException")
    assert world.ports.lanes.heads(Lane.fifo("queue"), 9) == ()


def test_empty_members_ask_for_nothing(world: World) -> None:
    make_stage(world)
    empty: dict[str, Any] = {
        "tags": {},
        "arrayProperties": {},
        "parameters": {},
        "dependsOn": [],
        "containerOverrides": {},
    }
    job_id = submit(world, **empty)
    assert world.detail(job_id)["dependsOn"] == []
    world.run_until_idle()


def test_a_queue_whose_environments_are_disabled_keeps_its_jobs_waiting(world: World) -> None:
    make_environment(world)
    make_queue(world)
    make_definition(world)
    world.api("UpdateComputeEnvironment", {"computeEnvironment": "fargate", "state": "DISABLED"})
    world.run_until_idle()
    job_id = submit(world)
    world.run_until_idle()
    assert world.detail(job_id)["status"] == "RUNNABLE"
