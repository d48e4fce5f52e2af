"""A whole agent with real processes, and fakes of the AWS services."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batchyard.agent import sender
from batchyard.agent.plan import Json

from .world import CLUSTER, TASK_PREFIX, World, container, eventually, task_definition


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    with world.agent():
        yield world


def shell(script: str, **more: Any) -> Json:
    """Return a task of one container that runs a shell script."""
    return task_definition(container(command=["sh", "-c", script], **more))


def test_a_task_reports_running_then_stopped(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # Without the linger no event waits for the one that would overtake it.
    monkeypatch.setattr(sender, "_FOLLOWED_SECONDS", 0.0)
    task_id = world.ecs.run_task(shell("echo out; echo err >&2; sleep 0.2; exit 3"))
    stopped = world.stopped(task_id)
    assert stopped["containers"][0]["exitCode"] == 3
    assert stopped["stopCode"] == "EssentialContainerExited"
    assert [event["detail"]["lastStatus"] for event in world.queue.events] == ["RUNNING", "STOPPED"]
    # The event comes after the log, so the log is whole here.
    assert world.logs.text(task_id) == ["out", "err"]
    eventually(lambda: world.ecs.record(task_id)["lastStatus"] == "STOPPED")
    eventually(lambda: world.journal.entries() == [])


def test_a_process_sees_only_the_path_of_the_host_environment(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAK", "1")
    task_id = world.ecs.run_task(
        task_definition(
            container(
                command=["env"],
                environment=[{"name": "MINE", "value": "2"}],
                secrets=[{"name": "TOKEN", "valueFrom": "name"}],
            )
        )
    )
    world.stopped(task_id)
    environment = dict(line.split("=", 1) for line in world.logs.text(task_id))
    assert environment["PATH"] == os.environ["PATH"]
    assert (environment["MINE"], environment["TOKEN"]) == ("2", "NAME")
    assert sorted(environment) == [
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_BATCH",
        "AWS_EXECUTION_ENV",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "HOME",
        "HOSTNAME",
        "MINE",
        "PATH",
        "TOKEN",
    ]


def test_each_task_works_in_a_directory_of_its_own_which_is_removed(world: World) -> None:
    task_id = world.ecs.run_task(shell("ls -A; pwd; echo x > left"))
    world.stopped(task_id)
    (directory,) = world.logs.text(task_id)
    eventually(lambda: not Path(directory).exists())


def test_a_missing_command_fails_to_start_as_docker_says(world: World) -> None:
    stopped = world.stopped(world.ecs.run_task(task_definition(container(command=["nosuch"]))))
    assert stopped["stopCode"] == "TaskFailedToStart"
    assert stopped["stoppedReason"] == "Task failed to start"
    assert stopped["containers"][0]["reason"].startswith("CannotStartContainerError: ")
    assert 'exec: "nosuch": executable file not found' in stopped["containers"][0]["reason"]
    assert "exitCode" not in stopped["containers"][0]
    assert "startedAt" not in stopped


def test_stop_task_sends_sigterm(world: World) -> None:
    task_id = world.ecs.run_task(shell("echo up; exec sleep 100"))
    world.running(task_id)
    world.ecs.stop_task(CLUSTER, TASK_PREFIX + task_id, "enough")
    stopped = world.stopped(task_id)
    assert (stopped["stopCode"], stopped["stoppedReason"]) == ("UserInitiated", "enough")
    assert stopped["containers"][0]["exitCode"] == 143


def test_a_container_may_handle_sigterm_itself(world: World) -> None:
    script = "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.05; done"
    task_id = world.ecs.run_task(shell(script))
    eventually(lambda: world.queue.events and world.logs.text(task_id) == ["up"])
    world.ecs.stop_task(CLUSTER, TASK_PREFIX + task_id, "enough")
    assert world.stopped(task_id)["containers"][0]["exitCode"] == 5
    assert world.logs.text(task_id)[-1] == "bye"


def test_sigkill_follows_the_stop_timeout(world: World) -> None:
    script = "trap '' TERM; echo up; while :; do sleep 0.05; done"
    task_id = world.ecs.run_task(shell(script, stopTimeout=1))
    eventually(lambda: world.queue.events and world.logs.text(task_id) == ["up"])
    world.ecs.stop_task(CLUSTER, TASK_PREFIX + task_id, "enough")
    assert world.stopped(task_id)["containers"][0]["exitCode"] == 137


def test_what_a_container_left_running_dies_with_it(world: World) -> None:
    task_id = world.ecs.run_task(shell("sleep 1000 & echo $!"))
    world.stopped(task_id)
    (pid,) = world.logs.text(task_id)
    eventually(lambda: not _runs(int(pid)))


def test_an_essential_exit_stops_the_side_container(world: World) -> None:
    task_id = world.ecs.run_task(
        task_definition(
            container(command=["sh", "-c", "exit 4"]),
            container("side", command=["sleep", "100"], essential=False),
        )
    )
    codes = {one["name"]: one["exitCode"] for one in world.stopped(task_id)["containers"]}
    assert codes == {"default": 4, "side": 143}


def test_a_container_waits_for_the_health_of_another(world: World) -> None:
    check = {"command": ["CMD-SHELL", "test -f ready"], "interval": 0.05}
    task_id = world.ecs.run_task(
        task_definition(
            container(
                "db",
                command=["sh", "-c", "sleep 0.2; touch ready; echo ready; exec sleep 100"],
                essential=False,
                healthCheck=check,
            ),
            container(dependsOn=[{"containerName": "db", "condition": "HEALTHY"}]),
        )
    )
    assert [one["exitCode"] for one in world.stopped(task_id)["containers"]] == [143, 0]
    assert world.logs.text(task_id, "db") == ["ready"]


def test_many_tasks_all_end_once(world: World) -> None:
    ids = [world.ecs.run_task(task_definition(container())) for _ in range(40)]
    for task_id in ids:
        assert world.stopped(task_id)["containers"][0]["exitCode"] == 0
    stopped = [e for e in world.queue.events if e["detail"]["lastStatus"] == "STOPPED"]
    assert len(stopped) == 40


def test_no_task_is_lost_when_calls_of_ecs_fail_sometimes(world: World) -> None:
    for _ in range(5):
        world.ecs.failures += 2
        task_id = world.ecs.run_task(task_definition(container()))
        assert world.stopped(task_id)["containers"][0]["exitCode"] == 0


def test_an_invalid_definition_fails_and_delays_no_other_task(world: World) -> None:
    after = [{"containerName": "default", "condition": "NEVER"}]
    bad = world.ecs.run_task(task_definition(container(dependsOn=after)))
    good = world.ecs.run_task(task_definition(container()))
    assert world.stopped(bad)["stopCode"] == "TaskFailedToStart"
    assert world.stopped(good)["containers"][0]["exitCode"] == 0


def test_a_task_stopped_at_once_is_reported_whether_it_was_seen_or_not(world: World) -> None:
    task_id = world.ecs.run_task(shell("exec sleep 100"))
    world.ecs.stop_task(CLUSTER, TASK_PREFIX + task_id, "early")
    stopped = world.stopped(task_id)
    assert (stopped["stopCode"], stopped["stoppedReason"]) == ("UserInitiated", "early")


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
