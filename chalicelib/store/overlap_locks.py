"""Overlap locks in the lanes table: the last job of each trigger with an overlap policy.

A lock changes in the transaction that writes the job (`JobStore.submit`), so that of two concurrent
firings the later one sees the job of the other.
"""

import json
from typing import Any

from pynamodb.connection import Connection
from pynamodb.transactions import TransactWrite

from chalicelib.core.triggers.overlap_lock import OverlapLock
from chalicelib.store.row_changes import changes_of
from chalicelib.store.tables import OverlapLockRow
from chalicelib.store.transactions import Action

OVERLAP_LOCKS_LANE = "/overlap-locks"
OVERLAP_LOCK_SECONDS = 366 * 24 * 3600  # longer than any job runs


class DynamoOverlapLockStore:
    """Takes the connection because the models must be bound to their tables before any use."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, trigger: str, uid: str) -> OverlapLock:
        keys = [(OVERLAP_LOCKS_LANE, _rank(trigger, uid))]
        for row in OverlapLockRow.batch_get(keys, consistent_read=True):
            return overlap_lock_from_row(row)
        return OverlapLock(trigger=trigger, uid=uid)


def overlap_lock_from_row(row: OverlapLockRow) -> OverlapLock:
    trigger, _, uid = row.rank.partition("#")
    return OverlapLock(
        trigger=trigger,
        uid=uid,
        version=row.version,
        last=row.last,
        earlier=tuple(json.loads(row.earlier)),
    )


def overlap_lock_action(overlap_lock: OverlapLock, expires_at: int) -> Action:
    """Return the action that writes a lock in place of the version before it."""
    row = OverlapLockRow(
        OVERLAP_LOCKS_LANE,
        _rank(overlap_lock.trigger, overlap_lock.uid),
        version=overlap_lock.version,
        last=overlap_lock.last,
        earlier=json.dumps(overlap_lock.earlier),
        expires_at=expires_at,
    )

    values = row.attribute_values
    changes = changes_of(OverlapLockRow, {"lane": row.lane, "rank": row.rank}, values)

    def action(transaction: TransactWrite) -> None:
        key = OverlapLockRow(row.lane, row.rank)
        transaction.update(key, actions=changes, condition=_unchanged(overlap_lock))

    return action


def _unchanged(overlap_lock: OverlapLock) -> Any:
    """Return the condition that closes the race of two firings: the later must see the other."""
    if overlap_lock.version == 1:
        return OverlapLockRow.lane.does_not_exist()
    return OverlapLockRow.version == overlap_lock.version - 1


def _rank(trigger: str, uid: str) -> str:
    return f"{trigger}#{uid}"
