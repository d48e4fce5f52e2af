"""A World whose process crashes once: at one outgoing call of one handler run, or right after it.

Or the call fails, and the process goes on. Without sweeps, redelivery alone must repair both.

The runs of handlers are counted and their calls recorded, so that a first run, undisturbed, lists
the places of all crashes.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.world import HANDLERS, ApiError, Crash, Handler, Json, World

API = "APIHandler"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One run of a handler, and its outgoing calls."""

    handler: str
    calls: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """A crash in run number `visit` (from 0) at call number `call` (from 1).

    A number beyond the last call is the moment after it. With `fails` the call raises an error
    instead.
    """

    visit: int
    call: int
    fails: bool = False


class MortalWorld(World):
    def __init__(self, death: Death | None, *, in_memory: bool, sweeps: bool = True) -> None:
        super().__init__(in_memory=in_memory)
        self.death = death
        self.on_rest = self._rest
        self.sweeps = sweeps
        self.visits: list[Visit] = []
        self._invocations = itertools.count(1)

    def _rest(self, seconds: float) -> None:
        """Let the wait of a function take its time: what a dead process held expires."""
        self.now_ms += round(seconds * 1000)

    def call_handler(self, handler: Handler, event: Json) -> Any:
        with self._mortal(HANDLERS[handler]):
            return super().call_handler(handler, event)

    def api(self, operation: str, request: Json | None = None, **members: Any) -> Json:
        """Call an operation as an SDK does: try again with the same invocation id after no answer.

        RegisterJobDefinition is not crashed: in AWS, too, each try of it that succeeded has made a
        revision.
        """
        members = {"invocation_id": f"call-{next(self._invocations)}", **members}
        if operation == "RegisterJobDefinition":
            return super().api(operation, request, **members)
        try:
            with self._mortal(API):
                return super().api(operation, request, **members)
        except Crash:
            self.restart()
        try:
            return super().api(operation, request, **members)
        except ApiError as error:
            if "already exists" not in error.message:
                raise
            return {}  # the first try made it, and AWS has no other answer for the second

    def sweep(self) -> None:
        """Run the sweeper, unless this World has none."""
        if not self.sweeps:
            return
        try:
            super().sweep()
        except Crash:
            self.restart()

    @contextmanager
    def _mortal(self, handler: str) -> Iterator[None]:
        number = len(self.visits)
        outer, self.calls = self.calls, []
        if self.death is not None and self.death.visit == number:
            if self.death.fails:
                self.fail_at = self.death.call
            else:
                self.crash_at = self.death.call
        self.visits.append(Visit(handler=handler, calls=()))
        try:
            yield
            if self.crash_at is not None:
                raise Crash(f"{handler} has done everything, and nobody learns of it")
        finally:
            self.visits[number] = Visit(handler=handler, calls=tuple(self.calls))
            self.calls, self.crash_at, self.fail_at = outer, None, None
