"""Many ends of tasks at once, and the rows that all of them write, in a model of DynamoDB."""

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.core.arrays import virtual_child
from chalicelib.core.ids import JobKey, child_part
from chalicelib.core.job import ArrayState, StopCause
from chalicelib.core.scheduling.snapshot import Capacity
from chalicelib.core.states import JobStatus
from chalicelib.ports import ContentionError
from tests.support import stack
from tests.support.contention import Contended, contended, deliver, stopped
from tests.support.values import JOB_ID, a_job
from tests.support.world import World

S = JobStatus
SIZE = 10_000
pytestmark = pytest.mark.usefixtures("no_logs")


def array_being_stopped(world: World, size: int = SIZE) -> list[dict[str, Any]]:
    """Store an array whose children all run and are being stopped; return their ends' messages."""
    assert world.memory is not None
    counts = ((S.RUNNING, size),)
    array = ArrayState(size=size, cursor=size, counts=counts, closed_at_ms=1, closed_reason="x")
    parent = a_job(S.PENDING, array=array, stop_cause=StopCause.TERMINATE, stop_reason="x")
    world.memory.jobs[JobKey(JOB_ID)] = parent
    used = Capacity(environment="fargate", cpu_units=1024 * size, tasks=size)
    world.memory.capacities["fargate"] = used
    messages = []
    for number in range(size):
        child = replace(
            virtual_child(parent, number),
            part=child_part(number),
            version=3,
            status=S.RUNNING,
            environment="fargate",
            dispatch_count=1,
            task_arn=f"task-{number}",
            started_at_ms=1,
        )
        world.memory.jobs[child.key] = child
        cluster = world.settings.cluster_of("fargate")
        messages.append(stopped(str(child.fence), f"task-{number}", cluster))
    return messages


def check_stopped(world: World, size: int = SIZE) -> None:
    assert world.memory is not None
    parent = world.memory.jobs[JobKey(JOB_ID)]
    assert parent.array is not None
    assert parent.array.counts == ((S.FAILED, size),)
    assert world.memory.capacities["fargate"].tasks == 0


def test_the_stop_of_ten_thousand_running_children_brings_no_message_back() -> None:
    """Also beside a dispatcher that gives the freed capacity to other jobs meanwhile."""
    world = World(in_memory=True)
    messages = array_being_stopped(world)
    with contended(world) as tables:
        done = deliver(messages, world, tables)

        def dispatch() -> None:
            while done.left:
                # Without luck it makes a new plan, as the dispatcher does.
                with suppress(ContentionError):
                    tables.transact([("capacity", "fargate"), "ready rows", "another array"])
                tables.clock.sleep(0.3)

        tables.clock.spawn(dispatch)
        tables.clock.run()
    check_stopped(world)
    assert done.came_back == 0
    # A function runs into its time-out long after that, and all is over in seconds.
    assert done.longest_seconds < int(stack.properties("TaskEvents")["Timeout"]) / 2
    assert done.ended_at < 15


def test_the_ends_of_a_full_batch_are_one_transaction() -> None:
    batch_size = int(stack.properties("TaskEventsToTaskEvents")["BatchSize"])
    world = World(in_memory=True)
    messages = array_being_stopped(world, 4 * batch_size)
    with contended(world) as tables:
        done = deliver(messages, world, tables)
        tables.clock.run()
    check_stopped(world, 4 * batch_size)
    assert (done.invocations, tables.items.written) == (4, 4)


def test_more_batches_at_once_finish_no_sooner_and_conflict_more() -> None:
    ends, conflicts = {}, {}
    for concurrency in (5, 20):
        world = World(in_memory=True)
        messages = array_being_stopped(world, 4_000)
        with contended(world) as tables:
            done = deliver(messages, world, tables, concurrency=concurrency)
            tables.clock.run()
        check_stopped(world, 4_000)
        ends[concurrency], conflicts[concurrency] = done.ended_at, tables.items.cancelled
    assert ends[20] > 0.8 * ends[5]
    assert conflicts[20] > 2 * conflicts[5]


# The model itself: independent writers of one item, as many a second as are offered


def written(offered: int, seconds: int = 60) -> tuple[float, float]:
    """Return (transactions on one item a second, the share of writers that gave up)."""
    tables, given_up = Contended(), Counter[str]()

    def write() -> None:
        try:
            tables.transact(["item"])
        except ContentionError:
            given_up["writers"] += 1

    for number in range(offered * seconds):
        tables.clock.spawn(write, at=number / offered)
    tables.clock.run()
    return tables.items.written / tables.clock.now, given_up["writers"] / (offered * seconds)


def test_ten_transactions_a_second_pass_on_one_item_and_twice_as_many_do_not() -> None:
    passed, given_up = written(5)
    assert (round(passed), given_up) == (5, 0)
    passed, given_up = written(20)
    assert 9 < passed < 12.5
    assert given_up > 0.25
