"""The agent's loop: look for changes, handle messages of the runtime, keep deadlines.

Owns: the order of things in time: recovery before the first look, how often ECS is asked,
and an orderly end. It must not know what a task is; `finder` finds, `supervisor` runs.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable

from .ecs import EcsUnavailable
from .events import recorded_cause
from .finder import Found, TaskFinder
from .lifecycle import StopCause, StopCode
from .live_tasks import Message
from .supervisor import Supervisor

_log = logging.getLogger(__name__)

RECORD_IS_GONE = StopCause(code=StopCode.USER_INITIATED, reason="The record of the task is gone")
BUSY_LOOK_SECONDS = 0.05
IDLE_LOOK_SECONDS = 0.15
_BUSY_FOR_SECONDS = 5.0
_LONGEST_LOOK_SECONDS = 1.0
_LOOK_COST_FACTOR = 3.0
"""A look waits at least this many times as long as the one before took, to leave ECS in peace."""
_RETRY_SECONDS = 0.5
_TERM_SECONDS = 3.0
_KILL_SECONDS = 3.0


class AgentLoop:
    """Runs until `end` is called. Only `post` and `end` may be called from other threads."""

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._ending = False
        self._busy_until = 0.0

    def post(self, message: Message) -> None:
        """Hand a message to the loop's thread."""
        self._inbox.put(message)

    def end(self) -> None:
        """End the loop soon. Safe in a signal handler."""
        self._ending = True
        self._inbox.put(None)

    def run(
        self, finder: TaskFinder, supervisor: Supervisor, *, on_ready: Callable[[], None]
    ) -> None:
        """Recover, call `on_ready`, and work until `end` is called; then stop all containers."""
        if not self._begin(finder, supervisor):
            return
        on_ready()
        look_due = self._monotonic()
        while not self._ending:
            if self._monotonic() >= look_due:
                look_due = self._look(finder, supervisor)
            kill_seconds = supervisor.kill_overdue()
            wait_seconds = max(0.0, look_due - self._monotonic())
            self._listen(supervisor, min(wait_seconds, kill_seconds or wait_seconds))
        self._stop_containers(supervisor)

    def _begin(self, finder: TaskFinder, supervisor: Supervisor) -> bool:
        """Wait for ECS and report tasks of an earlier agent; return False if ended meanwhile."""
        while not self._ending:
            try:
                finder.begin()
                finder.remember(supervisor.recover())
                return True
            except EcsUnavailable as error:
                _log.warning("ECS does not answer yet: %s", error)
                self._wait(_RETRY_SECONDS)
        return False

    def _look(self, finder: TaskFinder, supervisor: Supervisor) -> float:
        """Look once and act on it; return when the next look is due."""
        began = self._monotonic()
        try:
            self._act_on(finder.look(supervisor.live_arns), finder, supervisor)
        except EcsUnavailable as error:
            _log.warning("ECS does not answer: %s", error)
        now = self._monotonic()
        pause_seconds = BUSY_LOOK_SECONDS if now < self._busy_until else IDLE_LOOK_SECONDS
        cost_seconds = (now - began) * _LOOK_COST_FACTOR
        return began + min(max(pause_seconds, cost_seconds), _LONGEST_LOOK_SECONDS)

    def _act_on(self, found: Found, finder: TaskFinder, supervisor: Supervisor) -> None:
        for task in found.missed:
            supervisor.report_missed(task)
        for task in found.stopped:
            supervisor.stop(task["taskArn"], recorded_cause(task))
        for arn in found.gone:
            supervisor.stop(arn, RECORD_IS_GONE)
        for task in found.new:
            try:
                supervisor.run(task)
            except EcsUnavailable as error:
                # It was not started, so the next look finds it again; the others continue.
                _log.warning("task %s cannot be run yet: %s", task["taskArn"], error)
                finder.forget([task["taskArn"]])
        if found.new or found.missed or found.stopped:
            self._busy_until = self._monotonic() + _BUSY_FOR_SECONDS

    def _listen(self, supervisor: Supervisor, timeout_seconds: float) -> None:
        """Handle messages until none is left, waiting for the first."""
        message = self._wait(timeout_seconds)
        while message is not None:
            self._busy_until = self._monotonic() + _BUSY_FOR_SECONDS
            supervisor.handle(message)
            message = self._wait(0)

    def _wait(self, timeout_seconds: float) -> Message | None:
        try:
            return self._inbox.get(block=timeout_seconds > 0, timeout=timeout_seconds or None)
        except queue.Empty:
            return None

    def _stop_containers(self, supervisor: Supervisor) -> None:
        supervisor.abandon()
        self._listen_until_idle(supervisor, _TERM_SECONDS)
        supervisor.kill_all()
        self._listen_until_idle(supervisor, _KILL_SECONDS)

    def _listen_until_idle(self, supervisor: Supervisor, seconds: float) -> None:
        deadline = self._monotonic() + seconds
        while supervisor.live_arns and (left := deadline - self._monotonic()) > 0:
            self._listen(supervisor, left)
