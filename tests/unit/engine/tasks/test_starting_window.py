"""Tasks on instances: those that wait for one fill the starting window, those that have one not."""

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import pytest

from tests.support.fake_ecs import Task
from tests.support.multinode import (
    a_container,
    make_multinode_stage,
    submit_multinode_job,
    tasks_of,
)
from tests.support.scenes import cluster_of, finish, make_stage, submit, sweep
from tests.support.world import World
from tests.support.world import world as make_world

WINDOW = 2


@pytest.fixture(name="metal")
def make_metal() -> Iterator[World]:
    """Environment `metal`, whose instances come from its owner's group, and a window of two."""
    with make_world(starting_window=WINDOW) as world:
        make_stage_on_instances(world)
        yield world


def make_stage_on_instances(world: World) -> None:
    make_multinode_stage(world)
    cluster = world.ecs.clusters[cluster_of(world, "metal")]
    cluster["providers"] = ["own-group"]
    cluster["default"] = [{"capacityProvider": "own-group", "weight": 1}]
    request = {"jobDefinitionName": "work", "type": "container"}
    world.api("RegisterJobDefinition", request | {"containerProperties": a_container()})


def launched(world: World, count: int) -> list[str]:
    jobs = [submit(world) for _ in range(count)]
    world.run_until_idle()
    return jobs


def statuses(world: World, jobs: list[str]) -> list[str]:
    return [world.detail(job)["status"] for job in jobs]


def finish_all(world: World, jobs: list[str]) -> None:
    for job in jobs:
        if world.detail(job)["status"] == "STARTING":
            world.ecs.start(world.task_of(job))
        finish(world, job)
    world.advance(2)


def test_a_task_that_has_an_instance_makes_space_for_another_launch(metal: World) -> None:
    jobs = launched(metal, 3)
    assert statuses(metal, jobs) == ["STARTING", "STARTING", "RUNNABLE"]
    metal.ecs.place(metal.task_of(jobs[0]))
    metal.advance(2)
    assert statuses(metal, jobs) == ["STARTING"] * 3, "its image may take minutes"
    assert (metal.capacity("metal").tasks, metal.capacity("metal").starting) == (3, 2)
    finish_all(metal, jobs)
    assert (metal.capacity("metal").tasks, metal.capacity("metal").starting) == (0, 0)


def reports_of(world: World, job_id: str) -> list[Any]:
    """Let a task get its instance, run and end; return the messages, none of them delivered."""
    task, queue = world.task_of(job_id), world.sqs.task_events
    known = list(queue.messages)
    world.ecs.place(task)
    world.ecs.start(task)
    world.ecs.finish(task)
    return [one for one in queue.messages if one not in known]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_reports_in_any_order_free_the_window_once(metal: World, order: tuple[int, ...]) -> None:
    other, job_id = launched(metal, 2)
    messages = reports_of(metal, job_id)
    for number in order:
        metal.deliver_messages([messages[number]])
        assert 1 <= metal.capacity("metal").starting <= 2
    metal.run_until_idle()
    used = metal.capacity("metal")
    assert (used.tasks, used.starting) == (1, 1), "the other job's"
    assert metal.detail(job_id)["status"] == "SUCCEEDED"
    finish_all(metal, [other])


def test_a_report_that_comes_again_frees_the_window_once(metal: World) -> None:
    other, job_id = launched(metal, 2)
    placed, ran, _ = reports_of(metal, job_id)
    for message in (placed, placed, ran, placed, ran):
        metal.deliver_messages([message], again=True)
    assert metal.capacity("metal").starting == 1
    assert metal.detail(job_id)["status"] == "RUNNING"
    metal.run_until_idle()
    finish_all(metal, [other])
    assert metal.capacity("metal").starting == 0


def test_a_task_that_fails_after_it_got_an_instance_frees_the_window_once(metal: World) -> None:
    other, job_id = launched(metal, 2)
    task = metal.task_of(job_id)
    metal.ecs.place(task)
    metal.run_until_idle()
    assert metal.capacity("metal").starting == 1
    metal.ecs.fail_to_start(task, "CannotPullContainerError: no such image")
    metal.run_until_idle()
    assert metal.capacity("metal").starting == 1
    finish_all(metal, [other])
    assert metal.capacity("metal").starting == 0


def test_a_retry_fills_the_window_again(metal: World) -> None:
    job_id = submit(metal, retryStrategy={"attempts": 2})
    metal.run_until_idle()
    task = metal.task_of(job_id)
    metal.ecs.place(task)
    metal.run_until_idle()
    metal.ecs.fail_to_start(task, "DockerTimeoutError")
    metal.run_until_idle()
    assert metal.detail(job_id)["status"] == "STARTING"
    assert metal.capacity("metal").starting == 1
    finish_all(metal, [job_id])


def test_the_sweeper_counts_a_task_with_an_instance_as_the_reports_do(metal: World) -> None:
    """A crash between the row and the figure leaves the figure too high until then."""
    jobs = launched(metal, 2)
    metal.ecs.place(metal.task_of(jobs[0]))
    metal.run_until_idle()
    right = metal.capacity("metal")
    assert right.starting == 1
    sweep(metal)
    assert metal.capacity("metal") == right
    wrong = type(right)(environment="metal", cpu_units=right.cpu_units, tasks=2, starting=2)
    assert metal.ports.lanes.correct_capacity(right, wrong)
    sweep(metal)
    assert metal.capacity("metal") == right
    finish_all(metal, jobs)


def test_an_instance_costs_no_write_while_the_window_is_less_than_half_full() -> None:
    with make_world(starting_window=100) as world:
        make_stage_on_instances(world)
        (job_id,) = launched(world, 1)
        version = world.job(job_id).version
        world.ecs.place(world.task_of(job_id))
        world.calls.clear()
        world.run_until_idle()
        made = [one for one in world.calls if one.startswith("dynamodb.")]
        assert made == ["dynamodb.BatchGetItem"], "a read of the environment's figures"
        assert world.job(job_id).version == version
        finish_all(world, [job_id])


def test_a_task_on_fargate_reports_no_instance(world: World) -> None:
    make_stage(world)
    (job_id,) = launched(world, 1)
    world.ecs.place(world.task_of(job_id))
    assert list(world.sqs.task_events.messages) == []
    finish_all(world, [job_id])


def test_the_instances_of_nodes_are_not_recorded_beside_their_job(metal: World) -> None:
    job_id = submit_multinode_job(metal)
    metal.run_until_idle()
    metal.ecs.place(tasks_of(metal, job_id)["job"])
    metal.run_until_idle()
    metal.ecs.start(tasks_of(metal, job_id)["job"], address="10.0.0.7")
    metal.advance(10)
    nodes = [task for part, task in tasks_of(metal, job_id).items() if part != "job"]
    others = launched(metal, 1)
    for task in nodes:
        metal.ecs.place(task)
    metal.calls.clear()
    metal.deliver_messages()
    assert metal.calls.count("dynamodb.BatchGetItem") == 1, "figures, and no rows of nodes"
    metal.run_until_idle()
    assert metal.capacity("metal").starting == 1
    end(metal, job_id, nodes)
    finish_all(metal, others)
    assert metal.capacity("metal").starting == 0


def end(world: World, job_id: str, nodes: list[Task]) -> None:
    for task in nodes:
        world.ecs.start(task)
    world.run_until_idle()
    world.ecs.finish(tasks_of(world, job_id)["job"])
    world.run_until_idle()


def test_a_task_that_waits_minutes_for_its_instance_is_neither_lost_nor_launched_again() -> None:
    """Instances take minutes to boot; ECS has the task all the while."""
    with make_world() as world:
        make_stage_on_instances(world)
        jobs = launched(world, 12)
        launches = world.calls.count("ecs.RunTask")
        assert {task.status for task in world.ecs.live()} == {"PROVISIONING"}
        sweep(world, minutes=20)
        assert statuses(world, jobs) == ["STARTING"] * 12
        assert world.calls.count("ecs.RunTask") == launches
        assert {world.job(job).attempt for job in jobs} == {1}
        finish_all(world, jobs)


def test_nodes_that_wait_minutes_for_their_instances_are_not_launched_again(world: World) -> None:
    make_stage_on_instances(world)
    job_id = submit_multinode_job(world)
    world.run_until_idle()
    sweep(world, minutes=10)
    world.ecs.start(tasks_of(world, job_id)["job"], address="10.0.0.7")
    world.advance(10)
    sweep(world, minutes=20)
    assert len(tasks_of(world, job_id)) == 3
    assert world.calls.count("ecs.RunTask") == 3
    end(world, job_id, [task for part, task in tasks_of(world, job_id).items() if part != "job"])
