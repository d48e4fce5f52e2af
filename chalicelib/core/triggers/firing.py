"""One firing of a trigger: the event that caused it, and what became of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


class FiringOutcome(StrEnum):
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
    uid: str
    event_key: str
    at_ms: int
    outcome: FiringOutcome
    reason: str = ""
    job_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """An event that came for a trigger. `message_id` is the message that brought it."""

    message_id: str
    event_key: str
    event: Mapping[str, Any]
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A firing as it is told: `repeats` is how often its event came again, to no effect."""

    firing: Firing
    repeats: int = 0


_REASON_LIMIT = 500


def reason_of(message: str) -> str:
    """The sentence of an error, fit for a record and for an attribute of a message.

    It may quote an event, so it may be of any length and hold anything.
    """
    printable = (mark if mark.isprintable() else "?" for mark in message[:_REASON_LIMIT])
    return "".join(printable)


def told(firings: Iterable[Firing]) -> list[Told]:
    """What became of each event, of records that are given newest first.

    Where only duplicates are recorded, the record of the first was lost with its process, after it
    had taken effect.
    """
    by_event: dict[tuple[str, str], list[Firing]] = {}
    for firing in firings:
        by_event.setdefault((firing.uid, firing.event_key), []).append(firing)
    return [_told_of(of_event) for of_event in by_event.values()]


def _told_of(firings: Sequence[Firing]) -> Told:
    effects = [one for one in firings if one.outcome is not FiringOutcome.DUPLICATE]
    if effects:
        return Told(firing=effects[0], repeats=len(firings) - len(effects))
    first = firings[-1]
    outcome = FiringOutcome.SUBMITTED if first.job_id else FiringOutcome.GATHERED
    return Told(firing=replace(first, outcome=outcome), repeats=len(firings) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class FiringPage:
    """Firings, newest first, and where the next page begins (None on the last)."""

    firings: tuple[Told, ...]
    before: str | None
