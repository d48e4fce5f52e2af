"""Stopping stops what was started, all of it, and nothing else. Real processes."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from batchyard.cloud import processes
from batchyard.cloud.processes import Mark

DEADLINE_SECONDS = 10.0


def await_that(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def start(tmp_path: Path, program: str) -> Mark:
    return processes.start(
        [sys.executable, "-c", program],
        env={"PATH": os.environ["PATH"]},
        cwd=tmp_path,
        log=tmp_path / "log",
    )


def runs(pid: int) -> bool:
    """Return whether a process with this id runs, whatever its parent is."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def test_a_process_is_stopped(tmp_path: Path) -> None:
    mark = start(tmp_path, "import time; time.sleep(60)")
    assert processes.alive(mark)
    processes.stop(mark, patience_seconds=5)
    assert not processes.alive(mark)


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    mark = start(
        tmp_path,
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('deaf', flush=True); time.sleep(60)",
    )
    await_that(lambda: "deaf" in (tmp_path / "log").read_text())
    processes.KILL_PATIENCE_SECONDS, kept = 0.1, processes.KILL_PATIENCE_SECONDS
    try:
        processes.stop(mark, patience_seconds=0.1)
    finally:
        processes.KILL_PATIENCE_SECONDS = kept
    assert not processes.alive(mark)


def test_children_go_too_even_when_their_parent_is_gone(tmp_path: Path) -> None:
    mark = start(
        tmp_path,
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\n",
    )
    await_that(lambda: not processes.alive(mark))
    child = int((tmp_path / "log").read_text())
    assert runs(child)
    processes.stop(mark, patience_seconds=1)
    await_that(lambda: not runs(child))


def test_a_process_that_got_a_used_id_is_left_alone(tmp_path: Path) -> None:
    mark = start(tmp_path, "import time; time.sleep(60)")
    other = Mark(pid=mark.pid, started="of an earlier process")
    assert not processes.alive(other)
    processes.stop(other, patience_seconds=1)
    assert processes.alive(mark)
    processes.stop(mark, patience_seconds=5)


@pytest.mark.parametrize("text", ["out", "error"])
def test_the_output_of_a_process_is_in_the_log(tmp_path: Path, text: str) -> None:
    stream = {"out": "stdout", "error": "stderr"}[text]
    mark = start(tmp_path, f"import sys; sys.{stream}.write({text!r})")
    await_that(lambda: not processes.alive(mark))
    assert (tmp_path / "log").read_text() == text
