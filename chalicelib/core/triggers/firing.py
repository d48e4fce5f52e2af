"""One firing of a trigger: the event that caused it, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """What became of an event. Every label has one place that decides it."""

    SUBMITTED = "SUBMITTED"
    GATHERED = "GATHERED"  # waits for others, to become a child of an array job
    DUPLICATE = "DUPLICATE"  # the same event had made its job, or been gathered, before
    SKIPPED = "SKIPPED"  # the overlap policy; or the trigger is disabled
    FAILED = "FAILED"  # no valid request came of it; it is in the dead-letter queue
    DISCARDED = "DISCARDED"  # its trigger had been deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """A record of one event. `event_key` is the same whenever the event comes again."""

    trigger: str
    incarnation: str
    event_key: str
    at_ms: int
    outcome: Outcome
    reason: str = ""
    job_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """An event that came for a trigger. `message_id` is the message that brought it."""

    message_id: str
    event_key: str
    event: Mapping[str, Any]
    at_ms: int
