"""Firings in the lanes table: one row for the events of a trigger that arrived together.

A firing so costs a fraction of a write. Rows are added, never changed, and expire.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pynamodb.connection import Connection

from chalicelib.core.triggers.firing import (
    Firing,
    FiringOutcome,
    FiringPage,
    merge_repeats,
    reason_of,
)
from chalicelib.store.tables import FiringRow

_ROWS_OF_A_READ = 100
_FIRINGS_OF_A_ROW = 100  # half of an item's limit, even with the longest keys and reasons


class DynamoFiringStore:
    """Takes the connection because the models must be bound to their tables before any use."""

    def __init__(self, connection: Connection, *, retention_seconds: int) -> None:
        self._connection = connection
        self._retention_seconds = retention_seconds

    def record(self, trigger: str, firings: Sequence[Firing], message_id: str) -> None:
        for number, start in enumerate(range(0, len(firings), _FIRINGS_OF_A_ROW)):
            some = firings[start : start + _FIRINGS_OF_A_ROW]
            at_ms = some[0].at_ms
            row = FiringRow(
                _lane(trigger),
                f"{at_ms:013d}#{message_id}" + (f".{number:04d}" if number else ""),
                firings=json.dumps([_document(one) for one in some], separators=(",", ":")),
                expires_at=at_ms // 1000 + self._retention_seconds,
            )
            row.save()  # unconditional because no other call has the same message and time

    def page(self, trigger: str, *, limit: int, before: str | None = None) -> FiringPage:
        """Read whole rows, so the page may have some firings more than `limit`."""
        found: list[Firing] = []
        last: str | None = None
        for row in self._rows(trigger, limit, before):
            if len(found) >= limit:
                return FiringPage(firings=tuple(merge_repeats(found)), before=last)
            found.extend(_firings_from_row(trigger, row))
            last = row.rank
        return FiringPage(firings=tuple(merge_repeats(found)), before=None)

    def _rows(self, trigger: str, limit: int, before: str | None) -> Iterable[FiringRow]:
        older = FiringRow.rank < before if before else None
        return FiringRow.query(
            _lane(trigger),
            older,
            scan_index_forward=False,
            page_size=min(limit + 1, _ROWS_OF_A_READ),
        )


def _lane(trigger: str) -> str:
    return f"/firings/{trigger}"


def _document(firing: Firing) -> list[Any]:
    """Return the members in order, without names, because every firing stores them."""
    return [
        str(firing.outcome),
        firing.uid,
        firing.event_key,
        firing.job_id,
        reason_of(firing.reason),
    ]


def _firings_from_row(trigger: str, row: FiringRow) -> Iterator[Firing]:
    at_ms = int(row.rank.partition("#")[0])
    for outcome, uid, event_key, job_id, reason in json.loads(row.firings):
        yield Firing(
            trigger=trigger,
            uid=uid,
            event_key=event_key,
            at_ms=at_ms,
            outcome=FiringOutcome(outcome),
            reason=reason,
            job_id=job_id,
        )
