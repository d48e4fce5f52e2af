"""Environments without capacity: set aside, tried again by one probe, passed over meanwhile."""

from typing import Any

import pytest

from tests.support.ecs_limits import NO_CAPACITY, without_capacity
from tests.support.fake_clusters import NO_INSTANCES
from tests.support.scenes import (
    ROLE,
    cluster_of,
    finish,
    make_definition,
    make_environment,
    make_queue,
    make_stage,
    submit,
    sweep,
)
from tests.support.world import World
from tests.support.world import world as make_world

LABEL = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"
RUN_TASK = "ecs.RunTask"


@pytest.fixture(name="world")
def over_both_stores(any_world: World) -> World:
    """Each scene runs twice: over the stores in memory, and over DynamoDB."""
    return any_world


def make_spot_stage(world: World, **queue: Any) -> None:
    """Make a queue that prefers FARGATE_SPOT to FARGATE."""
    make_environment(world, "spot", type="FARGATE_SPOT")
    make_environment(world, "fargate")
    make_queue(world, environments=("spot", "fargate"), **queue)
    make_definition(world)


def place_of(world: World, job_id: str) -> str:
    """Return the compute environment in which the job has its task."""
    clusters = {cluster_of(world, name): name for name in ("spot", "fargate")}
    return clusters[world.task_of(job_id).cluster]


def start_and_finish(world: World, *job_ids: str) -> None:
    for job_id in job_ids:
        world.ecs.start(world.task_of(job_id))
        world.run_until_idle()
        finish(world, job_id)


def seconds_of(world: World, environment: str) -> int | None:
    cooling = world.capacity(environment).cooling
    return cooling.seconds if cooling is not None else None


def test_a_job_that_spot_has_no_capacity_for_runs_on_demand_at_once(world: World) -> None:
    make_spot_stage(world)
    world.ecs.refuse = without_capacity("FARGATE_SPOT")
    job_id = submit(world)
    world.run_until_idle()

    assert place_of(world, job_id) == "fargate"
    assert world.calls.count(RUN_TASK) == 2
    assert world.task_of(job_id).started_by == f"{job_id}/job/1-2"
    start_and_finish(world, job_id)
    assert len(world.detail(job_id)["attempts"]) == 1
    assert seconds_of(world, "spot") == 10


def test_while_spot_is_set_aside_its_queue_asks_for_nothing_there(world: World) -> None:
    make_spot_stage(world)
    world.ecs.refuse = without_capacity("FARGATE_SPOT")
    submit(world)
    world.run_until_idle()
    world.calls.clear()
    later = [submit(world) for _ in range(3)]
    world.run_until_idle()
    assert {place_of(world, job_id) for job_id in later} == {"fargate"}
    assert world.calls.count(RUN_TASK) == 3


def test_after_ten_seconds_one_job_tries_spot_and_the_others_wait_for_it(world: World) -> None:
    make_spot_stage(world)
    world.ecs.refuse = without_capacity("FARGATE_SPOT")
    submit(world)
    world.run_until_idle()
    world.advance(10)
    world.ecs.refuse = lambda request: None
    later = [submit(world) for _ in range(4)]
    world.run_until_idle()
    assert [place_of(world, job_id) for job_id in later] == [
        "spot",
        "fargate",
        "fargate",
        "fargate",
    ]

    world.ecs.start(world.task_of(later[0]))
    world.run_until_idle()

    assert seconds_of(world, "spot") is None, "the probe runs"
    last = submit(world)
    world.run_until_idle()
    assert place_of(world, last) == "spot"


def test_a_task_that_was_launched_before_the_refusal_proves_nothing(world: World) -> None:
    make_spot_stage(world)
    first = submit(world)
    world.run_until_idle()
    world.ecs.refuse = without_capacity("FARGATE_SPOT")
    submit(world)
    world.run_until_idle()
    world.ecs.start(world.task_of(first))
    world.run_until_idle()
    assert seconds_of(world, "spot") == 10
    finish(world, first)


def test_jobs_wait_with_the_reason_of_aws_batch_while_no_environment_has_capacity(
    world: World,
) -> None:
    make_spot_stage(world)
    world.ecs.refuse = without_capacity("FARGATE_SPOT", "FARGATE")
    jobs = [submit(world) for _ in range(3)]
    world.run_until_idle()

    detail = world.detail(jobs[0])
    assert detail["status"] == "RUNNABLE"
    assert detail["statusReason"].startswith(f"{LABEL} - ")
    assert NO_CAPACITY in detail["statusReason"], "in the words of ECS"
    (published,) = world.events.blocks_of(jobs[0])
    assert published["Detail"]["statusReason"] == detail["statusReason"]
    assert world.capacity("spot").tasks == world.capacity("fargate").tasks == 0

    world.ecs.refuse = lambda request: None
    world.advance(10)
    for job_id in jobs:
        world.advance(10)
        start_and_finish(world, job_id)


def test_a_probe_that_runs_brings_the_jobs_that_waited_for_it_at_once(world: World) -> None:
    make_stage(world)
    world.ecs.refuse = without_capacity("FARGATE")
    jobs = [submit(world) for _ in range(4)]
    world.run_until_idle()
    world.ecs.refuse = lambda request: None
    world.advance(10)
    assert len(world.ecs.live()) == 1, "one probe, not a whole batch"

    world.ecs.start(world.task_of(jobs[0]))
    world.run_until_idle()

    assert len(world.ecs.live()) == 4
    start_and_finish(world, *jobs[1:])
    finish(world, jobs[0])


def test_a_probe_that_has_ended_before_its_start_is_seen_counts_as_well(world: World) -> None:
    make_stage(world)
    world.ecs.refuse = without_capacity("FARGATE")
    jobs = [submit(world) for _ in range(2)]
    world.run_until_idle()
    world.ecs.refuse = lambda request: None
    world.advance(10)
    probe = world.task_of(jobs[0])
    world.ecs.start(probe)
    world.ecs.finish(probe)
    world.run_until_idle()
    assert seconds_of(world, "fargate") is None
    start_and_finish(world, jobs[1])


def test_a_probe_that_never_runs_is_followed_by_another(world: World) -> None:
    make_stage(world)
    world.ecs.refuse = without_capacity("FARGATE")
    jobs = [submit(world) for _ in range(3)]
    world.run_until_idle()
    world.ecs.refuse = lambda request: None
    world.advance(10)
    assert len(world.ecs.live()) == 1
    world.advance(89)
    assert len(world.ecs.live()) == 1, "the first may still start"
    world.advance(2)
    assert len(world.ecs.live()) == 2
    start_and_finish(world, jobs[1])
    start_and_finish(world, jobs[0], jobs[2])


def test_the_refusals_of_one_burst_set_an_environment_aside_once() -> None:
    with make_world(in_memory=True) as world:
        make_stage(world, max_vcpus=64)
        world.ecs.refuse = without_capacity("FARGATE")
        for _ in range(40):
            submit(world)
        world.run_until_idle()
        assert world.calls.count(RUN_TASK) == 40
        assert seconds_of(world, "fargate") == 10
        world.advance(10)
        assert world.calls.count(RUN_TASK) == 41
        assert seconds_of(world, "fargate") == 20


def test_a_refusal_that_is_delivered_twice_counts_once(world: World) -> None:
    make_stage(world)
    world.ecs.refuse = without_capacity("FARGATE")
    submit(world)
    world.deliver_stream()
    world.deliver_wakes()
    world.deliver_stream()
    world.deliver_execution()
    world.deliver_messages(again=True)
    world.now_ms += 1_000
    world.run_until_idle()
    assert seconds_of(world, "fargate") == 10


def test_two_dispatchers_send_one_probe_to_an_environment_that_is_due(world: World) -> None:
    make_stage(world)
    make_queue(world, "other")
    world.ecs.refuse = without_capacity("FARGATE")
    submit(world)
    world.run_until_idle()
    world.ecs.refuse = lambda request: None
    world.now_ms += 10_000
    for queue in ("queue", "other"):
        submit(world, queue=queue)
    while world.deliver_stream():
        pass
    other = world.sqs.wakes.deliverable(world.now_ms)
    nested = iter([True])

    def meanwhile(call: str) -> None:
        """Run the second dispatcher just before the first one writes."""
        if call == "dynamodb.TransactWriteItems" and next(nested, False):
            world.deliver_wakes(other, again=True)

    world.on_call = meanwhile
    world.deliver_wakes()
    world.on_call = None
    world.run_until_idle()
    assert world.capacity("fargate").tasks == 1


def test_a_dispatcher_that_read_before_a_refusal_launches_nothing_after_it(world: World) -> None:
    make_stage(world)
    world.ecs.refuse = without_capacity("FARGATE")
    submit(world)
    world.deliver_stream()
    world.deliver_wakes()
    world.deliver_stream()
    world.deliver_execution()
    late = [submit(world) for _ in range(3)]
    while world.deliver_stream():
        pass
    nested = iter([True])

    def meanwhile(call: str) -> None:
        if call == "dynamodb.TransactWriteItems" and next(nested, False):
            world.on_call = None
            world.deliver_messages()

    world.on_call = meanwhile
    world.deliver_wakes()
    world.run_until_idle()
    assert [world.detail(job_id)["status"] for job_id in late] == ["RUNNABLE"] * 3
    assert world.calls.count(RUN_TASK) == 1


def test_a_head_without_capacity_is_cancelled_by_its_queues_rule(world: World) -> None:
    """Although it is launched again and again as a probe meanwhile."""
    action = {"reason": LABEL, "state": "RUNNABLE", "maxTimeSeconds": 600, "action": "CANCEL"}
    make_spot_stage(world, jobStateTimeLimitActions=[action])
    world.ecs.refuse = without_capacity("FARGATE_SPOT", "FARGATE")
    head = submit(world)
    world.run_until_idle()
    sweep(world, minutes=9)
    assert world.detail(head)["status"] == "RUNNABLE"
    assert len(world.events.blocks_of(head)) == 1, "one block, however many probes"
    sweep(world, minutes=2)
    detail = world.detail(head)
    assert (detail["status"], detail["isCancelled"]) == ("FAILED", True)
    assert detail["statusReason"].endswith(LABEL)


def make_metal_stage(world: World) -> None:
    """Make an unmanaged environment with its queue, and a definition for instances."""
    world.api(
        "CreateComputeEnvironment",
        {"computeEnvironmentName": "metal", "type": "UNMANAGED", "serviceRole": ROLE},
    )
    world.run_until_idle()
    make_queue(world, environments=("metal",))
    make_definition(world, platformCapabilities=["EC2"])


def test_on_full_instances_each_job_that_ends_is_followed_by_the_next_at_once(
    world: World,
) -> None:
    make_metal_stage(world)
    full = {"arn": "instance", "reason": "RESOURCE:CPU"}
    world.ecs.refuse = lambda request: full if len(world.ecs.live()) >= 2 else None
    jobs = [submit(world) for _ in range(6)]
    world.run_until_idle()
    for task in world.ecs.live():
        world.ecs.start(task)
    world.advance(11)
    assert seconds_of(world, "metal") == 20, "its two instances are full"
    calls = world.calls.count(RUN_TASK)

    for number in range(4):
        finish(world, jobs[number])
        task = world.task_of(jobs[number + 2])
        world.ecs.start(task)
        world.run_until_idle()

    assert world.calls.count(RUN_TASK) == calls + 4, "one launch for each job that ended"
    finish(world, jobs[4])
    finish(world, jobs[5])


def test_a_job_waits_while_its_unmanaged_environment_has_no_instance(world: World) -> None:
    make_metal_stage(world)
    world.ecs.has_instances = False
    job_id = submit(world)
    world.advance(3_600)

    detail = world.detail(job_id)
    assert detail["status"] == "RUNNABLE"
    assert detail["statusReason"] == (
        f"{LABEL} - Service cannot fulfill the capacity requested (metal: {NO_INSTANCES[:-1]})"
    )
    assert world.calls.count(RUN_TASK) <= 20

    world.ecs.has_instances = True
    world.advance(300)
    start_and_finish(world, job_id)
    assert world.detail(job_id)["status"] == "SUCCEEDED"


def test_an_environment_that_failed_long_ago_takes_a_whole_batch(world: World) -> None:
    make_stage(world)
    world.ecs.refuse = without_capacity("FARGATE")
    gone = submit(world)
    world.run_until_idle()
    world.api("CancelJob", {"jobId": gone, "reason": "enough"})
    world.advance(3_600)
    world.ecs.refuse = lambda request: None
    jobs = [submit(world) for _ in range(3)]
    world.run_until_idle()
    assert len(world.ecs.live()) == 3
    start_and_finish(world, *jobs)


def test_a_day_without_capacity_costs_few_launches_events_and_messages() -> None:
    with make_world(in_memory=True, launches_per_second=18, launch_burst=20) as world:
        make_stage(world, max_vcpus=256)
        world.ecs.refuse = without_capacity("FARGATE")
        jobs = [submit(world) for _ in range(200)]
        world.run_until_idle()
        for _ in range(24 * 60):
            world.advance(60)
            world.sweep()
            world.run_until_idle()
        # One burst of 20, five probes while the time doubles, then one every five minutes.
        launches = 20 + 5 + 24 * 60 // 5
        assert world.calls.count(RUN_TASK) <= launches
        assert len(world.events.published) <= 200 + 2 * launches + 5, "STARTING and RUNNABLE again"
        written = [call for call in world.calls if call.startswith("dynamodb.")]
        written = [call for call in written if not call.endswith(("Query", "BatchGetItem"))]
        assert len(written) <= 200 + 6 * launches
        sweeps = 24 * 60  # a message of the sweeper for the queue, each minute
        assert world.calls.count("sqs.SendMessageBatch") <= 200 + 6 * launches + sweeps
        assert {world.job(job_id).attempt for job_id in jobs} == {1}
        world.ecs.refuse = lambda request: None
        while not world.ecs.live():
            world.advance(10)
        (probe,) = world.ecs.live()
        world.ecs.start(probe)
        world.run_until_idle()
        world.advance(12)
        assert len(world.ecs.live()) >= 200 - 20, "then they go at the launch rate"
