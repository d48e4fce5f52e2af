"""The keeper brings its command back, and ends with it when told to."""

import sys
import threading
import time
from pathlib import Path

import pytest

from batchyard.cloud import restarter as keeper

DEADLINE_SECONDS = 10.0


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "SHORTEST_PAUSE_SECONDS", 0.01)


def await_lines(path: Path, count: int) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not path.exists() or len(path.read_text().splitlines()) < count:
        assert time.monotonic() < deadline, "it was not started often enough"
        time.sleep(0.01)


def in_background(program: str) -> tuple[threading.Thread, threading.Event, list[int]]:
    told, codes = threading.Event(), list[int]()
    command = [sys.executable, "-c", program]
    thread = threading.Thread(target=lambda: codes.append(keeper.keep(command, told)))
    thread.start()
    return thread, told, codes


def test_a_command_that_ends_is_started_again(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    thread, told, codes = in_background(f"open({str(runs)!r}, 'a').write('run\\n'); exit(7)")
    await_lines(runs, 3)
    told.set()
    thread.join(DEADLINE_SECONDS)
    # Told while the command ran or while it did not: both are an end.
    assert codes in ([7], [0])


def test_told_to_end_it_ends_the_command(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    thread, told, codes = in_background(
        f"import time; open({str(runs)!r}, 'a').write('run\\n'); time.sleep(60)"
    )
    await_lines(runs, 1)
    told.set()
    thread.join(DEADLINE_SECONDS)
    assert codes == [0]
    assert len(runs.read_text().splitlines()) == 1
