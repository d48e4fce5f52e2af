"""An agent that is killed: its containers go on, and its successor loses and repeats nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchyard.agent import spool
from batchyard.agent.journal import JournalEntry
from batchyard.agent.plan import Json
from batchyard.agent.runtime import ContainerStarted

from .world import CLUSTER, TASK_PREFIX, World, container, eventually, task_definition

SHORT_TASKS = 60
KILLS = 5


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "state")
    yield world
    world.lose_keeper()


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """Return a file that holds up the scripts which `waiting` makes, until it exists."""
    return tmp_path / "gate"


def waiting(gate: Path, after: str = "", *, before: str = "echo began") -> Json:
    """Return a container that does one thing, waits for the gate, and does another."""
    script = f"{before}; until test -e {gate}; do sleep 0.02; done; {after}"
    return container(command=["sh", "-c", script])


def exit_codes(stopped: Json) -> list[int | None]:
    return [one.get("exitCode") for one in stopped["containers"]]


def test_a_container_goes_on_and_is_reported_by_the_next_agent(world: World, gate: Path) -> None:
    with world.agent(is_killed=True):
        task_id = world.ecs.run_task(task_definition(waiting(gate, "echo ended; exit 7")))
        eventually(lambda: world.logs.text(task_id) == ["began"])
    with world.agent():
        gate.touch()
        stopped = world.stopped(task_id)
        assert exit_codes(stopped) == [7]
        assert stopped["stoppedReason"] == "Essential container in task exited"
        assert world.logs.text(task_id) == ["began", "ended"]
        eventually(lambda: world.journal.entries() == [])


def test_what_ended_while_no_agent_ran_is_reported_as_it_ended(world: World, gate: Path) -> None:
    done = gate.with_name("done")
    after = f"echo ended; touch {done}; exit 3"
    with world.agent(is_killed=True):
        task_id = world.ecs.run_task(task_definition(waiting(gate, after)))
        eventually(lambda: world.running(task_id))
    gate.touch()
    eventually(done.exists)
    with world.agent():
        assert exit_codes(world.stopped(task_id)) == [3]
        assert world.logs.text(task_id) == ["began", "ended"]


def test_many_short_tasks_run_once_each_however_often_the_agent_is_killed(
    world: World, tmp_path: Path
) -> None:
    markers = tmp_path / "markers"
    markers.mkdir()

    def run_tasks(count: int) -> list[str]:
        script = f"echo began; echo $$ >> {markers}/$HOSTNAME; echo $TASK >> {markers}/all; exit 5"
        return [
            world.ecs.run_task(task_definition(container(command=["sh", "-c", script])))
            for _ in range(count)
        ]

    tasks = []
    for kill in range(KILLS):
        with world.agent(is_killed=True):
            tasks += run_tasks(SHORT_TASKS // KILLS)
            # Later each time, so that starts, ends and reports are cut off.
            time.sleep(0.03 * kill)
    with world.agent():
        for task_id in tasks:
            assert exit_codes(world.stopped(task_id)) == [5], task_id
            assert world.logs.text(task_id) == ["began"], task_id
        eventually(lambda: world.journal.entries() == [])
    runs = [path.read_text().splitlines() for path in markers.iterdir() if path.name != "all"]
    assert [len(lines) for lines in runs] == [1] * len(tasks)


def test_the_last_lines_of_a_task_whose_end_is_journalled_are_still_sent(world: World) -> None:
    world.logs.failures = 1_000
    with world.agent(is_killed=True):
        script = ["sh", "-c", "echo one; echo two; exit 4"]
        task_id = world.ecs.run_task(task_definition(container(command=script)))
        eventually(lambda: any(entry.final_event for entry in world.journal.entries()))
        [entry] = world.journal.entries()
    world.logs.failures = 0
    with world.agent():
        stopped = world.stopped(task_id)
        assert exit_codes(stopped) == [4]
        assert world.logs.text(task_id) == ["one", "two"]
    events = [e for e in world.queue.events if e["detail"]["lastStatus"] == "STOPPED"]
    assert [event["id"] for event in events] == [(entry.final_event or {})["id"]]


def test_a_stop_while_no_agent_ran_stops_the_container(world: World, gate: Path) -> None:
    with world.agent(is_killed=True):
        task_id = world.ecs.run_task(task_definition(waiting(gate)))
        eventually(lambda: world.logs.text(task_id) == ["began"])
    world.ecs.stop_task(CLUSTER, TASK_PREFIX + task_id, "while you were away")
    with world.agent():
        stopped = world.stopped(task_id)
    assert (stopped["stopCode"], stopped["stoppedReason"]) == (
        "UserInitiated",
        "while you were away",
    )
    assert exit_codes(stopped) == [143]


def test_what_was_journalled_and_not_yet_started_is_started(world: World) -> None:
    with world.agent(is_killed=True):
        pass
    task_id = world.ecs.run_task(task_definition(container(command=["echo", "once"])))
    planned = ContainerStarted(runtime_id="planned00001", planned=True)
    record = world.ecs.record(task_id)
    world.journal.write(JournalEntry(task=record, session=world.session, containers=[planned]))
    with world.agent():
        assert exit_codes(world.stopped(task_id)) == [0]
    assert world.logs.text(task_id) == ["once"]


def test_what_was_planned_under_a_keeper_that_is_gone_may_have_run_and_is_not_started(
    world: World, tmp_path: Path
) -> None:
    script = ["sh", "-c", f"echo run >> {tmp_path}/runs"]
    task_id = world.ecs.run_task(task_definition(container(command=script)))
    planned = ContainerStarted(runtime_id="planned00001", planned=True)
    record = world.ecs.record(task_id)
    world.journal.write(JournalEntry(task=record, session="another", containers=[planned]))
    with world.agent():
        assert "maintenance" in world.stopped(task_id)["stoppedReason"]
    assert not (tmp_path / "runs").exists()


def test_what_was_started_and_not_yet_journalled_so_is_not_started_again(
    world: World, gate: Path, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    with world.agent(is_killed=True):
        one = waiting(gate, "exit 9", before=f"echo run >> {runs}")
        task_id = world.ecs.run_task(task_definition(one))
        eventually(runs.exists)
        eventually(lambda: world.running(task_id))
    [entry] = world.journal.entries()
    [made] = entry.containers
    entry.containers = [ContainerStarted(runtime_id=made.runtime_id, planned=True)]
    world.journal.write(entry)
    with world.agent():
        gate.touch()
        assert exit_codes(world.stopped(task_id)) == [9]
    assert runs.read_text() == "run\n"


def test_without_its_keeper_too_a_task_has_lost_its_host(world: World, gate: Path) -> None:
    with world.agent(is_killed=True):
        task_id = world.ecs.run_task(task_definition(waiting(gate)))
        eventually(lambda: world.running(task_id))
    world.lose_keeper()
    with world.agent():
        stopped = world.stopped(task_id)
    assert exit_codes(stopped) == [None]
    assert "maintenance" in stopped["stoppedReason"]


def test_a_containers_end_is_known_until_that_of_its_task(world: World, gate: Path) -> None:
    helper = container("helper", ["sh", "-c", "exit 3"], essential=False)
    with world.agent(is_killed=True):
        task_id = world.ecs.run_task(task_definition(waiting(gate, "exit 0"), helper))
        eventually(lambda: world.running(task_id))
        eventually(lambda: world.logs.text(task_id) == ["began"])
    for _ in range(2):
        with world.agent(is_killed=True):
            pass
    with world.agent():
        gate.touch()
        assert exit_codes(world.stopped(task_id)) == [0, 3]


def test_a_container_that_waits_for_another_is_started_by_the_next_agent(
    world: World, gate: Path
) -> None:
    first = waiting(gate, "exit 0") | {"name": "first", "essential": False}
    needs = [{"containerName": "first", "condition": "SUCCESS"}]
    second = container("second", ["echo", "after"], dependsOn=needs)
    with world.agent(is_killed=True):
        task_id = world.ecs.run_task(task_definition(first, second))
        eventually(lambda: world.logs.text(task_id, "first") == ["began"])
    with world.agent():
        gate.touch()
        assert exit_codes(world.stopped(task_id)) == [0, 0]
    assert world.logs.text(task_id, "second") == ["after"]


def test_a_health_check_goes_on(world: World, gate: Path) -> None:
    check = {"command": ["CMD", "test", "-e", str(gate)], "interval": 0.02, "retries": 1_000_000}
    first = container("first", ["sleep", "100"], healthCheck=check, essential=False)
    needs = [{"containerName": "first", "condition": "HEALTHY"}]
    second = container("second", ["true"], dependsOn=needs)
    with world.agent(is_killed=True):
        task_id = world.ecs.run_task(task_definition(first, second))
        eventually(lambda: any(e.containers[0].pid for e in world.journal.entries()))
    with world.agent():
        gate.touch()
        assert exit_codes(world.stopped(task_id)) == [143, 0]


def test_of_a_long_output_nothing_is_sent_twice(
    world: World, gate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "LONGEST_BYTES", 10)
    with world.agent(is_killed=True):
        one = waiting(gate, "echo last", before="for n in 1 2 3 4 5 6 7 8; do echo line $n; done")
        task_id = world.ecs.run_task(task_definition(one))
        eventually(lambda: len(world.logs.text(task_id)) == 8)
    with world.agent():
        gate.touch()
        world.stopped(task_id)
    assert world.logs.text(task_id) == [*(f"line {n}" for n in range(1, 9)), "last"]


def test_nothing_is_left_of_a_task_that_has_ended(world: World, gate: Path) -> None:
    with world.agent(is_killed=True):
        task_id = world.ecs.run_task(task_definition(waiting(gate)))
        eventually(lambda: world.running(task_id))
    with world.agent():
        gate.touch()
        world.stopped(task_id)
    folders = [world.state_dir / name for name in ("tasks", "outputs", "scratch")]
    eventually(lambda: not any(os.listdir(folder) for folder in folders))


def test_other_users_see_no_environment_and_no_output(world: World, gate: Path) -> None:
    with world.agent():
        task_id = world.ecs.run_task(task_definition(waiting(gate)))
        eventually(lambda: world.running(task_id))
        for folder in ("tasks", "outputs"):
            assert (world.state_dir / folder).stat().st_mode & 0o077 == 0
        gate.touch()
        world.stopped(task_id)
