"""Several functions at work at once, on a clock that advances only when all of them wait.

Each actor is a thread, but one runs at a time: it goes on until it sleeps, and then the one whose
sleep ends first goes on. The same actors with the same random numbers do the same every time.
"""

import heapq
import itertools
import threading
from collections.abc import Callable


class VirtualTime:
    """A clock in seconds, and the actors that sleep on it."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleeping: list[tuple[float, int, threading.Semaphore]] = []
        self._order = itertools.count()
        self._idle = threading.Semaphore(0)
        self._own = threading.local()
        self._failures: list[BaseException] = []

    def spawn(self, act: Callable[[], object], *, at: float = 0.0) -> None:
        """Let an actor begin at that time."""
        baton = threading.Semaphore(0)
        heapq.heappush(self._sleeping, (at, next(self._order), baton))

        def run() -> None:
            self._own.baton = baton
            baton.acquire()
            try:
                act()
            except BaseException as error:  # the test that runs the clock sees it
                self._failures.append(error)
            finally:
                self._idle.release()

        threading.Thread(target=run, daemon=True).start()

    def sleep(self, seconds: float) -> None:
        """Wait, and let others go on meanwhile."""
        baton: threading.Semaphore = self._own.baton
        heapq.heappush(self._sleeping, (self.now + seconds, next(self._order), baton))
        self._idle.release()
        baton.acquire()

    def run(self) -> None:
        """Run until no actor is left; raise the first failure of one."""
        while self._sleeping and not self._failures:
            self.now, _, baton = heapq.heappop(self._sleeping)
            baton.release()
            self._idle.acquire()
        if self._failures:
            raise self._failures[0]
