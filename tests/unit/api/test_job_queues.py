"""The operations on job queues."""

from typing import Any

import pytest

from tests.support.scenes import make_environment, make_queue, make_stage, submit
from tests.support.world import ApiError, World

PREFIX = "arn:aws:batch:us-east-1:123456789012"
ARN = f"{PREFIX}:job-queue/queue"


def described(world: World, name: str = "queue") -> dict[str, Any] | None:
    members: list[dict[str, Any]] = world.api("DescribeJobQueues", {"jobQueues": [name]})[
        "jobQueues"
    ]
    return members[0] if members else None


def update(world: World, **members: Any) -> None:
    world.api("UpdateJobQueue", {"jobQueue": "queue"} | members)


def order(*names: str) -> list[dict[str, Any]]:
    return [{"order": n, "computeEnvironment": name} for n, name in enumerate(names, start=1)]


def test_a_queue_is_valid_at_once_and_described_with_full_arns(world: World) -> None:
    make_environment(world)
    request = {
        "jobQueueName": "queue",
        "priority": 7,
        "computeEnvironmentOrder": order("fargate"),
        "tags": {"a": "b"},
    }
    answered = world.api("CreateJobQueue", request)
    assert answered == {"jobQueueName": "queue", "jobQueueArn": ARN}
    queue = described(world)
    assert queue is not None
    assert (queue["state"], queue["status"]) == ("ENABLED", "VALID")
    assert queue["statusReason"] == "JobQueue Healthy"
    assert (queue["priority"], queue["tags"]) == (7, {"a": "b"})
    assert queue["computeEnvironmentOrder"] == order(f"{PREFIX}:compute-environment/fargate")
    world.run_until_idle()


def test_environments_are_kept_in_their_order_however_they_are_named(world: World) -> None:
    make_environment(world, "a")
    make_environment(world, "b", type="FARGATE_SPOT")
    entries = [
        {"order": 20, "computeEnvironment": "a"},
        {"order": 10, "computeEnvironment": f"{PREFIX}:compute-environment/b"},
    ]
    world.api(
        "CreateJobQueue",
        {"jobQueueName": "queue", "priority": 1, "computeEnvironmentOrder": entries},
    )
    queue = described(world, ARN)
    assert queue is not None
    names = [entry["computeEnvironment"][-1] for entry in queue["computeEnvironmentOrder"]]
    assert names == ["b", "a"]
    world.run_until_idle()


def test_a_name_is_taken_once(world: World) -> None:
    make_environment(world)
    make_queue(world)
    with pytest.raises(ApiError, match="Object already exists"):
        make_queue(world)


@pytest.mark.parametrize("name", ["nobody", f"{PREFIX}:job-queue/fargate"])
def test_an_environment_that_is_not_there_is_refused(world: World, name: str) -> None:
    make_environment(world)
    with pytest.raises(ApiError, match="must be created and valid"):
        make_queue(world, environments=(name,))


def test_an_environment_that_is_not_valid_yet_is_refused(world: World) -> None:
    make_environment(world)
    world.api("UpdateComputeEnvironment", {"computeEnvironment": "fargate", "state": "DISABLED"})
    with pytest.raises(ApiError, match="must be created and valid"):
        world.api(
            "CreateJobQueue",
            {"jobQueueName": "q", "priority": 1, "computeEnvironmentOrder": order("fargate")},
        )
    world.run_until_idle()


def test_a_policy_that_does_not_exist_is_refused(world: World) -> None:
    make_environment(world)
    policy = f"{PREFIX}:scheduling-policy/fair"
    with pytest.raises(ApiError, match=r"SchedulingPolicy .*fair not found"):
        make_queue(world, schedulingPolicyArn=policy)


def test_queues_are_listed_in_pages(world: World) -> None:
    make_environment(world)
    for name in ("c", "a", "b"):
        make_queue(world, name)
    first = world.api("DescribeJobQueues", {"maxResults": 2})
    second = world.api("DescribeJobQueues", {"maxResults": 2, "nextToken": first["nextToken"]})
    names = [one["jobQueueName"] for page in (first, second) for one in page["jobQueues"]]
    assert names == ["a", "b", "c"]
    assert "nextToken" not in second


@pytest.mark.parametrize(
    ("operation", "member"),
    [
        ("DescribeJobQueues", "jobQueues"),
        ("DescribeComputeEnvironments", "computeEnvironments"),
        ("DescribeJobDefinitions", "jobDefinitions"),
    ],
)
def test_a_hundred_are_described_by_name_and_no_more(
    quick: World, operation: str, member: str
) -> None:
    names = [f"name-{number}:1" for number in range(101)]
    assert quick.api(operation, {member: names[:100]}) == {member: []}
    with pytest.raises(ApiError, match=f"Maximum number of {member} supported is 100"):
        quick.api(operation, {member: names})


@pytest.mark.parametrize("number", [0, 101, -1])
def test_a_page_has_one_to_a_hundred(world: World, number: int) -> None:
    with pytest.raises(ApiError, match="maxResults"):
        world.api("DescribeJobQueues", {"maxResults": number})


def test_an_update_changes_what_it_names_and_keeps_the_rest(world: World) -> None:
    make_environment(world, "a")
    make_environment(world, "b")
    make_queue(world, environments=("a",), tags={"k": "v"})
    update(world, priority=9)
    queue = described(world)
    assert queue is not None
    assert (queue["priority"], queue["state"], queue["tags"]) == (9, "ENABLED", {"k": "v"})
    update(world, computeEnvironmentOrder=order("b"))
    queue = described(world)
    assert queue is not None
    assert queue["priority"] == 9
    assert [e["computeEnvironment"][-1] for e in queue["computeEnvironmentOrder"]] == ["b"]
    world.run_until_idle()


def test_an_environment_that_a_queue_left_may_be_deleted(world: World) -> None:
    make_environment(world, "a")
    make_environment(world, "b")
    make_queue(world, environments=("a",))
    update(world, computeEnvironmentOrder=order("b"))
    for name in ("a", "b"):
        world.api("UpdateComputeEnvironment", {"computeEnvironment": name, "state": "DISABLED"})
    world.run_until_idle()
    world.api("DeleteComputeEnvironment", {"computeEnvironment": "a"})
    with pytest.raises(ApiError, match="found existing JobQueue relationship"):
        world.api("DeleteComputeEnvironment", {"computeEnvironment": "b"})
    world.run_until_idle()


@pytest.mark.parametrize("members", [{}, {"state": "", "computeEnvironmentOrder": []}])
def test_an_update_that_changes_nothing_is_refused(world: World, members: dict[str, Any]) -> None:
    make_environment(world)
    make_queue(world)
    with pytest.raises(ApiError) as caught:
        update(world, **members)
    assert caught.value.message == (
        "One of [state | scheduling-policy-arn | priority | compute-environment-order | "
        "service-environment-order | job-state-time-limit-actions] is required."
    )


def test_a_priority_of_zero_is_a_change_and_shown(world: World) -> None:
    make_environment(world)
    make_queue(world, priority=3)
    update(world, priority=0)
    queue = described(world)
    assert queue is not None
    assert queue["priority"] == 0
    world.run_until_idle()


def test_the_time_limits_of_a_queue_are_removed_by_an_empty_list(world: World) -> None:
    make_environment(world)
    limit = {
        "reason": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
        "state": "RUNNABLE",
        "maxTimeSeconds": 600,
        "action": "CANCEL",
    }
    make_queue(world, jobStateTimeLimitActions=[limit])
    update(world, jobStateTimeLimitActions=[])
    queue = described(world)
    assert queue is not None
    assert queue["jobStateTimeLimitActions"] == []
    world.run_until_idle()


def test_an_update_of_what_does_not_exist_is_refused(world: World) -> None:
    for reference in ("queue", ARN):
        with pytest.raises(ApiError) as caught:
            world.api("UpdateJobQueue", {"jobQueue": reference, "state": "DISABLED"})
        assert caught.value.message == f"{reference} does not exist."


def test_a_disabled_queue_takes_no_jobs_and_lets_those_it_has_finish(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    update(world, state="DISABLED")
    with pytest.raises(ApiError, match="is not in ENABLED state"):
        submit(world)
    world.run_until_idle()
    assert world.detail(job_id)["status"] == "STARTING"


def test_a_queue_goes_only_when_disabled_and_takes_its_jobs_along(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    with pytest.raises(ApiError, match="must be DISABLED"):
        world.api("DeleteJobQueue", {"jobQueue": "queue"})
    update(world, state="DISABLED")
    world.api("DeleteJobQueue", {"jobQueue": ARN})
    world.api("DeleteJobQueue", {"jobQueue": "queue"})
    with pytest.raises(ApiError, match="being modified"):
        update(world, state="ENABLED")
    world.advance(60)
    assert described(world) is None
    job = world.detail(job_id)
    assert (job["status"], job["statusReason"]) == ("FAILED", "JobQueue deleted")
    world.api("DeleteJobQueue", {"jobQueue": "queue"})
