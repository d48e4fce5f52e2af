"""The thread of the fleet: it takes a step when something changed or is due, and else sleeps."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from batchyard.cloud.fleet.fleet import Fleet

_log = logging.getLogger("fleet")
AFTER_AN_ERROR_SECONDS = 1.0


class FleetWorker:
    """Owns the lock of a fleet. The thread starts with the first change and never polls."""

    def __init__(self, fleet: Fleet, *, now: Callable[[], float]) -> None:
        self._fleet = fleet
        self._now = now
        self._changed = threading.Condition(threading.RLock())
        self._is_dirty = False
        self._thread: threading.Thread | None = None

    @property
    def closed_clusters(self) -> Mapping[str, float]:
        """Return until when clusters get no capacity. Read without the lock."""
        return self._fleet.no_capacity_until

    @property
    def has_instances(self) -> bool:
        """Return whether there is any instance. Read without the lock."""
        return bool(self._fleet.instances)

    def now(self) -> float:
        """Return the time, in seconds since the epoch."""
        return self._now()

    @contextmanager
    def reading(self) -> Iterator[Fleet]:
        """Give the fleet while nothing else works with it."""
        with self._changed:
            yield self._fleet

    @contextmanager
    def changing(self) -> Iterator[Fleet]:
        """Give the fleet while nothing else works with it; a step follows."""
        with self._changed:
            yield self._fleet
            self.wake()

    def wake(self) -> None:
        """Have a step taken soon, because something has changed."""
        with self._changed:
            self._is_dirty = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="fleet", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        due: float | None = None
        while True:
            with self._changed:
                while not self._is_dirty and (due is None or due > self._now()):
                    self._changed.wait(None if due is None else due - self._now())
                self._is_dirty = False
                try:
                    due = self._fleet.step(self._now())
                except Exception:
                    _log.exception("a step of the fleet failed")
                    due = self._now() + AFTER_AN_ERROR_SECONDS
