"""One DynamoDB write or transaction, and which of its conditions did not hold.

That is a result for the caller. A busy item is none: the connection tries again (`connection.py`).
"""

from collections.abc import Callable, Sequence
from typing import Any

from pynamodb.connection import Connection
from pynamodb.exceptions import PynamoDBException, TransactWriteError
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from chalicelib.store.connection import CANCELLED, CONDITION_FAILED

ACTIONS_LIMIT = 100  # DynamoDB's limit on the actions of one transaction

Action = Callable[[TransactWrite], None]


def write_alone(write: Callable[[], object]) -> bool:
    """Make one conditional write outside a transaction; False when its condition does not hold."""
    try:
        write()
    except PynamoDBException as error:
        if error.cause_response_code == "ConditionalCheckFailedException":
            return False
        raise
    return True


def transact(connection: Connection, actions: Sequence[Action]) -> tuple[int, ...]:
    """Carry out all `actions` or none; return the numbers of those whose condition failed.

    An empty result means that everything is written.
    """
    sent = _Transaction(connection)
    try:
        with sent as transaction:
            for action in actions:
                action(transaction)
    except TransactWriteError as error:
        if error.cause_response_code != CANCELLED:
            raise
        codes = [reason.code if reason else "" for reason in error.cancellation_reasons]
        numbers = sent.numbers_as_sent()
        failed = [numbers[i] for i, code in enumerate(codes) if code == CONDITION_FAILED]
        if not failed:
            raise
        return tuple(sorted(failed))
    return ()


def put_action(row: Model, condition: Any = None) -> Action:
    """Return the action that puts a row. Without a condition its caller says what fences it."""

    def action(transaction: TransactWrite) -> None:
        transaction.save(row, condition=condition)

    return action


class _Transaction(TransactWrite):
    """A transaction that knows the position of each of its actions in the request.

    PynamoDB sends checks first, then deletions, puts and updates, and DynamoDB returns its reasons
    in that order.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection=connection)
        self._kinds: list[int] = []

    def condition_check(self, *args: Any, **kwargs: Any) -> None:
        self._kinds.append(-1)
        super().condition_check(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> None:
        self._kinds.append(0)
        super().delete(*args, **kwargs)

    def save(self, *args: Any, **kwargs: Any) -> None:
        self._kinds.append(1)
        super().save(*args, **kwargs)

    def update(self, *args: Any, **kwargs: Any) -> None:
        self._kinds.append(2)
        super().update(*args, **kwargs)

    def numbers_as_sent(self) -> list[int]:
        """Return the numbers of the actions, as they were added, in the order of sending."""
        return sorted(range(len(self._kinds)), key=self._kinds.__getitem__)
