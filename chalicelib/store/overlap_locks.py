"""Claims in the lanes table: of each trigger that heeds overlaps, whose job was the last.

A claim changes in the transaction that makes the job (`JobStore.submit`), so that of two firings at
once one is the later, and knows of the other.
"""

import json
from typing import Any

from pynamodb.connection import Connection
from pynamodb.transactions import TransactWrite

from chalicelib.core.triggers.overlap_lock import Claim
from chalicelib.store.tables import ClaimRow
from chalicelib.store.transactions import Action

CLAIMS_LANE = "/claims"
CLAIM_SECONDS = 366 * 24 * 3600  # longer than a job goes on


class ClaimLostError(Exception):
    """Another firing has taken the claim since it was read: to be read and decided again."""


class ClaimStore:
    """Takes the connection because the models must be bound to their tables before any use."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, trigger: str, incarnation: str) -> Claim:
        """The claim as it is, strongly consistent; one of version 0 where there is none."""
        keys = [(CLAIMS_LANE, _rank(trigger, incarnation))]
        for row in ClaimRow.batch_get(keys, consistent_read=True):
            return claim_of_row(row)
        return Claim(trigger=trigger, incarnation=incarnation)


def claim_of_row(row: ClaimRow) -> Claim:
    trigger, _, incarnation = row.rank.partition("#")
    return Claim(
        trigger=trigger,
        incarnation=incarnation,
        version=row.version,
        last=row.last,
        earlier=tuple(json.loads(row.earlier)),
    )


def claim_action(claim: Claim, expires_at: int) -> Action:
    """The write of a claim inside a transaction, in place of the version before it."""
    row = ClaimRow(
        CLAIMS_LANE,
        _rank(claim.trigger, claim.incarnation),
        version=claim.version,
        last=claim.last,
        earlier=json.dumps(claim.earlier),
        expires_at=expires_at,
    )

    def action(transaction: TransactWrite) -> None:
        transaction.save(row, condition=_unchanged(claim))

    return action


def _unchanged(claim: Claim) -> Any:
    """Closes the race of two firings: the later must know the job of the other."""
    if claim.version == 1:
        return ClaimRow.lane.does_not_exist()
    return ClaimRow.version == claim.version - 1


def _rank(trigger: str, incarnation: str) -> str:
    return f"{trigger}#{incarnation}"
