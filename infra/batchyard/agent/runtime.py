"""The port between the agent and what runs containers.

Owns: the vocabulary (start, terminate, kill, exited, health) and the promise that every
start that succeeded is followed by exactly one `ContainerExited`, after the container's
last output was written. Implementations: `processes`, `docker_engine`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from .plan import ContainerPlan, TaskPlan

LOOPBACK = "127.0.0.1"
"""The address of what shares this machine's network."""

OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"


class StartFailed(Exception):
    """A container could not be started; `reason` has the text that ECS uses."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Output(Protocol):
    """Where a container's bytes go; calls come from one thread, in order."""

    def write(self, data: bytes) -> None:
        """Take the next bytes of stdout or stderr."""

    def replay(self) -> None:
        """Take the output from its beginning again: lines that were sent already are dropped."""

    def finish(self) -> None:
        """End the output: a last line without its newline is complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStart:
    """A request to start one container. `environment` is complete but for the runtime's part."""

    task: TaskPlan
    container: ContainerPlan
    runtime_id: str
    environment: Mapping[str, str]
    output: Output


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStarted:
    """The result of a start: enough for a later agent to find the container.

    One that is only `planned` may not have been started. `pid` and `pid_started_ticks` (the
    kernel's start time of that process, in clock ticks since boot) are given by the process runtime
    only. At `address` other containers reach its ports.
    """

    runtime_id: str
    pid: int | None = None
    pid_started_ticks: int | None = None
    address: str | None = None
    planned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerExited:
    """A container ended. `exit_code` is as a shell sees it: 128 + signal after a signal."""

    task_id: str
    name: str
    runtime_id: str
    exit_code: int
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerHealth:
    """A container's health check passed, or failed as often as it may."""

    task_id: str
    name: str
    healthy: bool


RuntimeEvent = ContainerExited | ContainerHealth
Emit = Callable[[RuntimeEvent], None]


class Runtime(Protocol):
    """What runs containers. Methods may be called from several threads."""

    @property
    def name(self) -> str:
        """Return the kind of runtime, as messages name it."""

    @property
    def session(self) -> str:
        """Return a name for what holds the containers: with another one, they are lost."""

    def kept(self) -> Collection[str]:
        """Return the runtime ids of containers of an earlier agent that run, or whose end is known.

        What is not here was never started, if its journal entry has the same `session`.
        """

    def start(self, request: ContainerStart) -> ContainerStarted:
        """Start a container, or raise `StartFailed`. May take long (an image is pulled)."""

    def adopt(self, request: ContainerStart) -> ContainerStarted:
        """Take over a container that is kept, as if it had been started now.

        The environment of the request is not used: the container has had one since its start.
        """

    def terminate(self, runtime_id: str) -> None:
        """Send SIGTERM (or the image's stop signal); nothing when it has ended already."""

    def kill(self, runtime_id: str) -> None:
        """Send SIGKILL to everything in the container; nothing when it has ended already."""

    def forget_task(self, task: TaskPlan) -> None:
        """Remove what the task's containers left: scratch space, volumes, and their ends.

        Called when the task's end has been journalled.
        """

    def clear_orphans(self, earlier: Iterable[ContainerStarted]) -> None:
        """Kill and remove what an earlier agent left and what was not adopted."""

    def close(self) -> None:
        """Stop the runtime's own threads; containers must have ended before."""


def shell_exit_code(returncode: int) -> int:
    """Return a process's return code as a shell and Docker show it: 137 after SIGKILL, not -9."""
    return 128 - returncode if returncode < 0 else returncode
