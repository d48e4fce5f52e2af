"""Reporting: task events to SQS, ends of tasks to ECS.

Owns: the threads that try until it works or the agent ends. `EventSender` sends events in
order, in batches of ten, from one thread; `TaskCloser` has ECS record ends, after their
events were sent, from two. It must not know tasks: what follows a success is a callback.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from .ecs import EcsPort, EcsUnavailable
from .events import on_instance
from .plan import Json

_log = logging.getLogger(__name__)

_BATCH_MESSAGES = 10
_GATHERED_MESSAGES = 200
_BATCH_BYTES = 256 * 1024
_LINGER_SECONDS = 0.1
"""How long an event waits for company, to travel and be written together."""
_FOLLOWED_SECONDS = 0.3
"""How long an event waits that another of its subject may soon replace: a short task's start, for
its end. ECS's own events take longer than that."""
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
_CLOSER_THREADS = 2
"""StopTask takes one task a call, so one thread alone could not keep up with a busy agent."""


class QueuePort(Protocol):
    """The task-events queue."""

    def send_batch(self, bodies: Sequence[str]) -> list[int]:
        """Send up to ten messages; the positions of those that were refused. May raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outgoing:
    body: str
    on_sent: Callable[[], None]
    subject: str | None
    due: float  # when it is sent at the latest, on the monotonic clock
    waits: bool  # until then, whatever else is sent before


class EventSender:
    """Sends events in the order they were put."""

    def __init__(self, port: QueuePort) -> None:
        self._port = port
        self._queue: queue.SimpleQueue[_Outgoing | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self._thread.start()

    def put(
        self,
        event: Json,
        on_sent: Callable[[], None] = lambda: None,
        *,
        subject: str | None = None,
        followed: bool = False,
    ) -> None:
        """Queue an event; `on_sent` is called in the sender's thread once it is in the queue.

        An event that is still here when a later one of its subject comes is not sent: as from ECS,
        a task that ended at once is reported by its end alone. One that is to be `followed` by such
        an event waits a little longer for it.
        """
        linger_seconds = _FOLLOWED_SECONDS if followed else _LINGER_SECONDS
        self._queue.put(
            _Outgoing(
                body=json.dumps(event),
                on_sent=on_sent,
                subject=subject,
                due=time.monotonic() + linger_seconds,
                waits=followed,
            )
        )

    def close(self) -> None:
        """Send what is queued, without retries, and end the thread."""
        self._closing.set()
        self._queue.put(None)
        self._thread.join(timeout=5)

    def _run(self) -> None:
        held: list[_Outgoing] = []
        ending = False
        while not ending:
            ending = self._gather(held)
            now = time.monotonic()
            gathered, held = _last_of_each_subject(held), []
            going: list[_Outgoing] = []
            for outgoing in gathered:
                stays = outgoing.waits and outgoing.due > now and not ending
                (held if stays else going).append(outgoing)
            for batch in _batches(going):
                if not self._send(batch):
                    return

    def _send(self, batch: list[_Outgoing]) -> bool:
        """Send until all is sent; False when the agent ends before."""
        pause_seconds = _FIRST_PAUSE_SECONDS
        while batch := self._unsent(batch):
            if self._closing.wait(pause_seconds):
                return False
            pause_seconds = min(pause_seconds * 2, _LONGEST_PAUSE_SECONDS)
        return True

    def _gather(self, held: list[_Outgoing]) -> bool:
        """Add what comes until the first is due, or enough is here; True at the end."""
        for _ in range(_GATHERED_MESSAGES):
            due = min((outgoing.due for outgoing in held), default=None)
            timeout = None if due is None else max(0.0, due - time.monotonic())
            try:
                outgoing = self._queue.get(timeout=timeout)
            except queue.Empty:
                return False
            if outgoing is None:
                return True
            held.append(outgoing)
        return False

    def _unsent(self, batch: list[_Outgoing]) -> list[_Outgoing]:
        try:
            refused = set(self._port.send_batch([outgoing.body for outgoing in batch]))
        except Exception as error:
            # Events are kept after any error: without them jobs would hang.
            _log.warning("task events could not be sent, trying again: %s", error)
            return batch
        for position, outgoing in enumerate(batch):
            if position not in refused:
                outgoing.on_sent()
        return [outgoing for position, outgoing in enumerate(batch) if position in refused]


def _last_of_each_subject(gathered: list[_Outgoing]) -> list[_Outgoing]:
    """Return the events to send, in order; the others are superseded."""
    last = {outgoing.subject: outgoing for outgoing in gathered if outgoing.subject is not None}
    kept = []
    for outgoing in gathered:
        if outgoing.subject is None or last[outgoing.subject] is outgoing:
            kept.append(outgoing)
        else:
            outgoing.on_sent()
    return kept


def _batches(gathered: list[_Outgoing]) -> Iterator[list[_Outgoing]]:
    """Return the events in batches that one SendMessageBatch accepts."""
    batch: list[_Outgoing] = []
    size_bytes = 0
    for outgoing in gathered:
        length = len(outgoing.body.encode())
        if batch and (len(batch) == _BATCH_MESSAGES or size_bytes + length > _BATCH_BYTES):
            yield batch
            batch, size_bytes = [], 0
        batch.append(outgoing)
        size_bytes += length
    if batch:
        yield batch


@dataclass(frozen=True, slots=True, kw_only=True)
class _Closing:
    cluster_arn: str
    task_arn: str
    reason: str
    on_closed: Callable[[], None]
    status: str | None  # of a task on an instance; None: the end of any other one


class TaskCloser:
    """Has ECS record ends of tasks, and of those on instances that they run.

    An instance has space again when ECS learns from its agent that a task has ended; StopTask only
    asks for that.
    """

    def __init__(self, ecs: EcsPort) -> None:
        self._ecs = ecs
        self._queue: queue.SimpleQueue[_Closing | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name="closer", daemon=True)
            for _ in range(_CLOSER_THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, task: Json, reason: str, on_closed: Callable[[], None]) -> None:
        """Queue an end; `on_closed` is called in one of the closer's threads once ECS has it."""
        self._put(task, reason, on_closed, "STOPPED" if on_instance(task) else None)

    def put_running(self, task: Json) -> None:
        """Queue that a task on an instance runs; ECS knows that of every other task by itself."""
        if on_instance(task):
            self._put(task, "", lambda: None, "RUNNING")

    def _put(
        self, task: Json, reason: str, on_closed: Callable[[], None], status: str | None
    ) -> None:
        self._queue.put(
            _Closing(
                cluster_arn=task["clusterArn"],
                task_arn=task["taskArn"],
                reason=reason,
                on_closed=on_closed,
                status=status,
            )
        )

    def close(self) -> None:
        """Send what is queued, without retries, and end the threads."""
        self._closing.set()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(timeout=5)

    def _run(self) -> None:
        while (task := self._queue.get()) is not None:
            pause_seconds = _FIRST_PAUSE_SECONDS
            while not self._closed(task):
                if self._closing.wait(pause_seconds):
                    return
                pause_seconds = min(pause_seconds * 2, _LONGEST_PAUSE_SECONDS)

    def _closed(self, task: _Closing) -> bool:
        try:
            if task.status is None:
                self._ecs.stop_task(task.cluster_arn, task.task_arn, task.reason)
            else:
                self._ecs.submit_state(task.cluster_arn, task.task_arn, task.status, task.reason)
        except EcsUnavailable as error:
            _log.warning("the end of %s could not be recorded: %s", task.task_arn, error)
            return False
        task.on_closed()
        return True
