"""Finding and killing what belongs to a container but is no longer our child.

Owns: every look into /proc, and the rule by which a process is known as ours: it carries
the container's HOSTNAME in its first environment, or it is the very process we journalled
(same pid, same start time). Without /proc (not Linux) nothing is found and nothing is killed.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Collection, Iterable
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_START_TIME_FIELD = 19  # Of /proc/<pid>/stat, counted after the command's closing parenthesis.
_PROC = Path("/proc")


def adopt_orphans() -> bool:
    """Make this process the parent of its descendants' orphans; False where that cannot be."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        return bool(libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def started_ticks(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None when there is none."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[_START_TIME_FIELD])


def kill_process(pid: int, ticks: int | None) -> None:
    """Kill the group of a journalled process, if it is still that process."""
    if ticks is not None and started_ticks(pid) == ticks:
        _kill_group(pid)


def kill_marked(runtime_ids: Collection[str]) -> int:
    """Kill every process on the machine marked by one of these containers; return how many."""
    marks = {_mark(runtime_id) for runtime_id in runtime_ids}
    if not marks:
        return 0
    return sum(_kill_if_marked(pid, marks) for pid in _all_pids())


def reap_orphans(runtime_id: str, mains: Collection[int]) -> None:
    """Kill a finished container's adopted orphans, and reap those that have died.

    `mains` are direct children, whose exit status other threads read. The caller ensures that
    no child is created meanwhile, or its status could be lost here.
    """
    marks = {_mark(runtime_id)}
    for pid in _own_children():
        if pid in mains:
            continue
        _kill_if_marked(pid, marks)
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            continue


def _mark(runtime_id: str) -> bytes:
    return b"HOSTNAME=" + runtime_id.encode()


def _kill_if_marked(pid: int, marks: set[bytes]) -> bool:
    try:
        variables = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
    if marks.isdisjoint(variables):
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _all_pids() -> Iterable[int]:
    if not _PROC.is_dir():
        return []
    own = os.getpid()
    return [
        int(entry.name)
        for entry in _PROC.iterdir()
        if entry.name.isdigit() and int(entry.name) != own
    ]


def _own_children() -> Iterable[int]:
    """Return the main thread's children: the kernel gives orphans to the first thread alive."""
    own = os.getpid()
    try:
        return [int(word) for word in (_PROC / f"{own}/task/{own}/children").read_text().split()]
    except OSError:
        return []
