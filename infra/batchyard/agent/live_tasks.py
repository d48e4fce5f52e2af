"""What the supervisor knows of a task, and the values that it is given.

Pure. Owns: the values, and the rule by which a task of an earlier agent is lost. What is done with
them is in `supervisor`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from .journal import JournalEntry
from .lifecycle import TaskState
from .plan import LogTarget, TaskPlan
from .runtime import ContainerStarted, RuntimeEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class StartDone:
    """A start thread's result: `started`, or the reason why not."""

    task_id: str
    name: str
    started: ContainerStarted | None = None
    reason: str = ""


Message = RuntimeEvent | StartDone


class Secrets(Protocol):
    """Looks up secret values."""

    def resolve(self, secrets: Mapping[str, str]) -> dict[str, str]:
        """Return values by variable name; `StartFailed` when any cannot be read."""


@dataclass(slots=True, kw_only=True)
class LiveTask:
    """A task that runs or is being stopped, and the streams that it writes to."""

    plan: TaskPlan
    entry: JournalEntry
    state: TaskState
    stopping_at_ms: int | None = None
    logs: set[LogTarget] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Values for containers' environments, and the supervisor's sources of time and ids."""

    local: Mapping[str, str]
    wall_ms: Callable[[], int]
    monotonic: Callable[[], float]
    new_id: Callable[[], str]


def is_lost(entry: JournalEntry, kept: Collection[str], session: str) -> bool:
    """Return whether a runtime does not know all that it would need to go on with a task.

    `kept` and `session` are the runtime's. Of a task whose end is journalled only what it wrote
    last may still have to be sent.
    """
    if entry.final_event is not None:
        return not any(made.runtime_id in kept for made in entry.containers)
    same_session = entry.session == session
    return not entry.containers or not all(
        made.runtime_id in kept or (same_session and made.planned) for made in entry.containers
    )
