"""What a new agent makes of what an earlier one left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchyard.agent.journal import Journal, JournalEntry
from batchyard.agent.orphans import started_ticks
from batchyard.agent.plan import Json
from batchyard.agent.runtime import ContainerStarted

from .world import CLUSTER, TASK_PREFIX, World, container, eventually, task_definition

# Marked processes are looked for on the whole machine, where the same test may run twice at once.
MARK = uuid.uuid4().hex[:12]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def left_over() -> Iterator[subprocess.Popen[bytes]]:
    """Start a container's process whose agent was killed."""
    process = subprocess.Popen(["sleep", "1000"], env={"HOSTNAME": MARK}, start_new_session=True)
    yield process
    process.kill()
    process.wait()


def journalled(world: World, task_id: str, **more: object) -> JournalEntry:
    """Write what an earlier agent knew of a task."""
    entry = JournalEntry(task=world.ecs.record(task_id), **more)  # type: ignore[arg-type]
    world.journal.write(entry)
    return entry


def sleeping_task(world: World, **more: object) -> str:
    """Return a task that runs for a long time."""
    return world.ecs.run_task(task_definition(container(command=["sleep", "100"])), **more)


def test_a_task_of_an_earlier_agent_has_lost_its_host(
    world: World, left_over: subprocess.Popen[bytes]
) -> None:
    task_id = sleeping_task(world, launchType="EC2")
    made = ContainerStarted(
        runtime_id="unmarked",
        pid=left_over.pid,
        pid_started_ticks=started_ticks(left_over.pid),
    )
    journalled(world, task_id, containers=[made], started_at_ms=1_767_323_045_678)
    with world.agent():
        stopped = world.stopped(task_id)
        assert stopped["stoppedReason"].startswith("Host EC2 (instance i-")
        assert "exitCode" not in stopped["containers"][0]
        assert stopped["startedAt"] == "2026-01-02T03:04:05.678Z"
        assert left_over.wait(10) == -signal.SIGKILL
        eventually(lambda: world.ecs.record(task_id)["lastStatus"] == "STOPPED")
        eventually(lambda: world.journal.entries() == [])
    assert world.queue.of_task(task_id, "RUNNING") == []


def test_a_process_is_found_by_its_mark_when_its_pid_was_not_written_yet(
    world: World, left_over: subprocess.Popen[bytes]
) -> None:
    task_id = sleeping_task(world)
    journalled(world, task_id, containers=[ContainerStarted(runtime_id=MARK)])
    with world.agent():
        assert left_over.wait(10) == -signal.SIGKILL


def test_another_process_with_the_same_pid_is_left_alone(
    world: World, left_over: subprocess.Popen[bytes]
) -> None:
    task_id = sleeping_task(world)
    made = ContainerStarted(runtime_id="unmarked", pid=left_over.pid, pid_started_ticks=1)
    journalled(world, task_id, containers=[made])
    with world.agent():
        world.stopped(task_id)
    assert left_over.poll() is None


def test_an_end_that_was_recorded_but_not_reported_is_reported_as_it_was(world: World) -> None:
    task_id = sleeping_task(world)
    event = {"detail": {"taskArn": TASK_PREFIX + task_id, "lastStatus": "STOPPED"}}
    event["detail"] |= {"stoppedReason": "Essential container in task exited"}
    journalled(world, task_id, final_event=event)
    with world.agent():
        eventually(lambda: world.journal.entries() == [])
    assert world.queue.events == [event]


def test_a_stop_while_no_agent_ran_is_reported_with_its_reason(world: World) -> None:
    task_id = sleeping_task(world)
    journalled(world, task_id)
    world.ecs.stop_task(CLUSTER, TASK_PREFIX + task_id, "while you were away")
    with world.agent():
        stopped = world.stopped(task_id)
    assert stopped["stopCode"] == "UserInitiated"
    assert stopped["stoppedReason"] == "while you were away"


def test_a_task_that_no_agent_has_started_is_run(world: World) -> None:
    task_id = world.ecs.run_task(task_definition(container()))
    with world.agent():
        assert world.stopped(task_id)["containers"][0]["exitCode"] == 0


def test_an_agent_that_ends_stops_processes_and_leaves_the_report_to_the_next(world: World) -> None:
    script = ["sh", "-c", "echo $$; exec sleep 100"]
    with world.agent():
        task_id = world.ecs.run_task(task_definition(container(command=script)))
        eventually(lambda: world.running(task_id) and world.logs.text(task_id))
    (pid,) = world.logs.text(task_id)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)
    assert world.queue.of_task(task_id, "STOPPED") == []
    with world.agent():
        assert "maintenance" in world.stopped(task_id)["stoppedReason"]


def test_an_unreadable_entry_hides_no_other(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    task: Json = {"taskArn": TASK_PREFIX + "good"}
    journal.write(JournalEntry(task=task))
    (tmp_path / "bad.json").write_text("{")
    assert [entry.task_id for entry in journal.entries()] == ["good"]
    journal.forget("good")
    journal.forget("good")
    assert journal.entries() == []
