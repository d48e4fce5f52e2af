"""The agent's side of its keeper: starting processes, and what an earlier agent left there.

Owns: which answer belongs to which question. Messages are read in the runtime's pump, so what
follows a start is registered before the process's exit can be handled. Users: `processes`.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from .keeper_channel import Channel
from .plan import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptProcess:
    """A process as the keeper has it. `fd` reads its output; `code` is set when it has ended."""

    pid: int
    fd: int
    environment: Mapping[str, str]
    code: int | None = None


OnStarted = Callable[[KeptProcess], None]


@dataclass(slots=True)
class _Start:
    on_started: OnStarted
    environment: Mapping[str, str]
    done: threading.Event = field(default_factory=threading.Event)
    process: KeptProcess | None = None
    failure: Exception | None = None


class KeeperGone(Exception):
    """The keeper has ended, and its processes are without a parent."""


class KeeperClient:
    """A connection to a keeper. `kept` is what an earlier agent had it start, by runtime id.

    The callbacks are called in the thread that calls `on_readable`.
    """

    def __init__(
        self,
        end: socket.socket,
        *,
        on_exit: Callable[[str, int], None],
        on_gone: Callable[[], None],
    ) -> None:
        self._channel = Channel(end)
        self._on_exit = on_exit
        self._on_gone = on_gone
        self._lock = threading.Lock()
        self._starts: dict[str, _Start] = {}
        self._is_gone = False
        self.session = ""
        self.kept: dict[str, KeptProcess] = {}
        self._greet()

    def fileno(self) -> int:
        """Return the descriptor whose readability calls for `on_readable`."""
        return self._channel.fileno()

    def start(
        self,
        runtime_id: str,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        home: Path,
        on_started: OnStarted,
    ) -> KeptProcess:
        """Have a process started; `on_started` is called before its exit can be reported.

        Raises OSError or ValueError as `subprocess.Popen` does, and KeeperGone.
        """
        start = _Start(on_started, environment)
        with self._lock:
            if self._is_gone:
                raise KeeperGone("it has ended")
            self._starts[runtime_id] = start
        self._ask(
            {
                "do": "start",
                "id": runtime_id,
                "argv": list(argv),
                "environment": dict(environment),
                "home": str(home),
            }
        )
        # Without a deadline: a start that is given up and yet happens would run unseen.
        start.done.wait()
        if start.failure is not None:
            raise start.failure
        assert start.process is not None
        return start.process

    def signal(self, runtime_id: str, number: int) -> None:
        """Signal a process's group, unless the process has ended."""
        self._ask_if_there({"do": "signal", "id": runtime_id, "number": int(number)})

    def forget(self, runtime_id: str) -> None:
        """Drop what is kept of a process, once it has ended."""
        self._ask_if_there({"do": "forget", "id": runtime_id})

    def on_readable(self) -> None:
        """Handle the next message."""
        received = self._channel.receive()
        if received is None:
            self._end()
            return
        message, fd = received
        runtime_id: str = message["id"]
        if "pid" not in message and "code" in message:
            self._exited(runtime_id, message["code"])
            return
        with self._lock:
            start = self._starts.pop(runtime_id)
        if fd is None:
            start.failure = _failure(message)
        else:
            # The keeper does not send it back: it may be long.
            start.process = replace(_process(message, fd), environment=start.environment)
            start.on_started(start.process)
        start.done.set()

    def close(self) -> None:
        """End the connection; the keeper goes on."""
        self._fail_starts()
        self._channel.close()

    def _exited(self, runtime_id: str, code: int) -> None:
        if runtime_id in self.kept:
            # Nobody has taken it over yet; who does sees its end.
            self.kept[runtime_id] = replace(self.kept[runtime_id], code=code)
        else:
            self._on_exit(runtime_id, code)

    def _greet(self) -> None:
        while received := self._channel.receive():
            message, fd = received
            if "ready" in message:
                return
            if fd is None:
                self.session = message["session"]
            else:
                self.kept[message["id"]] = _process(message, fd)
        raise KeeperGone("it has ended")

    def _ask(self, message: Json) -> None:
        try:
            self._channel.send(message)
        except OSError as error:
            raise KeeperGone(str(error)) from error

    def _ask_if_there(self, message: Json) -> None:
        try:
            self._ask(message)
        except KeeperGone:
            return  # with the keeper its processes are lost, as `on_gone` says once

    def _end(self) -> None:
        self._fail_starts()
        self._on_gone()

    def _fail_starts(self) -> None:
        with self._lock:
            self._is_gone = True
            waiting, self._starts = list(self._starts.values()), {}
        for start in waiting:
            start.failure = KeeperGone("it has ended")
            start.done.set()


def _process(message: Json, fd: int) -> KeptProcess:
    return KeptProcess(
        pid=message["pid"], fd=fd, environment=message["environment"], code=message["code"]
    )


def _failure(message: Json) -> Exception:
    if "errno" in message:
        # Python makes the subclass of it, such as FileNotFoundError.
        return OSError(message["errno"], message["error"])
    return ValueError(message["error"])
