"""Jobs whose Spot capacity is reclaimed: counted, retried, and On-Demand after two losses."""

from typing import Any

import pytest

from chalicelib.core.spot import FREE_TAG, LOSSES_TAG
from tests.support.arrays import array
from tests.support.fake_ecs import INSTANCE
from tests.support.scenes import (
    cluster_of,
    finish,
    make_definition,
    make_environment,
    make_queue,
    submit,
)
from tests.support.world import ApiError, World

FARGATE_REASON = "Your Spot Task was interrupted."
TAGS_OF = "arn:aws:batch:us-east-1:123456789012"


def make_spot_stage(world: World, **queue: Any) -> None:
    """Make a queue that prefers FARGATE_SPOT to FARGATE."""
    make_environment(world, "spot", type="FARGATE_SPOT")
    make_environment(world, "fargate", max_vcpus=1)
    make_queue(world, environments=("spot", "fargate"), **queue)
    make_definition(world)


def place_of(world: World, job_id: str) -> str:
    clusters = {cluster_of(world, name): name for name in ("spot", "fargate")}
    return clusters[world.task_of(job_id).cluster]


def interrupt(world: World, job_id: str) -> None:
    """Start the job's task and reclaim its capacity."""
    world.ecs.start(world.task_of(job_id))
    world.run_until_idle()
    world.ecs.interrupt(world.task_of(job_id))
    world.run_until_idle()


def start_and_finish(world: World, job_id: str, exit_code: int = 0) -> None:
    world.ecs.start(world.task_of(job_id))
    world.run_until_idle()
    finish(world, job_id, exit_code)


def test_after_two_spot_losses_a_job_is_placed_on_demand(world: World) -> None:
    make_spot_stage(world)
    job_id = submit(world, retryStrategy={"attempts": 5})
    world.run_until_idle()
    assert "spotLosses" not in world.detail(job_id)
    places = []
    for losses in (1, 2):
        places.append(place_of(world, job_id))
        interrupt(world, job_id)
        assert world.detail(job_id)["spotLosses"] == losses
    assert [*places, place_of(world, job_id)] == ["spot", "spot", "fargate"]

    start_and_finish(world, job_id)

    detail = world.detail(job_id)
    reasons = [one["statusReason"] for one in detail["attempts"]]
    assert reasons[:2] == [FARGATE_REASON] * 2
    assert (detail["status"], detail["spotLosses"], len(reasons)) == ("SUCCEEDED", 2, 3)


def test_a_job_without_another_environment_goes_on_with_spot(world: World) -> None:
    make_environment(world, "spot", type="FARGATE_SPOT")
    make_queue(world, environments=("spot",))
    make_definition(world)
    job_id = submit(world, retryStrategy={"attempts": 4})
    world.run_until_idle()
    for _ in range(3):
        interrupt(world, job_id)
    start_and_finish(world, job_id)
    assert world.detail(job_id)["spotLosses"] == 3


def test_a_job_too_big_for_the_other_environment_goes_on_with_spot(world: World) -> None:
    make_spot_stage(world, tags={LOSSES_TAG: "1"})
    needs = [{"type": "VCPU", "value": "2"}, {"type": "MEMORY", "value": "4096"}]
    job_id = submit(
        world,
        retryStrategy={"attempts": 3},
        containerOverrides={"resourceRequirements": needs},
    )
    world.run_until_idle()
    interrupt(world, job_id)
    assert place_of(world, job_id) == "spot", "fargate's maxvCpus is 1"
    start_and_finish(world, job_id)


def test_the_head_that_waits_for_on_demand_says_so(world: World) -> None:
    make_spot_stage(world, tags={LOSSES_TAG: "1"})
    first, second = (submit(world, retryStrategy={"attempts": 5}) for _ in range(2))
    world.run_until_idle()
    interrupt(world, first)
    interrupt(world, second)
    world.advance(60)
    world.sweep()
    world.run_until_idle()
    assert place_of(world, first) == "fargate"
    detail = world.detail(second)
    assert detail["status"] == "RUNNABLE"
    assert detail["statusReason"].endswith(
        "raised. Passed over, because the job has lost 1 of its attempts on Spot: spot."
    )
    start_and_finish(world, first)
    start_and_finish(world, second)


def test_the_tag_of_a_job_goes_before_its_queues(world: World) -> None:
    make_spot_stage(world, tags={LOSSES_TAG: "5"})
    job_id = submit(world, tags={LOSSES_TAG: "1"}, retryStrategy={"attempts": 3})
    world.run_until_idle()
    interrupt(world, job_id)
    assert place_of(world, job_id) == "fargate"
    start_and_finish(world, job_id)


def test_with_no_loss_allowed_a_job_is_never_placed_on_spot(world: World) -> None:
    make_spot_stage(world)
    job_id = submit(world, tags={LOSSES_TAG: "0"})
    other = submit(world)
    world.run_until_idle()
    assert (place_of(world, job_id), place_of(world, other)) == ("fargate", "spot")
    start_and_finish(world, job_id)
    start_and_finish(world, other)


def test_a_tag_that_is_set_later_counts_from_the_next_loss_on(world: World) -> None:
    make_spot_stage(world)
    job_id = submit(world, retryStrategy={"attempts": 3})
    world.run_until_idle()
    world.api("TagResource", {"resourceArn": f"{TAGS_OF}:job/{job_id}", "tags": {LOSSES_TAG: "1"}})
    interrupt(world, job_id)
    assert place_of(world, job_id) == "fargate"
    start_and_finish(world, job_id)


def test_a_value_that_cannot_be_is_refused_wherever_a_tag_is_given(world: World) -> None:
    make_spot_stage(world)
    job_id = submit(world)
    world.run_until_idle()
    for operation, request in (
        ("SubmitJob", {"jobName": "j", "jobQueue": "queue", "jobDefinition": "work"}),
        ("CreateJobQueue", {"jobQueueName": "q", "priority": 1, "computeEnvironmentOrder": []}),
        ("TagResource", {"resourceArn": f"{TAGS_OF}:job-queue/queue"}),
        ("TagResource", {"resourceArn": f"{TAGS_OF}:job/{job_id}"}),
    ):
        with pytest.raises(ApiError) as refused:
            world.api(operation, request | {"tags": {LOSSES_TAG: "many"}})
        assert refused.value.status == 400
        assert "from 0 to 100, got 'many'" in str(refused.value)
    start_and_finish(world, job_id)


def test_a_free_spot_loss_uses_up_no_attempt(world: World) -> None:
    make_spot_stage(world, tags={FREE_TAG: "true"})
    job_id = submit(world)
    world.run_until_idle()
    interrupt(world, job_id)
    task = world.task_of(job_id)
    assert task.environment["AWS_BATCH_JOB_ATTEMPT"] == "2", "the second container that it runs in"
    assert task.started_by == f"{job_id}/job/2"
    start_and_finish(world, job_id, 1)
    detail = world.detail(job_id)
    assert (detail["status"], detail["spotLosses"]) == ("FAILED", 1)
    assert [one["statusReason"] for one in detail["attempts"]] == [
        FARGATE_REASON,
        "Essential container in task exited",
    ]


def test_a_child_of_an_array_counts_its_own_losses(world: World) -> None:
    make_spot_stage(world)
    parent = array(world, 2, retryStrategy={"attempts": 3})
    world.run_until_idle()
    interrupt(world, f"{parent}/c1")
    details = [world.detail(f"{parent}:{number}") for number in (0, 1)]
    assert [one.get("spotLosses") for one in details] == [None, 1]
    assert "spotLosses" not in world.detail(parent)
    for task in world.ecs.live():
        world.ecs.start(task)
        world.run_until_idle()
        world.ecs.finish(task)
        world.run_until_idle()


def test_the_loss_of_an_instance_is_described_in_the_words_of_aws_batch(world: World) -> None:
    """Rules of evaluateOnExit look for them; ECS has its own for tasks that it stopped itself."""
    make_spot_stage(world)
    rules = [
        {"onStatusReason": "Host EC2*", "action": "RETRY"},
        {"onReason": "*", "action": "EXIT"},
    ]
    job_id = submit(world, retryStrategy={"attempts": 2, "evaluateOnExit": rules})
    world.run_until_idle()
    task = world.task_of(job_id)
    world.ecs.start(task)
    world.run_until_idle()
    task.request = task.request | {"capacityProviderStrategy": [{"capacityProvider": "group"}]}
    world.ecs.interrupt(task, code="SpotInterruption")
    world.run_until_idle()
    detail = world.detail(job_id)
    assert detail["attempts"][0]["statusReason"] == f"Host EC2 (instance {INSTANCE}) terminated."
    assert (detail["status"], detail["spotLosses"]) == ("STARTING", 1)
    start_and_finish(world, job_id)


def test_only_the_end_of_a_lost_host_costs_a_further_read(world: World) -> None:
    make_spot_stage(world)
    job_id = submit(world)
    world.run_until_idle()
    world.ecs.start(world.task_of(job_id))
    world.run_until_idle()
    world.ecs.finish(world.task_of(job_id))
    world.calls.clear()
    world.deliver_messages()
    assert world.calls.count("dynamodb.BatchGetItem") == 1
    world.run_until_idle()
