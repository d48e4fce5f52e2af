"""Starting processes that outlive the command, and later stopping exactly those.

A process is identified by its id and its start time, because ids are reused. Each one leads its own
process group; stopping it stops the group, and with it all that the process started.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
POLL_SECONDS = 0.05
KILL_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The identity of a process: its id, and its start time because ids are reused."""

    pid: int
    started: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    pid: int
    group: int
    started: str


def start(command: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> Mark:
    """Start a process in its own group, with its output appended to the log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _children.append(process)
    entry = _table().get(process.pid)
    return Mark(pid=process.pid, started=entry.started if entry else "gone")


def alive(mark: Mark) -> bool:
    """Return whether this process still runs."""
    entry = _table().get(mark.pid)
    return entry is not None and entry.started == mark.started


def stop(mark: Mark, *, patience_seconds: float) -> None:
    """Send SIGTERM to the process, then to its group; kill what is left after the patience."""
    if alive(mark):
        _send(os.kill, mark.pid, signal.SIGTERM)
        _wait(lambda: not alive(mark), patience_seconds)
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if not _group_left(mark):
            return
        _send(os.killpg, mark.pid, sign)
        _wait(lambda: not _group_left(mark), KILL_PATIENCE_SECONDS)


# Our own children remain zombies until they are polled.
_children: list["subprocess.Popen[bytes]"] = []


def _group_left(mark: Mark) -> bool:
    """Return whether the process or another one of its group still runs."""
    table = _table()
    leader = table.get(mark.pid)
    if leader is not None and leader.started != mark.started:
        # The id was reused for another process, which means that the group was empty.
        return False
    return any(entry.group == mark.pid for entry in table.values())


def _send(function: Callable[[int, int], None], target: int, sign: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        function(target, sign)


def _wait(done: Callable[[], bool], patience_seconds: float) -> None:
    deadline = time.monotonic() + patience_seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _table() -> dict[int, _Entry]:
    """Return all processes that run, by id; zombies are left out."""
    for child in _children:
        child.poll()
    return _table_of_proc() if PROC.joinpath("self", "stat").exists() else _table_of_ps()


def _table_of_proc() -> dict[int, _Entry]:
    table = {}
    for folder in PROC.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            # The name is in parentheses and may contain anything; fields are counted after it.
            fields = folder.joinpath("stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] not in "ZX":
            pid = int(folder.name)
            table[pid] = _Entry(pid=pid, group=int(fields[2]), started=fields[19])
    return table


def _table_of_ps() -> dict[int, _Entry]:
    command = ["ps", "-A", "-o", "pid=,pgid=,stat=,lstart="]
    table = {}
    for line in subprocess.check_output(command, text=True).splitlines():
        pid, group, state, started = line.split(maxsplit=3)
        if not state.startswith("Z"):
            table[int(pid)] = _Entry(pid=int(pid), group=int(group), started=started)
    return table
