"""The child processes that this process has started and not yet reaped.

Owns: making a child, and knowing which pids are direct children. Adopted orphans may be
reaped by any thread; a direct child's status is needed by the thread that started it, so
starting and reaping happen under one lock. Users: `keeper`, `health`, `restarter`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from . import orphans


class Children:
    """A register of direct children, each the leader of a session of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pids: set[int] = set()
        self._spared: set[int] = set()

    def spawn(
        self, argv: Sequence[str], *, environment: Mapping[str, str], home: Path, output: int
    ) -> subprocess.Popen[bytes]:
        """Start a process; `output` is subprocess.PIPE or DEVNULL. Raises OSError or ValueError."""
        with self._lock:
            process = subprocess.Popen(
                argv,
                cwd=home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                bufsize=0,
                start_new_session=True,
            )
            self._pids.add(process.pid)
            return process

    def add(self, start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        """Start a process whose status the caller takes by itself, and spare it from then on."""
        with self._lock:
            process = start()
            self._spared.add(process.pid)
            return process

    def signal_group(self, pid: int, number: signal.Signals) -> None:
        """Signal a child's process group, unless the child has been reaped already."""
        with self._lock:
            if pid in self._pids:
                _signal_group(pid, number)

    def reap(self, process: subprocess.Popen[bytes], runtime_id: str | None = None) -> int:
        """Take the status of a child that has exited, after killing the rest of its group.

        With a runtime id, orphans of that container are killed and dead ones reaped too.
        """
        with self._lock:
            # The leader is still a zombie here, so its process group cannot be anyone else's.
            _signal_group(process.pid, signal.SIGKILL)
            returncode = process.wait()
            self._pids.discard(process.pid)
            if runtime_id is not None:
                orphans.reap_orphans(runtime_id, self._pids | self._spared)
            return returncode


def has_exited(pid: int) -> bool:
    """Return whether a child has exited and waits to be reaped."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        # Gone, or only a zombie that some systems refuse to signal.
        return
