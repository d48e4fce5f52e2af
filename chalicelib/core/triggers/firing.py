"""Firings: the record of one event of a trigger, and firings as they are listed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


class FiringOutcome(StrEnum):
    """The outcome of an event. Each label is decided in one place."""

    SUBMITTED = "SUBMITTED"
    GATHERED = "GATHERED"  # waits in a bundle, to become a child of an array job
    DUPLICATE = "DUPLICATE"  # the event had made its job, or was gathered, before
    SKIPPED = "SKIPPED"  # the overlap policy; or the trigger is disabled
    FAILED = "FAILED"  # it makes no valid request; it is in the dead-letter queue
    DISCARDED = "DISCARDED"  # its trigger was deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """A record of one event. An event that is delivered again has the same `event_key`."""

    trigger: str
    uid: str
    event_key: str
    at_ms: int
    outcome: FiringOutcome
    reason: str = ""
    job_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """An event that arrived for a trigger, by the message `message_id`."""

    message_id: str
    event_key: str
    event: Mapping[str, Any]
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedFiring:
    """A firing as it is listed. `repeats` counts the later deliveries of the same event."""

    firing: Firing
    repeats: int = 0


_REASON_LIMIT = 500


def reason_of(message: str) -> str:
    """Return an error's sentence, cut and made printable for a record and a message attribute.

    The sentence may quote an event, so it may have any length and any characters.
    """
    printable = (mark if mark.isprintable() else "?" for mark in message[:_REASON_LIMIT])
    return "".join(printable)


def merge_repeats(firings: Iterable[Firing]) -> list[ListedFiring]:
    """Return one listed firing for each event; records and result have the newest first.

    An event with duplicates only did take effect: the process that fired for it ended before it
    wrote the record.
    """
    by_event: dict[tuple[str, str], list[Firing]] = {}
    for firing in firings:
        by_event.setdefault((firing.uid, firing.event_key), []).append(firing)
    return [_listed(of_event) for of_event in by_event.values()]


def _listed(firings: Sequence[Firing]) -> ListedFiring:
    effects = [one for one in firings if one.outcome is not FiringOutcome.DUPLICATE]
    if effects:
        return ListedFiring(firing=effects[0], repeats=len(firings) - len(effects))
    first = firings[-1]
    outcome = FiringOutcome.SUBMITTED if first.job_id else FiringOutcome.GATHERED
    return ListedFiring(firing=replace(first, outcome=outcome), repeats=len(firings) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class FiringPage:
    """A page of firings, newest first. `before` is where the next page begins, None on the last."""

    firings: tuple[ListedFiring, ...]
    before: str | None
