"""The launch rate of the account: permits, how they are shared, and ten thousand children."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import pytest

from tests.support.ecs_limits import LaunchBuckets
from tests.support.multinode import (
    make_multinode_stage,
    node_properties,
    start_main,
    submit_multinode_job,
)
from tests.support.scenes import (
    finish,
    make_environment,
    make_queue,
    make_stage,
    running,
    submit,
    sweep,
)
from tests.support.world import World
from tests.support.world import world as make_world

DEFAULTS = {"launches_per_second": 18, "launch_burst": 20, "starting_window": 5_000}
MINUTE_MS = 60_000


@contextmanager
def account() -> Iterator[World]:
    """Yield a World with the launch rate of a real account, in which a rest takes its time."""
    with make_world(in_memory=True, **DEFAULTS) as world:
        world.on_rest = partial(let_pass, world)
        yield world


def let_pass(world: World, seconds: float) -> None:
    """Advance the clock while the dispatcher rests and everything else goes on."""
    until_ms = world.now_ms + round(seconds * 1000)
    while world.now_ms < until_ms:
        while world.deliver_stream() or world.deliver_execution() or world.deliver_messages():
            pass
        world.now_ms += 100


def test_no_more_is_launched_than_the_launch_rate_allows() -> None:
    with account() as world:
        make_stage(world, max_vcpus=256)
        job_id = submit(world, arrayProperties={"size": 100})
        began_ms = world.now_ms
        while len(world.ecs.tasks) < 100:
            world.advance(1)
            seconds = (world.now_ms - began_ms) / 1000
            assert 18 * (seconds - 2) <= len(world.ecs.tasks) <= 20 + 18 * seconds
        assert seconds <= 7
        world.api("TerminateJob", {"jobId": job_id, "reason": "enough"})
        world.run_until_idle()


def test_a_head_that_waits_for_the_launch_rate_says_so() -> None:
    with make_world(in_memory=True, launches_per_second=1, launch_burst=1) as world:
        make_stage(world)
        make_queue(world, "other")
        first, second = submit(world), submit(world, queue="other")
        world.run_until_idle()
        world.now_ms -= 500  # the next permit is not due yet
        world.sweep()
        assert world.detail(second)["statusReason"].startswith("The launch rate of the account")
        world.run_until_idle()
        assert world.events.blocks_of(second) == [], "a queue that is served is not blocked"
        world.now_ms += 500
        world.advance(2)
        assert world.detail(second)["status"] == "STARTING"
        for job_id in (first, second):
            world.ecs.start(world.task_of(job_id))
            finish(world, job_id)


def test_a_dispatcher_with_nothing_to_place_takes_no_permit(world: World) -> None:
    make_stage(world, max_vcpus=1)
    holder, waiting = running(world), submit(world)
    world.run_until_idle()
    before = world.ports.lanes.permits_full_at_us()
    world.calls.clear()
    world.ports.messages.send_wakes(["queue"], "once more")
    world.run_until_idle()
    assert world.ports.lanes.permits_full_at_us() == before
    assert not [call for call in world.calls if call.endswith(("UpdateItem", "TransactWriteItems"))]
    finish(world, holder)
    world.ecs.start(world.task_of(waiting))
    finish(world, waiting)


def test_a_plan_takes_one_write_for_all_its_permits(world: World) -> None:
    make_stage(world)
    jobs = [submit(world) for _ in range(5)]
    while world.deliver_stream():
        pass
    world.calls.clear()
    world.deliver_wakes()
    assert world.calls.count("dynamodb.UpdateItem") == 1
    assert world.calls.count("dynamodb.TransactWriteItems") == 1
    world.run_until_idle()
    for job_id in jobs:
        world.ecs.start(world.task_of(job_id))
        finish(world, job_id)


def test_permits_of_jobs_that_were_not_placed_are_given_back(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    world.deliver_stream()
    nested = iter([True])

    def meanwhile(call: str) -> None:
        if call == "dynamodb.TransactWriteItems" and next(nested, False):
            world.api("CancelJob", {"jobId": job_id, "reason": "enough"})

    world.on_call = meanwhile
    world.deliver_wakes()
    world.on_call = None
    assert world.ports.lanes.permits_full_at_us() <= world.now_ms * 1000
    world.run_until_idle()
    assert world.ecs.tasks == {}


def test_two_dispatchers_share_the_launch_rate() -> None:
    with account() as world:
        make_stage(world, max_vcpus=256)
        make_environment(world, "elsewhere", max_vcpus=256)
        make_queue(world, "other", environments=("elsewhere",))
        for queue in ("queue", "other"):
            submit(world, queue=queue, arrayProperties={"size": 90})
        while world.deliver_stream():
            pass
        began_ms = world.now_ms
        wakes = world.sqs.wakes.deliverable(world.now_ms)
        others = [wake for wake in wakes if wake.group == "other"]
        nested = iter([True])

        def meanwhile(call: str) -> None:
            """Run the other queue's dispatcher just before the first one takes its permits."""
            if call == "dynamodb.UpdateItem" and next(nested, False):
                world.deliver_wakes(others)

        world.on_call = meanwhile
        world.deliver_wakes([wake for wake in wakes if wake.group == "queue"])
        world.on_call = None
        assert len(world.ecs.tasks) <= 20 + 18
        while len(world.ecs.tasks) < 180:
            world.advance(1)
        seconds = (world.now_ms - began_ms) / 1000
        assert 18 * (seconds - 2) <= 180 <= 20 + 18 * seconds


def test_the_nodes_of_a_multi_node_job_take_permits_when_they_are_launched() -> None:
    with make_world(in_memory=True, launches_per_second=1, launch_burst=4) as world:
        make_multinode_stage(world, properties=node_properties(nodes=20))
        job_id = submit_multinode_job(world)
        world.run_until_idle()
        world.advance(60)
        start_main(world, job_id)
        assert len(world.ecs.live()) == 20, "they do not wait for permits"
        full_at_ms = world.ports.lanes.permits_full_at_us() // 1000
        assert full_at_ms > world.now_ms + 8_000, "but others wait for theirs"
        world.api("TerminateJob", {"jobId": job_id, "reason": "enough"})
        sweep(world, minutes=2)


def play_tasks(world: World, launched_at_ms: Sequence[int]) -> None:
    """Start the tasks that were launched a minute ago, and end those that run for a minute."""
    for task, at_ms in zip(world.ecs.tasks.values(), launched_at_ms, strict=True):
        if task.status == "PROVISIONING" and world.now_ms - at_ms >= MINUTE_MS:
            world.ecs.start(task)
        elif task.status == "RUNNING" and world.now_ms - at_ms >= 2 * MINUTE_MS:
            world.ecs.finish(task)


def rates(launched_at_ms: Sequence[int]) -> list[float]:
    """Return the launches per second of each half minute, without the last one."""
    first_ms, counts = launched_at_ms[0], dict[int, int]()
    for at_ms in launched_at_ms:
        slot = (at_ms - first_ms) // 30_000
        counts[slot] = counts.get(slot, 0) + 1
    return [count / 30 for slot, count in sorted(counts.items())][:-1]


@pytest.mark.parametrize("children", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_ten_thousand_children_go_at_the_launch_rate_and_ecs_refuses_none_of_them(
    children: int,
) -> None:
    """A simulated account: ECS's buckets, tasks that take a minute to start and one to run.

    Task events and delayed wakes are gathered for up to a second.
    """
    chance = random.Random(20_261_125)
    with account() as world:
        make_stage(world, max_vcpus=20_000)
        world.sqs.task_events.gathering_ms = lambda: chance.randrange(1_000)
        buckets = LaunchBuckets(lambda: world.now_ms)
        world.ecs.refuse = buckets
        job_id = submit(world, arrayProperties={"size": children})
        while not world.job(job_id).is_terminal:
            world.advance(1)
            play_tasks(world, buckets.launched_at_ms)
        launched = buckets.launched_at_ms
        assert (len(launched), buckets.refused) == (children, 0)
        in_all = children / (launched[-1] - launched[0]) * 1000
        assert 17.9 <= in_all <= 20, in_all
        # A plan more or less falls into each half minute.
        assert all(17.4 <= rate <= 20 for rate in rates(launched)), rates(launched)
        # What the permits cost: one write for each plan that launches anything.
        assert world.calls.count("dynamodb.UpdateItem") <= children / 8
