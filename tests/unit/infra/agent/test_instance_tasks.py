"""Tasks that ECS places on instances: they wait, are PENDING, and lose their instance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from batchyard.agent.finder import TaskFinder
from batchyard.agent.plan import Json

from .world import TASK_PREFIX, FakeEcs, World, container, eventually, task_definition

ON_INSTANCE = {"launchType": "EC2", "capacityProviderName": "by_main"}


def shell(script: str) -> Json:
    return task_definition(container(command=["/bin/sh", "-c", script]))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    with world.agent():
        yield world


def events_of(world: World, task_id: str) -> list[str]:
    return [
        event["detail"]["lastStatus"]
        for event in world.queue.events
        if event["resources"] == [TASK_PREFIX + task_id]
    ]


def test_a_task_that_waits_for_an_instance_is_not_run() -> None:
    ecs = FakeEcs()
    finder = TaskFinder(ecs, cluster_prefix="batchyard-", monotonic=lambda: 100.0)
    waiting = [ecs.run_task(shell("true"), lastStatus="PROVISIONING") for _ in range(3)]
    assert finder.look([]).new == []
    ecs.place(waiting[1])
    assert [task["taskArn"] for task in finder.look([]).new] == [TASK_PREFIX + waiting[1]]
    assert finder.look([]).new == []


def test_hundreds_that_wait_are_described_when_one_of_them_is_placed_only() -> None:
    ecs = FakeEcs()
    finder = TaskFinder(ecs, cluster_prefix="batchyard-", monotonic=lambda: 100.0)
    waiting = [ecs.run_task(shell("true"), lastStatus="PROVISIONING") for _ in range(250)]
    finder.look([])
    described: list[int] = []
    describe = ecs.describe_tasks

    def counted(cluster_arn: str, task_arns: list[str]) -> list[Json]:
        described.append(len(task_arns))
        return describe(cluster_arn, task_arns)

    ecs.describe_tasks = counted  # type: ignore[method-assign, assignment]
    finder.look([])
    assert described == []
    ecs.place(waiting[0])
    assert len(finder.look([]).new) == 1
    assert described == [100]


def test_a_task_stopped_while_it_waited_is_reported_with_its_record(world: World) -> None:
    task_id = world.ecs.run_task(shell("true"), lastStatus="PROVISIONING", **ON_INSTANCE)
    world.ecs.end(TASK_PREFIX + task_id, "TaskFailedToStart", "EMPTY CAPACITY PROVIDER")
    stopped = world.stopped(task_id)
    assert stopped["stopCode"] == "TaskFailedToStart"
    assert stopped["stoppedReason"] == "EMPTY CAPACITY PROVIDER"
    assert "startedAt" not in stopped


def test_ecs_sees_a_task_on_an_instance_pending_running_and_stopped(world: World) -> None:
    task_id = world.ecs.run_task(shell("sleep 0.5"), lastStatus="PENDING", **ON_INSTANCE)
    world.stopped(task_id)
    assert events_of(world, task_id)[-2:] == ["RUNNING", "STOPPED"]
    eventually(lambda: len(world.ecs.submitted) == 2)
    arn = TASK_PREFIX + task_id
    assert world.ecs.submitted == [(arn, "RUNNING"), (arn, "STOPPED")]


def test_a_task_of_fargate_is_reported_to_ecs_by_its_end_alone(world: World) -> None:
    task_id = world.ecs.run_task(shell("sleep 0.1"))
    world.stopped(task_id)
    eventually(lambda: world.ecs.record(task_id)["lastStatus"] == "STOPPED")
    assert world.ecs.submitted == []
    assert "PENDING" not in events_of(world, task_id)


def test_an_interrupted_spot_instance_gives_sigterm_and_the_code_of_the_loss(world: World) -> None:
    script = "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done"
    task_id = world.ecs.run_task(shell(script), lastStatus="PENDING", **ON_INSTANCE)
    eventually(lambda: world.logs.text(task_id) == ["up"])
    reason = "Host EC2 (instance i-0123456789abcdef0) terminated."
    world.ecs.end(TASK_PREFIX + task_id, "SpotInterruption", reason)
    stopped = world.stopped(task_id)
    assert (stopped["stopCode"], stopped["stoppedReason"]) == ("SpotInterruption", reason)
    assert stopped["containers"][0]["exitCode"] == 7


def test_a_lost_host_kills_its_containers_and_nobody_learns_their_exit_codes(world: World) -> None:
    script = "trap 'echo asked' TERM; echo up; while :; do sleep 0.05; done"
    task_id = world.ecs.run_task(shell(script), lastStatus="PENDING", **ON_INSTANCE)
    eventually(lambda: world.logs.text(task_id) == ["up"])
    reason = "Host EC2 (instance i-0123456789abcdef0) terminated."
    world.ecs.end(TASK_PREFIX + task_id, "TerminationNotice", reason)
    stopped = world.stopped(task_id)
    assert (stopped["stopCode"], stopped["stoppedReason"]) == ("TerminationNotice", reason)
    assert "exitCode" not in stopped["containers"][0]
    assert world.logs.text(task_id) == ["up"]
