"""Health checks of plain processes.

Owns: running a container's health check repeatedly, and reporting changes. One thread per
container that has a check, which few have. Engines check health themselves; this is for
`processes` only.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic

from .children import Children, has_exited
from .plan import HealthCheck

_EXIT_POLL_SECONDS = 0.05


class HealthWatch:
    """Checks until closed. `report` gets True at the first success, False after the retries."""

    def __init__(
        self,
        check: HealthCheck,
        children: Children,
        *,
        environment: Mapping[str, str],
        home: Path,
        report: Callable[[bool], None],
    ) -> None:
        self._check = check
        self._children = children
        self._environment = dict(environment)
        self._home = home
        self._report = report
        self._reported: bool | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Start no further check and report nothing more."""
        self._closed.set()

    def _run(self) -> None:
        failures = 0
        began = monotonic()
        while not self._closed.wait(self._check.interval_seconds):
            if self._passes():
                failures = 0
                self._report_change(True)
            elif monotonic() - began > self._check.start_period_seconds:
                # Failures while the container warms up do not count.
                failures += 1
                if failures >= self._check.retries:
                    self._report_change(False)

    def _report_change(self, healthy: bool) -> None:
        if healthy is not self._reported and not self._closed.is_set():
            self._reported = healthy
            self._report(healthy)

    def _passes(self) -> bool:
        try:
            process = self._children.spawn(
                self._check.argv,
                environment=self._environment,
                home=self._home,
                output=subprocess.DEVNULL,
            )
        except (OSError, ValueError):
            return False
        deadline = monotonic() + self._check.timeout_seconds
        while not has_exited(process.pid):
            if monotonic() > deadline or self._closed.wait(_EXIT_POLL_SECONDS):
                break
        # Reaping kills the group first, so a check that hangs ends here with a signal.
        return self._children.reap(process) == 0
