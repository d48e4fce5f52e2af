"""What a round of the sweeper costs, and how it goes on when its time is up."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.core.scheduling.snapshot import Capacity
from chalicelib.core.states import JobStatus
from chalicelib.engine.sweep import pages
from chalicelib.engine.sweep.parts import ROUND_LIMIT_MS, QueuePart, Step, part_from_detail
from tests.support.arrays import array
from tests.support.drivers import run_to_the_end
from tests.support.fake_ecs import Task
from tests.support.scenes import (
    finish,
    make_definition,
    make_environment,
    make_queue,
    make_stage,
    running,
    submit,
    sweep,
)
from tests.support.world import World
from tests.support.world import world as make_world

# ECS refills 20 calls a second for reading tasks, beside 100 at once.
ECS_CALLS_A_MINUTE = 100 + 20 * 60


def bodies(world: World) -> list[dict[str, Any]]:
    return [json.loads(message.body) for message in world.sqs.sweeps.messages]


def test_an_idle_stack_costs_a_few_small_reads_a_minute(world: World) -> None:
    make_stage(world)
    job_id = running(world)
    finish(world, job_id)
    sweep(world)
    world.calls.clear()

    sweep(world)

    assert Counter(world.calls) == {"dynamodb.Query": 8, "dynamodb.BatchGetItem": 1}
    assert world.sqs.sweeps.messages == [], "no message, and no further invocation"


def test_each_queue_with_work_and_each_group_of_environments_is_a_message(world: World) -> None:
    make_stage(world)
    make_environment(world, "other")
    make_queue(world, "beside")
    make_queue(world, "apart", environments=("other",))
    make_queue(world, "idle", environments=("other",))
    first, second = running(world), running(world, queue="apart")
    world.begin_sweep()
    parts = bodies(world)
    assert [part["queue"] for part in parts if "queue" in part] == ["apart", "queue"]
    counted = [part["capacities"] for part in parts if "capacities" in part]
    assert sorted(counted) == [["apart", "idle"], ["beside", "queue"]]
    for job_id in (first, second):
        finish(world, job_id)


def test_ten_thousand_running_jobs_and_500_slow_starts_fit_one_minute(quick: World) -> None:
    """A model of what ECS is asked: the rows and tasks are made, not run."""
    make_stage(quick, max_vcpus=20_000)
    running_jobs = _many(quick, 10_000, runs=True)
    _many(quick, 500, runs=False)
    quick.now_ms += 95_000
    quick.calls.clear()
    quick.sweep()
    asked = Counter(call for call in quick.calls if call.startswith("ecs."))
    assert asked == {"ecs.DescribeTasks": 205, "ecs.ListTasks": 105}
    assert asked.total() < ECS_CALLS_A_MINUTE / 4
    assert "states.StartExecution" not in quick.calls, "slow is not lost"
    reads = Counter(call for call in quick.calls if call.startswith("dynamodb."))
    assert reads.total() < 100
    assert quick.job(running_jobs[0]).status == "RUNNING"


def _many(world: World, count: int, *, runs: bool) -> list[str]:
    """Put jobs and their tasks where they would be after their launch."""
    memory = world.memory
    assert memory is not None
    job_id = submit(world, "model")
    world.run_until_idle()
    model, task = world.job(job_id), world.task_of(job_id)
    if runs:
        world.ecs.start(task)
        world.run_until_idle()
        model = world.job(job_id)
    ids = [job_id]
    for number in range(1, count):
        name = f"{number:08x}-{int(runs):04d}-4000-9000-000000000000"
        arn = f"{task.arn}{int(runs)}{number}"
        job = replace(
            model,
            job_id=name,
            created_at_ms=model.created_at_ms + number,
            task_arn=arn if runs else None,
        )
        assert job.status is (JobStatus.RUNNING if runs else JobStatus.STARTING)
        memory.jobs[job.key] = job
        request = task.request | {"startedBy": str(job.fence), "clientToken": str(job.fence)}
        world.ecs.tasks[arn] = Task(
            arn=arn,
            cluster=task.cluster,
            request=request,
            status=task.status,
            containers={"default": {}},
        )
        ids.append(name)
    used = world.capacity("fargate")
    memory.capacities["fargate"] = Capacity(
        environment="fargate",
        cpu_units=used.cpu_units + 1024 * (count - 1),
        tasks=used.tasks + count - 1,
        starting=used.starting + (0 if runs else count - 1),
    )
    return ids


def test_a_few_slow_starts_are_asked_for_one_by_one(world: World) -> None:
    make_stage(world)
    jobs = [submit(world) for _ in range(2)]
    world.run_until_idle()
    world.now_ms += 95_000
    world.calls.clear()
    world.sweep()
    asked = Counter(call for call in world.calls if call.startswith("ecs."))
    assert asked == {"ecs.ListTasks": 4, "ecs.DescribeTasks": 1}
    run_to_the_end(world, jobs, lambda fence: 0)


def test_many_lost_launches_are_made_again_in_one_round(quick: World) -> None:
    make_stage(quick, max_vcpus=64)
    jobs = [submit(quick) for _ in range(30)]
    quick.deliver_stream()
    quick.deliver_wakes()
    quick.deliver_stream()
    quick.machines.running.clear()
    sweep(quick, minutes=2)
    assert len(quick.ecs.live()) == 30
    run_to_the_end(quick, jobs, lambda fence: 0)


def test_of_many_placements_without_a_task_all_are_given_back_in_the_end(quick: World) -> None:
    """Their tasks have stopped, or are gone, and no event said so."""
    make_stage(quick, max_vcpus=64)
    jobs = [submit(quick, retryStrategy={"attempts": 2}) for _ in range(30)]
    quick.run_until_idle()
    for number, task in enumerate(quick.ecs.live()):
        if number % 2:
            quick.ecs.lose(task)
        else:
            quick.ecs.fail_to_start(task, "no image")
    quick.sqs.task_events.messages.clear()
    sweep(quick, minutes=14)
    attempts = Counter(quick.job(job_id).attempt for job_id in jobs)
    assert attempts == {1: 15, 2: 15}
    assert len(quick.ecs.live()) == 30
    run_to_the_end(quick, jobs, lambda fence: 0)


def test_a_part_whose_time_is_up_sends_for_the_rest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "JOBS_PAGE", 2)
    monkeypatch.setattr(pages, "CHILD_RANGES_PAGE", 1)
    make_stage(world, max_vcpus=64)
    jobs = [running(world) for _ in range(5)]
    arrays = [array(world, 2) for _ in range(3)]
    world.run_until_idle()
    for task in world.ecs.live():
        world.ecs.lose(task)
    world.left_ms = 1_000
    world.now_ms += 95_000
    world.begin_sweep()
    rounds = 0
    while world.deliver_sweeps():
        rounds += 1
    assert rounds > len(Step) + 2
    assert {world.job(job_id).status for job_id in jobs} == {"FAILED"}
    world.left_ms = 10_000
    run_to_the_end(world, arrays, lambda fence: 0)


def test_a_round_that_comes_too_late_is_left_to_the_next(world: World) -> None:
    make_stage(world)
    job_id = running(world)
    world.begin_sweep()
    world.now_ms += 61_000
    world.calls.clear()
    while world.deliver_sweeps():
        pass
    assert world.calls == []
    finish(world, job_id)


def test_a_queue_that_is_never_through_begins_anew(world: World) -> None:
    make_stage(world)
    job_id = running(world)
    part = QueuePart(queue="queue", at_ms=world.now_ms - ROUND_LIMIT_MS, step=Step.RUNNABLE)
    world.ports.messages.send_sweeps([part.detail()])
    world.calls.clear()
    world.deliver_sweeps()
    assert world.calls == []
    finish(world, job_id)


def test_a_part_arrives_as_it_was_sent() -> None:
    part = QueuePart(queue="queue", at_ms=5, step=Step.CHILDREN, after="job#3")
    assert part_from_detail(json.loads(json.dumps(part.detail()))) == part


def test_a_sweep_that_is_delivered_twice_changes_nothing(world: World) -> None:
    make_stage(world)
    job_id = running(world)
    world.ecs.lose(world.task_of(job_id))
    world.now_ms += 95_000
    world.begin_sweep()
    twice = list(world.sqs.sweeps.messages)
    for message in twice:
        world.deliver_sweeps([message], again=True)
        world.deliver_sweeps([message])
    world.run_until_idle()
    assert world.detail(job_id)["status"] == "FAILED"
    assert len(world.detail(job_id)["attempts"]) == 1


def test_capacity_is_counted_over_all_queues_that_share_an_environment(world: World) -> None:
    make_stage(world, max_vcpus=8)
    make_queue(world, "second")
    jobs = [running(world), running(world, queue="second")]
    wrong = Capacity(environment="fargate", cpu_units=0, tasks=7, starting=9)
    assert world.ports.lanes.correct_capacity(world.capacity("fargate"), wrong)
    sweep(world)
    right = Capacity(environment="fargate", cpu_units=2048, tasks=2, starting=0)
    assert world.capacity("fargate") == right
    for job_id in jobs:
        finish(world, job_id)


def test_figures_that_drifted_while_nothing_runs_are_corrected(world: World) -> None:
    make_stage(world)
    wrong = Capacity(environment="fargate", cpu_units=1024, tasks=1, starting=0)
    assert world.ports.lanes.correct_capacity(None, wrong)
    sweep(world)
    assert world.capacity("fargate") == Capacity(environment="fargate")


def test_a_queue_that_was_attached_since_the_round_began_is_not_left_out_of_the_count() -> None:
    with make_world(in_memory=True) as world:
        make_environment(world, max_vcpus=8)
        make_queue(world)
        make_definition(world)
        first = running(world)
        world.begin_sweep()
        make_queue(world, "late")
        second = running(world, queue="late")
        before = world.capacity("fargate")
        while world.deliver_sweeps():
            pass
        assert world.capacity("fargate") == before
        for job_id in (first, second):
            finish(world, job_id)
