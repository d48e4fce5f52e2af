"""The parent of the containers' processes, which outlives the agent.

Owns: the processes, the reading ends of their outputs, and their exit codes until the agent has
journalled what it made of them. An agent that is killed loses nothing: its successor asks what is
kept, and goes on. It must not know tasks; it decides nothing. `restarter` runs it.
"""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .children import Children, has_exited
from .keeper_channel import Channel
from .plan import Json
from .pump import Pump
from .runtime import shell_exit_code

_POLL_SECONDS = 0.02


@dataclass(slots=True, kw_only=True)
class _Kept:
    """One process: `code` is its exit code once it has ended."""

    process: subprocess.Popen[bytes]
    environment: dict[str, str]
    pidfd: int | None
    code: int | None = None
    is_forgotten: bool = False


@dataclass(slots=True)
class _Agent:
    """The agent that is connected. A thread sends, so that a slow agent holds nobody up."""

    channel: Channel
    outgoing: queue.SimpleQueue[tuple[Json, int | None] | None] = field(
        default_factory=queue.SimpleQueue
    )

    def put(self, message: Json, fd: int | None = None) -> None:
        # A copy: the process's own descriptor may be closed before this one is sent.
        self.outgoing.put((message, None if fd is None else os.dup(fd)))

    def send_all(self) -> None:
        """Send what is put, until None is; what the agent no longer takes is dropped."""
        while (item := self.outgoing.get()) is not None:
            message, fd = item
            try:
                self.channel.send(message, fd)
            except OSError:
                pass  # its successor is sent the state as a whole
            finally:
                if fd is not None:
                    os.close(fd)


class Keeper:
    """Serves one agent at a time. All its state is touched in the pump's thread only.

    `children` must know every other child of this process. Without `use_pidfd` exits are found by
    polling, for systems that have no pidfd.
    """

    def __init__(self, children: Children, *, use_pidfd: bool = hasattr(os, "pidfd_open")) -> None:
        self._children = children
        self._use_pidfd = use_pidfd
        self._kept: dict[str, _Kept] = {}
        self._agent: _Agent | None = None
        self._session = uuid.uuid4().hex
        self._handlers: dict[str, Callable[[Json], None]] = {
            "start": self._start,
            "signal": self._signal,
            "forget": self._forget,
        }
        self._pump = Pump() if use_pidfd else Pump(tick=self._poll, tick_seconds=_POLL_SECONDS)

    def connect(self, end: socket.socket) -> None:
        """Serve the agent that has the other end; an earlier one is served no more."""
        self._pump.call(lambda: self._connect(Channel(end)))

    def close(self) -> None:
        """Kill what is left, and end the threads."""
        done = threading.Event()

        def end() -> None:
            for runtime_id, kept in list(self._kept.items()):
                kept.is_forgotten = True
                if kept.code is None:
                    self._on_exit(runtime_id)  # reaping kills the whole group first
                else:
                    self._drop_forgotten(runtime_id, kept)
            self._disconnect()
            done.set()

        self._pump.call(end)
        done.wait(timeout=5)
        self._pump.close()

    def _connect(self, channel: Channel) -> None:
        self._disconnect()
        agent = _Agent(channel)
        threading.Thread(target=agent.send_all, name="keeper", daemon=True).start()
        agent.put({"session": self._session})
        for runtime_id, kept in self._kept.items():
            self._put_kept(agent, runtime_id, kept, is_new_to_it=True)
        agent.put({"ready": True})
        self._agent = agent
        self._pump.add(channel.fileno(), lambda: self._on_message(agent))

    def _disconnect(self) -> None:
        agent, self._agent = self._agent, None
        if agent is not None:
            self._pump.remove(agent.channel.fileno())
            agent.outgoing.put(None)
            agent.channel.close()

    def _on_message(self, agent: _Agent) -> None:
        received = agent.channel.receive()
        if received is None:
            self._disconnect()
            return
        message, _ = received
        self._handlers[message["do"]](message)

    def _start(self, message: Json) -> None:
        """Start a process, once: asked again, answer as the first time."""
        assert self._agent is not None
        runtime_id: str = message["id"]
        kept = self._kept.get(runtime_id)
        if kept is None:
            try:
                kept = self._spawned(message)
            except OSError as error:
                self._agent.put({"id": runtime_id, "errno": error.errno, "error": error.strerror})
                return
            except ValueError as error:
                self._agent.put({"id": runtime_id, "error": str(error)})
                return
            self._kept[runtime_id] = kept
            if kept.pidfd is not None:
                self._pump.add(kept.pidfd, lambda: self._on_exit(runtime_id))
        self._put_kept(self._agent, runtime_id, kept)

    def _spawned(self, message: Json) -> _Kept:
        process = self._children.spawn(
            message["argv"],
            environment=message["environment"],
            home=Path(message["home"]),
            output=subprocess.PIPE,
        )
        return _Kept(
            process=process,
            environment=message["environment"],
            pidfd=os.pidfd_open(process.pid) if self._use_pidfd else None,
        )

    @staticmethod
    def _put_kept(
        agent: _Agent, runtime_id: str, kept: _Kept, *, is_new_to_it: bool = False
    ) -> None:
        assert kept.process.stdout is not None
        agent.put(
            {
                "id": runtime_id,
                "pid": kept.process.pid,
                "environment": kept.environment if is_new_to_it else {},
                "code": kept.code,
            },
            kept.process.stdout.fileno(),
        )

    def _signal(self, message: Json) -> None:
        kept = self._kept.get(message["id"])
        if kept is not None:
            self._children.signal_group(kept.process.pid, message["number"])

    def _forget(self, message: Json) -> None:
        kept = self._kept.get(message["id"])
        if kept is not None:
            kept.is_forgotten = True
            self._drop_forgotten(message["id"], kept)

    def _poll(self) -> None:
        for runtime_id, kept in list(self._kept.items()):
            if kept.code is None and has_exited(kept.process.pid):
                self._on_exit(runtime_id)

    def _on_exit(self, runtime_id: str) -> None:
        kept = self._kept[runtime_id]
        kept.code = shell_exit_code(self._children.reap(kept.process, runtime_id))
        if kept.pidfd is not None:
            self._pump.remove(kept.pidfd)
            os.close(kept.pidfd)
        if self._agent is not None:
            self._agent.put({"id": runtime_id, "code": kept.code})
        self._drop_forgotten(runtime_id, kept)

    def _drop_forgotten(self, runtime_id: str, kept: _Kept) -> None:
        if kept.is_forgotten and kept.code is not None:
            assert kept.process.stdout is not None
            kept.process.stdout.close()
            del self._kept[runtime_id]
