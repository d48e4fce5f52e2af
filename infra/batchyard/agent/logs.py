"""Containers' output into CloudWatch Logs.

Owns: cutting bytes into lines, the threads that send the streams' lines in batches, and the
promise that `when_sent` is called once everything written before it was sent or given up.
It must not know tasks. Lines of one stream keep their order and their times never go back.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from .plan import LogTarget

_log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.1
MAX_LINE_BYTES = 256 * 1024 - 26
"""CloudWatch's limit for one event, less the bytes it counts for the event itself."""
MAX_BUFFERED_BYTES = 16 * 1024 * 1024
"""Beyond this a writer waits, as Docker's blocking mode does, so memory stays bounded."""
_EVENT_OVERHEAD_BYTES = 26
_MAX_BATCH_BYTES = 1_048_576
_MAX_BATCH_EVENTS = 10_000
_SENDING_THREADS = 4
_TRIES = 5
_FIRST_PAUSE_SECONDS = 0.2


class LogsPort(Protocol):
    """The calls on CloudWatch Logs; writing ones create what is missing, all may raise anything."""

    def create_stream(self, target: LogTarget) -> None:
        """Create the stream, and its group when that is missing; an existing one is fine."""

    def put_lines(self, target: LogTarget, lines: list[tuple[int, str]]) -> None:
        """Append (time in ms, text) pairs, in order of time."""

    def count_lines(self, target: LogTarget) -> int:
        """Return how many lines the stream has; none when it does not exist."""


class LineSplitter:
    """Cuts a stream of bytes into lines; empty lines are dropped, as the awslogs driver does."""

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_line_bytes = max_line_bytes
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Return the lines completed by these bytes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        while len(self._rest) >= self._max_line_bytes:
            lines.append(self._rest[: self._max_line_bytes])
            self._rest = self._rest[self._max_line_bytes :]
        return [piece for line in lines for piece in self._pieces(line)]

    def finish(self) -> list[str]:
        """Return the last line, when it had no newline."""
        rest, self._rest = self._rest, b""
        return self._pieces(rest)

    def _pieces(self, line: bytes) -> list[str]:
        size = self._max_line_bytes
        return [
            line[start : start + size].decode(errors="replace")
            for start in range(0, len(line), size)
        ]


class NoOutput:
    """Takes output that the definition sends nowhere."""

    def write(self, data: bytes) -> None:
        """Drop the bytes."""

    def replay(self) -> None:
        """Do nothing: no bytes were sent."""

    def finish(self) -> None:
        """Do nothing: no bytes are kept."""


class LogStream:
    """One container's `Output`, into one stream."""

    def __init__(self, sender: LogSender, target: LogTarget) -> None:
        self._sender = sender
        self._target = target
        self._splitter = LineSplitter()
        self._sent_before = 0

    def write(self, data: bytes) -> None:
        """Queue the lines that these bytes complete."""
        self._append(self._splitter.feed(data))

    def replay(self) -> None:
        """Drop as many of the next lines as an earlier agent has sent."""
        self._sent_before = self._sender.count_sent(self._target)

    def finish(self) -> None:
        """Queue the last line."""
        self._append(self._splitter.finish())

    def _append(self, lines: list[str]) -> None:
        dropped = min(self._sent_before, len(lines))
        self._sent_before -= dropped
        self._sender.append(self._target, lines[dropped:])


@dataclass(slots=True)
class _Pending:
    lines: list[tuple[int, str]] = field(default_factory=list)
    created: bool = False
    last_ms: int = 0


@dataclass(slots=True, kw_only=True)
class _Waiter:
    targets: frozenset[LogTarget]
    call: Callable[[], None]


class LogSender:
    """Sends the streams' lines, each stream from one thread at a time."""

    def __init__(self, port: LogsPort, *, wall_ms: Callable[[], int]) -> None:
        self._port = port
        self._wall_ms = wall_ms
        self._changed = threading.Condition()
        self._streams: dict[LogTarget, _Pending] = {}
        self._waiters: list[_Waiter] = []
        self._buffered_bytes = 0
        self._closing = threading.Event()
        self._pool = ThreadPoolExecutor(_SENDING_THREADS, thread_name_prefix="logs")
        self._thread = threading.Thread(target=self._run, name="logs", daemon=True)
        self._thread.start()

    def open(self, target: LogTarget) -> LogStream:
        """Return a stream that is created soon, even when nothing is ever written to it."""
        with self._changed:
            self._streams.setdefault(target, _Pending())
            self._changed.notify_all()
        return LogStream(self, target)

    def append(self, target: LogTarget, lines: list[str]) -> None:
        """Queue lines with the time of now; waits while too much is queued already."""
        if not lines:
            return
        with self._changed:
            while self._buffered_bytes > MAX_BUFFERED_BYTES and not self._closing.is_set():
                self._changed.wait(timeout=1)
            pending = self._streams.setdefault(target, _Pending())
            # A clock set back must not make the service refuse the batch.
            pending.last_ms = max(pending.last_ms, self._wall_ms())
            pending.lines.extend((pending.last_ms, line) for line in lines)
            self._buffered_bytes += sum(_event_bytes(line) for line in lines)
            self._changed.notify_all()

    def count_sent(self, target: LogTarget) -> int:
        """Return how many lines the stream has; none when the service does not say."""
        count = 0

        def ask() -> None:
            nonlocal count
            count = self._port.count_lines(target)

        self._attempt(ask, target)
        return count

    def when_sent(self, targets: frozenset[LogTarget], call: Callable[[], None]) -> None:
        """Send these streams now, then call. They are forgotten: nothing more is written."""
        with self._changed:
            self._waiters.append(_Waiter(targets=targets, call=call))
            self._changed.notify_all()

    def close(self) -> None:
        """Send what is queued, once, and end the thread."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(timeout=10)
        self._pool.shutdown(wait=False)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._has_work() or self._closing.is_set())
                if not self._waiters and not self._closing.is_set():
                    # Lines that come together are sent together, unless a caller waits for them.
                    self._changed.wait_for(
                        lambda: bool(self._waiters) or self._closing.is_set(), FLUSH_SECONDS
                    )
                if self._closing.is_set() and not self._has_work():
                    return
                busy = [
                    target
                    for target, pending in self._streams.items()
                    if pending.lines or not pending.created
                ]
            # A task's end waits for its own stream, not for the streams of all others.
            list(self._pool.map(self._serve, busy))
            self._answer_waiters()

    def _serve(self, target: LogTarget) -> None:
        self._send_one_batch(target)
        self._answer_waiters()

    def _has_work(self) -> bool:
        return bool(self._waiters) or any(
            pending.lines or not pending.created for pending in self._streams.values()
        )

    def _send_one_batch(self, target: LogTarget) -> None:
        with self._changed:
            pending = self._streams[target]
            batch = _take_batch(pending.lines)
            create = not pending.created
        if create:
            self._attempt(lambda: self._port.create_stream(target), target)
        if batch:
            self._attempt(lambda: self._port.put_lines(target, batch), target)
        with self._changed:
            pending.created = True
            self._buffered_bytes -= sum(_event_bytes(line) for _, line in batch)
            self._changed.notify_all()

    def _attempt(self, call: Callable[[], None], target: LogTarget) -> None:
        pause_seconds = _FIRST_PAUSE_SECONDS
        for remaining in reversed(range(_TRIES)):
            try:
                call()
                return
            except Exception as error:
                if remaining == 0 or self._closing.is_set():
                    # Output must not delay a task's end for ever: this batch is lost. (Where it was
                    # asked what is there, what was sent before is sent again.)
                    _log.warning("log stream %s: gave up: %s", target.stream, error)
                    return
                self._closing.wait(pause_seconds)
                pause_seconds *= 2

    def _answer_waiters(self) -> None:
        with self._changed:
            ready = [waiter for waiter in self._waiters if not self._unsent(waiter)]
            self._waiters = [waiter for waiter in self._waiters if self._unsent(waiter)]
            for waiter in ready:
                for target in waiter.targets:
                    self._streams.pop(target, None)
        for waiter in ready:
            waiter.call()

    def _unsent(self, waiter: _Waiter) -> bool:
        streams = [self._streams[target] for target in waiter.targets if target in self._streams]
        return any(pending.lines or not pending.created for pending in streams)


def _take_batch(lines: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Remove and return the longest beginning that one PutLogEvents may carry."""
    size_bytes = 0
    count = 0
    for _, line in lines[:_MAX_BATCH_EVENTS]:
        size_bytes += _event_bytes(line)
        if size_bytes > _MAX_BATCH_BYTES and count:
            break
        count += 1
    batch = lines[:count]
    del lines[:count]
    return batch


def _event_bytes(line: str) -> int:
    return len(line.encode()) + _EVENT_OVERHEAD_BYTES
