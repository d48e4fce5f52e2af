"""Published events of jobs, arrays and children, and of heads of queues that wait."""

from unittest import mock

import pytest

from chalicelib.engine import reactor
from chalicelib.jobs.specs import specs_of
from tests.support.arrays import after, array, step
from tests.support.drivers import run_to_the_end
from tests.support.scenes import finish, make_stage, needing, running, submit, sweep
from tests.support.world import World
from tests.support.world import world as make_world

TOO_BIG = "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE"
ONE_ATTEMPT = ["RUNNABLE", "STARTING", "RUNNING"]


@pytest.fixture(name="world")
def over_both_stores(any_world: World) -> World:
    """Each scene runs twice: over the stores in memory, and over DynamoDB."""
    return any_world


def test_every_status_of_each_child_and_of_its_array_is_published(world: World) -> None:
    make_stage(world, max_vcpus=2)
    job_id = array(world, 3, retryStrategy={"attempts": 2})
    fails = f"{job_id}/c1/1"
    run_to_the_end(world, [job_id], lambda fence: int(str(fence) == fails))
    statuses = world.events.statuses_of
    assert statuses(job_id) == ["PENDING", "SUCCEEDED"]
    assert statuses(f"{job_id}:0") == statuses(f"{job_id}:2") == [*ONE_ATTEMPT, "SUCCEEDED"]
    assert statuses(f"{job_id}:1") == [*ONE_ATTEMPT, *ONE_ATTEMPT, "SUCCEEDED"]
    first = next(e for e in world.events.published if e["Detail"]["jobId"] == f"{job_id}:1")
    assert first["Detail"]["status"] == "RUNNABLE"
    assert first["Detail"]["arrayProperties"] == {"index": 1}
    assert first["Resources"] == [first["Detail"]["jobArn"]]
    assert "taskArn" not in first["Detail"]["container"]


def test_a_job_that_waits_and_fails_with_its_dependency_is_published(world: World) -> None:
    make_stage(world)
    first = running(world)
    second = submit(world, dependsOn=after(first))
    third = submit(world, dependsOn=after(first, type="AFTER_FAILURE"))
    fourth = array(world, 2, dependsOn=after(second))
    world.run_until_idle()
    finish(world, first, exit_code=1)
    statuses = world.events.statuses_of
    assert statuses(second) == ["PENDING", "FAILED"]
    assert statuses(third) == ["PENDING", "RUNNABLE", "STARTING"]
    assert statuses(fourth) == ["PENDING", "FAILED"]
    assert statuses(f"{fourth}:0") == [], "a virtual child ends with its array, without an event"
    run_to_the_end(world, [third], lambda fence: 0)


@pytest.mark.parametrize("in_memory", [True, False])
def test_child_events_are_published_only_if_the_stack_is_set_to(in_memory: bool) -> None:
    with make_world(in_memory=in_memory, publish_child_events=False) as world:
        make_stage(world)
        job_id, alone = array(world, 2), submit(world)
        world.run_until_idle()
        step(world, job_id, 0)
        world.restart()  # nothing is left of the specs that the launch has read
        with mock.patch.object(reactor, "specs_of", side_effect=specs_of) as read:
            step(world, job_id, 1)
            step(world, job_id, 0)
        assert world.ports.known_specs == {}
        assert [call.args[0] for call in read.call_args_list if call.args[0]] == []
        run_to_the_end(world, [job_id, alone], lambda fence: 0)
        assert world.events.statuses_of(alone) == [*ONE_ATTEMPT, "SUCCEEDED"]
        assert world.events.statuses_of(job_id) == ["PENDING", "SUCCEEDED"]
        assert {entry["Detail"]["jobId"] for entry in world.events.published} == {job_id, alone}


def test_a_head_that_can_never_be_placed_is_published_at_once_and_once(world: World) -> None:
    make_stage(world, max_vcpus=1)
    head = submit(world, containerOverrides=needing(2))
    world.run_until_idle()
    sweep(world, minutes=2)
    (entry,) = world.events.blocks_of(head)
    detail = world.detail(head)
    assert entry["Resources"] == [detail["jobArn"], detail["jobQueue"]]
    assert entry["Source"] == "batchyard"
    assert entry["Detail"] == detail
    assert world.job(head).blocked_why == TOO_BIG
    assert entry["Time"] == (world.job(head).blocked_since_ms or 0) / 1000
    assert world.events.statuses_of(head) == ["RUNNABLE"]


def test_each_cause_of_a_block_is_published(world: World) -> None:
    make_stage(world, max_vcpus=1)
    first, head = running(world), submit(world)
    world.run_until_idle()
    assert world.events.blocks_of(head) == [], "only the sweeper publishes a block that may pass"
    sweep(world, minutes=2)
    world.api("UpdateComputeEnvironment", {"computeEnvironment": "fargate", "state": "DISABLED"})
    sweep(world, minutes=2)
    reasons = [entry["Detail"]["statusReason"] for entry in world.events.blocks_of(head)]
    assert len(reasons) == len(set(reasons)) == 2
    assert world.detail(head)["statusReason"] == reasons[-1]
    world.api("UpdateComputeEnvironment", {"computeEnvironment": "fargate", "state": "ENABLED"})
    world.run_until_idle()
    finish(world, first)
    sweep(world)
    assert world.job(head).status == "STARTING"
    assert len(world.events.blocks_of(head)) == 2
    run_to_the_end(world, [head], lambda fence: 0)


def test_an_array_that_waits_for_capacity_is_published_as_runnable(world: World) -> None:
    make_stage(world, max_vcpus=1)
    job_id = array(world, 2)
    world.run_until_idle()
    step(world, job_id, 0)
    sweep(world, minutes=2)
    (entry,) = world.events.blocks_of(job_id)
    assert (world.detail(job_id)["status"], entry["Detail"]["status"]) == ("PENDING", "RUNNABLE")
    assert entry["Detail"]["statusReason"] == world.detail(job_id)["statusReason"]
    assert entry["Detail"]["arrayProperties"]["statusSummary"]["RUNNING"] == 1
    run_to_the_end(world, [job_id], lambda fence: 0)
    assert len(world.events.blocks_of(job_id)) == 1


def test_a_child_that_blocks_its_queue_is_published_whatever_the_settings() -> None:
    with make_world(in_memory=True, publish_child_events=False) as world:
        make_stage(world, max_vcpus=1)
        first = array(world, 2)
        second = array(world, 2, dependsOn=after(first, type="N_TO_N"))
        world.run_until_idle()
        step(world, first, 0)
        step(world, first, 0)
        step(world, first, 1)
        assert world.detail(f"{second}:0")["status"] == "RUNNABLE"
        sweep(world)
        (entry,) = world.events.blocks_of(f"{second}:0")
        assert entry["Detail"]["arrayProperties"] == {"index": 0}
        run_to_the_end(world, [first, second], lambda fence: 0)
        assert world.events.statuses_of(f"{second}:0") == []
