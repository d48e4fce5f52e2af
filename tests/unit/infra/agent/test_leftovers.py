"""What is cleared away of a killed agent, when no other follows."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchyard.agent import leftovers
from batchyard.agent.journal import Journal, JournalEntry
from batchyard.agent.orphans import started_ticks
from batchyard.agent.runtime import ContainerStarted

from .world import eventually

# Marked processes are looked for on the whole machine, where the same test may run twice at once.
RUNTIME_ID = uuid.uuid4().hex[:12]


@pytest.fixture
def containers() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start a container's process, one that escaped from it, and one that is not the agent's."""
    started = [
        subprocess.Popen(["sleep", "1000"], env={"HOSTNAME": name}, start_new_session=True)
        for name in ("", RUNTIME_ID, "another")
    ]
    yield started
    for process in started:
        process.kill()
        process.wait()


def test_containers_of_the_journal_are_ended_and_no_others(
    tmp_path: Path, containers: list[subprocess.Popen[bytes]]
) -> None:
    main, escaped, other = containers
    made = ContainerStarted(
        runtime_id=RUNTIME_ID, pid=main.pid, pid_started_ticks=started_ticks(main.pid)
    )
    task = {"taskArn": "arn:aws:ecs:us-east-1:000000000000:task/batchyard_x/1"}
    Journal(tmp_path / "tasks").write(JournalEntry(task=task, containers=[made]))
    (tmp_path / "scratch" / "1").mkdir(parents=True)
    leftovers.clear(tmp_path)
    eventually(lambda: main.poll() is not None and escaped.poll() is not None)
    assert other.poll() is None
    assert not (tmp_path / "scratch" / "1").exists()


def test_without_a_journal_nothing_is_touched(tmp_path: Path) -> None:
    leftovers.clear(tmp_path)
    assert not (tmp_path / "scratch").exists()
