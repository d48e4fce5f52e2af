"""Puts the agent's parts together.

Owns: which implementation each port has, the number of threads, and the only
reads of clocks, randomness and this process's environment. `__main__` calls it.
"""

from __future__ import annotations

import logging
import os
import socket
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from . import docker_engine, orphans
from .children import Children
from .ecs import BotoEcs, BotoLogs, BotoQueue, client
from .environment import local_variables
from .finder import TaskFinder
from .journal import Journal
from .keeper import Keeper
from .live_tasks import Surroundings
from .logs import LogSender
from .loop import AgentLoop
from .processes import ProcessRuntime
from .runtime import Emit, Runtime
from .secrets import SecretResolver
from .sender import EventSender, TaskCloser
from .supervisor import Supervisor

_log = logging.getLogger(__name__)

_START_THREADS = 8
_SIGNAL_THREADS = 2
OWNER_FILE = "agent-id"  # in the state directory, of an agent whose containers an engine runs
# What an emulator without a guard takes; `batchyard up` gives the agent the keys of its cloud.
_ANY_KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
_PLAIN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class RuntimeKind(Enum):
    """The values of --runtime."""

    AUTO = "auto"
    PROCESS = "process"
    DOCKER = "docker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The command line, checked."""

    endpoint_url: str
    region: str
    cluster_prefix: str
    task_events_queue_url: str
    batch_endpoint_url: str
    state_dir: Path
    runtime: RuntimeKind
    keeper_fd: int | None = None


class Agent:
    """A whole agent. `run` returns after `loop.end` was called and all has been stopped."""

    def __init__(self, settings: Settings) -> None:
        self.loop = AgentLoop(monotonic=time.monotonic)
        orphans.adopt_orphans()
        ecs = BotoEcs(self._client("ecs", settings))
        self._runtime = make_runtime(settings, self.loop.post, self.loop.end)
        self._logs = LogSender(BotoLogs(self._client("logs", settings)), wall_ms=_wall_ms)
        self._events = EventSender(
            BotoQueue(self._client("sqs", settings), settings.task_events_queue_url)
        )
        self._closer = TaskCloser(ecs)
        self._starts = ThreadPoolExecutor(_START_THREADS, thread_name_prefix="start")
        self._signals = ThreadPoolExecutor(_SIGNAL_THREADS, thread_name_prefix="signal")
        self._finder = TaskFinder(
            ecs, cluster_prefix=settings.cluster_prefix, monotonic=time.monotonic
        )
        self._supervisor = Supervisor(
            ecs=ecs,
            runtime=self._runtime,
            journal=Journal(settings.state_dir / "tasks"),
            logs=self._logs,
            events=self._events,
            closer=self._closer,
            secrets=SecretResolver(
                self._client("secretsmanager", settings), self._client("ssm", settings)
            ),
            starts=self._starts,
            signals=self._signals,
            post=self.loop.post,
            surroundings=Surroundings(
                local=local_variables(
                    region=settings.region,
                    endpoint_url=settings.endpoint_url,
                    batch_endpoint_url=settings.batch_endpoint_url,
                    keys=_keys(),
                ),
                wall_ms=_wall_ms,
                monotonic=time.monotonic,
                new_id=lambda: str(uuid.uuid4()),
            ),
        )

    @property
    def runtime_name(self) -> str:
        """Return which kind of runtime was chosen."""
        return self._runtime.name

    def run(self, on_ready: Callable[[], None]) -> None:
        """Work until the loop ends, then stop every thread, senders last."""
        self.loop.run(self._finder, self._supervisor, on_ready=on_ready)
        self._starts.shutdown(wait=False, cancel_futures=True)
        self._signals.shutdown(wait=True)
        self._runtime.close()
        self._logs.close()
        self._events.close()
        self._closer.close()

    @staticmethod
    def _client(service: str, settings: Settings) -> object:
        return client(
            service, endpoint_url=settings.endpoint_url, region=settings.region, keys=_keys()
        )


def make_runtime(settings: Settings, emit: Emit, on_keeper_gone: Callable[[], None]) -> Runtime:
    """Return the runtime of the settings; `auto` uses an engine if one answers, else processes.

    Without a keeper that outlives this process, plain processes have one in it. Raises
    `docker_engine.NoEngine` when an engine was demanded and none answers.
    """
    if settings.runtime is not RuntimeKind.PROCESS:
        try:
            engine = docker_engine.connect()
        except docker_engine.NoEngine as error:
            if settings.runtime is RuntimeKind.DOCKER:
                raise
            _log.info("no container engine (%s): containers run as plain processes", error)
        else:
            return docker_engine.DockerRuntime(
                engine,
                owner=_owner(settings.state_dir),
                endpoint_url=settings.endpoint_url,
                emit=emit,
            )
    children = Children()
    if settings.keeper_fd is not None:
        connection = socket.socket(fileno=settings.keeper_fd)
        connection.set_inheritable(False)
    else:
        ours, connection = socket.socketpair()
        Keeper(children).connect(ours)
    return ProcessRuntime(
        scratch=settings.state_dir / "scratch",
        spools=settings.state_dir / "outputs",
        path=os.environ.get("PATH", _PLAIN_PATH),
        emit=emit,
        keeper=connection,
        children=children,
        on_keeper_gone=on_keeper_gone,
    )


def _keys() -> dict[str, str]:
    """Return the keys with which the agent and its jobs sign."""
    return {name: os.environ.get(name, any_key) for name, any_key in _ANY_KEYS.items()}


def _owner(state_dir: Path) -> str:
    """Return a name for this agent that outlives it, so that the next one finds its containers."""
    path = state_dir / OWNER_FILE
    if not path.exists():
        path.write_text(uuid.uuid4().hex)
    return path.read_text().strip()


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
