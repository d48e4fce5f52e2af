"""The agent's record of its tasks for its successor: one small file per task.

Owns: the files and their format. An entry is written before a task's first container is
started and removed only when ECS itself has recorded the task's end, so a task is never
run twice. How its containers ended is kept by the runtime until the entry has it. No fsync:
it guards against the death of this process, not of the machine.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .plan import Json
from .runtime import ContainerStarted

_PRIVATE = 0o700
_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class JournalEntry:
    """One task: DescribeTasks' record, its containers, and its last event once that is known.

    `session` is the runtime's, in which the containers were started.
    """

    task: Json
    session: str = ""
    containers: list[ContainerStarted] = field(default_factory=list)
    started_at_ms: int | None = None
    final_event: Json | None = None

    @property
    def task_id(self) -> str:
        """Return the last part of the task's ARN."""
        return str(self.task["taskArn"]).rsplit("/", 1)[-1]


class Journal:
    """Entries in a directory. One writer; a torn write is never seen (write, then rename)."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        # A task's record has its containers' environment, secrets included.
        directory.chmod(_PRIVATE)

    def write(self, entry: JournalEntry) -> None:
        """Create or replace the task's entry."""
        path = self._path(entry.task_id)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(_encode(entry)))
        os.replace(partial, path)

    def forget(self, task_id: str) -> None:
        """Remove the task's entry, if there is one."""
        self._path(task_id).unlink(missing_ok=True)

    def entries(self) -> list[JournalEntry]:
        """Return all entries; an unreadable file is logged and left out."""
        found = []
        for path in sorted(self._directory.glob("*.json")):
            try:
                found.append(_decode(json.loads(path.read_text())))
            except (OSError, ValueError, KeyError, TypeError) as error:
                _log.warning("journal entry %s cannot be read: %s", path.name, error)
        return found

    def _path(self, task_id: str) -> Path:
        return self._directory / f"{task_id}.json"


def _encode(entry: JournalEntry) -> Json:
    # Not `asdict` for the whole: that would copy the task's record, the bulk of it, each time.
    return {
        "task": entry.task,
        "session": entry.session,
        "containers": [asdict(container) for container in entry.containers],
        "started_at_ms": entry.started_at_ms,
        "final_event": entry.final_event,
    }


def _decode(raw: Json) -> JournalEntry:
    return JournalEntry(
        task=raw["task"],
        session=raw.get("session", ""),
        containers=[ContainerStarted(**container) for container in raw["containers"]],
        started_at_ms=raw["started_at_ms"],
        final_event=raw["final_event"],
    )
