"""Bundles in the lanes table: events, their places in arrival order, and the open bundle's head.

An event, its place in a bundle and the head that counts it are written in one transaction,
conditional on the head's version: no event is without a place, and no place without its event. An
event's row is written only if there is none, so an event counts once while its row exists.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from pynamodb.connection import Connection
from pynamodb.transactions import TransactWrite

from chalicelib.core.triggers.bundles import BundleSlice, Head
from chalicelib.core.triggers.gathered import Item, Origin, Refused
from chalicelib.parallel import RunAll, in_order
from chalicelib.store.tables import EventRow, HeadRow, PlacesRow
from chalicelib.store.transactions import Action, transact, write_alone

# Longer than a message or a dead letter can be delivered again, which is 14 days.
EVENT_SECONDS = 15 * 24 * 3600
HEAD_RANK = "head"
KEYS_LIMIT = 100  # of one BatchGetItem


class DynamoBundleStore:
    """The events that triggers gather."""

    def __init__(self, connection: Connection, *, run_all: RunAll = in_order) -> None:
        self._connection = connection
        self._run_all = run_all

    def head(self, origin: Origin) -> Head:
        return self.heads([origin]).get(origin, Head())

    def heads(self, origins: Sequence[Origin]) -> dict[Origin, Head]:
        keys = [(origin.bundles_lane, HEAD_RANK) for origin in origins]
        rows = {row.lane: row for row in HeadRow.batch_get(keys, consistent_read=True)}
        return {
            origin: _head_from_row(rows[origin.bundles_lane])
            for origin in origins
            if origin.bundles_lane in rows
        }

    def add(
        self,
        origin: Origin,
        before: Head,
        after: Head,
        placed: Sequence[tuple[BundleSlice, Sequence[Item]]],
        now_ms: int,
    ) -> Refused | None:
        expires_at = now_ms // 1000 + EVENT_SECONDS
        actions = [_change_head(origin, before, after)]
        for _, items in placed:
            actions += [_put_event(origin, item, expires_at) for item in items]
        count = len(actions) - 1
        actions += [_put_places(origin, piece, items, expires_at) for piece, items in placed]
        refused = transact(self._connection, actions)
        if not refused:
            return None
        return Refused(
            head=0 in refused,
            items=frozenset(number - 1 for number in refused if 1 <= number <= count),
        )

    def move_on(self, origin: Origin, before: Head, after: Head) -> bool:
        return not transact(self._connection, [_change_head(origin, before, after)])

    def ranks(self, origin: Origin, bundle: int) -> list[str]:
        rows = PlacesRow.query(
            origin.bundles_lane,
            PlacesRow.rank.startswith(f"{bundle:08d}#"),
            consistent_read=True,
        )
        return [rank for row in rows for rank in row.ranks.split()]

    def items(self, origin: Origin, ranks: Sequence[str]) -> dict[str, Item]:
        """Read the items in pages, in parallel."""
        pages = [ranks[start : start + KEYS_LIMIT] for start in range(0, len(ranks), KEYS_LIMIT)]
        found = self._run_all([partial(_items_of, origin, page) for page in pages])
        return {rank: item for page in found for rank, item in page.items()}

    def leave(self, origin: Origin, bundle: int) -> None:
        row = HeadRow(origin.bundles_lane, HEAD_RANK)
        # Unconditional because removing a number from a set twice is the same as once.
        write_alone(lambda: row.update(actions=[HeadRow.closing.delete({bundle})]))

    def forget(self, origin: Origin, now_ms: int) -> None:
        row = HeadRow(origin.bundles_lane, HEAD_RANK)
        expires_at = HeadRow.expires_at.set(now_ms // 1000 + EVENT_SECONDS)
        # Closes no race: the condition only prevents a head that consists of an expiry alone.
        exists = HeadRow.version.exists()
        write_alone(lambda: row.update(actions=[expires_at], condition=exists))

    def note_failure(self, origin: Origin, bundle: int, now_ms: int) -> None:
        expires_at = now_ms // 1000 + EVENT_SECONDS
        row = PlacesRow(origin.bundles_lane, _failed_rank(bundle), ranks="", expires_at=expires_at)
        row.save()  # unconditional because writing it twice is the same as once

    def has_failed(self, origin: Origin, bundle: int) -> bool:
        keys = [(origin.bundles_lane, _failed_rank(bundle))]
        return any(True for _ in PlacesRow.batch_get(keys, consistent_read=True))

    def forget_failure(self, origin: Origin, bundle: int) -> None:
        row = PlacesRow(origin.bundles_lane, _failed_rank(bundle))
        row.delete()  # unconditional because deletion is idempotent


def _failed_rank(bundle: int) -> str:
    return f"{bundle:08d}~failed"  # not a place: those have a # after the number


def _items_of(origin: Origin, ranks: Iterable[str]) -> dict[str, Item]:
    keys = [(origin.events_lane, rank) for rank in ranks]
    rows = EventRow.batch_get(keys, consistent_read=True)
    return {row.rank: Item.unpacked(row.event) for row in rows}


def _put_event(origin: Origin, item: Item, expires_at: int) -> Action:
    def action(transaction: TransactWrite) -> None:
        row = EventRow(origin.events_lane, item.rank, event=item.packed, expires_at=expires_at)
        # Closes the race between two deliveries of one event: the first one counts.
        transaction.save(row, condition=EventRow.lane.does_not_exist())

    return action


def _put_places(
    origin: Origin, piece: BundleSlice, items: Iterable[Item], expires_at: int
) -> Action:
    def action(transaction: TransactWrite) -> None:
        row = PlacesRow(
            origin.bundles_lane,
            f"{piece.bundle:08d}#{piece.position:05d}",
            ranks=" ".join(item.rank for item in items),
            expires_at=expires_at,
        )
        transaction.save(row)  # fenced by the head's condition: each place is given once

    return action


def _change_head(origin: Origin, before: Head, after: Head) -> Action:
    changes: list[Any] = [
        HeadRow.bundle.set(after.bundle),
        HeadRow.n_events.set(after.count),
        HeadRow.n_bytes.set(after.bytes),
        HeadRow.opened_at_ms.set(after.opened_at_ms),
        HeadRow.version.set(after.version),
    ]
    closing = after.closing - before.closing
    if closing:
        changes.append(HeadRow.closing.add(set(closing)))
    # Closes the race between two additions, and between an addition and a close.
    unchanged: Any = HeadRow.version == before.version
    if before.version == 0:
        unchanged = HeadRow.version.does_not_exist()

    def action(transaction: TransactWrite) -> None:
        row = HeadRow(origin.bundles_lane, HEAD_RANK)
        transaction.update(row, actions=changes, condition=unchanged)

    return action


def _head_from_row(row: HeadRow) -> Head:
    return Head(
        bundle=row.bundle,
        count=row.n_events,
        bytes=row.n_bytes,
        opened_at_ms=row.opened_at_ms,
        closing=frozenset(int(number) for number in row.closing or ()),
        version=row.version,
    )
