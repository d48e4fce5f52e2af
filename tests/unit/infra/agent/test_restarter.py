"""The restarter starts its command again, and ends it on request."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from batchyard.agent import restarter

DEADLINE_SECONDS = 10.0


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restarter, "SHORTEST_PAUSE_SECONDS", 0.01)


def await_lines(path: Path, count: int) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not path.exists() or len(path.read_text().splitlines()) < count:
        assert time.monotonic() < deadline, "it was not started often enough"
        time.sleep(0.01)


def in_background(program: str) -> tuple[threading.Thread, threading.Event, list[int]]:
    stop, codes = threading.Event(), list[int]()
    command = [sys.executable, "-c", program]

    def start() -> "subprocess.Popen[bytes]":
        return subprocess.Popen(command)

    thread = threading.Thread(target=lambda: codes.append(restarter.keep(start, stop)))
    thread.start()
    return thread, stop, codes


def test_a_command_that_ends_is_started_again(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    thread, stop, codes = in_background(f"open({str(runs)!r}, 'a').write('run\\n'); exit(7)")
    await_lines(runs, 3)
    stop.set()
    thread.join(DEADLINE_SECONDS)
    # The stop may come while the command runs or between two runs: both end it.
    assert codes in ([7], [0])


def test_a_stop_request_ends_the_command(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    thread, stop, codes = in_background(
        f"import time; open({str(runs)!r}, 'a').write('run\\n'); time.sleep(60)"
    )
    await_lines(runs, 1)
    stop.set()
    thread.join(DEADLINE_SECONDS)
    assert codes == [0]
    assert len(runs.read_text().splitlines()) == 1
