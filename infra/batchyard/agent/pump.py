"""One thread that watches all file descriptors of all containers.

Owns: the selector and the rule that callbacks run in this thread only, so that what they
touch needs no lock. It must not know what the descriptors are. Users: `processes` (pipes,
pidfds) and `docker_engine` (attached streams).
"""

from __future__ import annotations

import logging
import os
import selectors
import threading
from collections import deque
from collections.abc import Callable

_log = logging.getLogger(__name__)
_CHUNK_BYTES = 65_536


class Pump:
    """A selector loop. `tick`, when given, runs at least every `tick_seconds`."""

    def __init__(
        self, tick: Callable[[], None] | None = None, tick_seconds: float | None = None
    ) -> None:
        self._tick = tick
        self._tick_seconds = tick_seconds
        self._selector = selectors.DefaultSelector()
        self._calls: deque[Callable[[], None]] = deque()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._woken)
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="pump", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], None]) -> None:
        """Run a function in the pump's thread, soon."""
        self._calls.append(function)
        self._wake()

    def add(self, fd: int, on_readable: Callable[[], None]) -> None:
        """Watch a descriptor. Pump thread only (see `call`)."""
        self._selector.register(fd, selectors.EVENT_READ, on_readable)

    def remove(self, fd: int) -> None:
        """Watch it no more, before it is closed. Pump thread only."""
        self._selector.unregister(fd)

    def close(self) -> None:
        """End the thread; descriptors stay open, they are their owners'."""
        self._closing = True
        self._wake()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._closing:
            for key, _ in self._selector.select(self._tick_seconds):
                self._guarded(key.data)
            while self._calls:
                self._guarded(self._calls.popleft())
            if self._tick is not None:
                self._guarded(self._tick)
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _guarded(self, function: Callable[[], None]) -> None:
        try:
            function()
        except Exception:
            # An error of one container must not stop the thread that serves all others.
            _log.exception("a descriptor's callback failed")

    def _woken(self) -> None:
        while read_available(self._wake_read):
            pass

    def _wake(self) -> None:
        try:
            os.write(self._wake_write, b"x")
        except BlockingIOError:
            # The pipe is full of wake-ups already.
            pass
        except OSError:
            _log.debug("the pump is closed")


def read_available(fd: int) -> bytes | None:
    """Return the next bytes of a non-blocking descriptor; None for none now, b"" for the end."""
    try:
        return os.read(fd, _CHUNK_BYTES)
    except BlockingIOError:
        return None
    except OSError:
        # A reset stream has no more data than a closed one.
        return b""
