"""One DynamoDB write or transaction: sent, and retried on contention.

DynamoDB cancels a transaction because a condition does not hold, which is a result for the caller,
or because another transaction is using an item, which is retried after a short pause.
"""

from collections.abc import Callable, Sequence
from typing import Any

from pynamodb.connection import Connection
from pynamodb.exceptions import PynamoDBException, TransactWriteError
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from chalicelib.ports import ContentionError

ACTIONS_LIMIT = 100  # DynamoDB's limit on the actions of one transaction
CONTENTION_TRIES = 8

Action = Callable[[TransactWrite], None]
Pause = Callable[[int], None]


_THROTTLED = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "TransactionInProgressException",
    }
)


def is_overload(error: BaseException) -> bool:
    """Return whether the error is contention, or DynamoDB throttling its caller."""
    if isinstance(error, ContentionError):
        return True
    return isinstance(error, PynamoDBException) and error.cause_response_code in _THROTTLED


def write_alone(write: Callable[[], object], pause: Pause) -> bool:
    """Make one conditional write outside a transaction; False when its condition does not hold."""
    for number in range(1, CONTENTION_TRIES + 1):
        try:
            write()
        except PynamoDBException as error:
            if error.cause_response_code == "ConditionalCheckFailedException":
                return False
            if error.cause_response_code != "TransactionConflictException":
                raise
            pause(number)  # a transaction is writing the same item
        else:
            return True
    raise ContentionError(f"1 write, {CONTENTION_TRIES} tries")


def transact(connection: Connection, actions: Sequence[Action], pause: Pause) -> tuple[int, ...]:
    """Carry out all `actions` or none; return the numbers of those whose condition failed.

    An empty result means that everything is written. `pause(n)` waits before try n + 1.
    """
    for number in range(1, CONTENTION_TRIES + 1):
        refused = _attempt(connection, actions)
        if refused is not None:
            return refused
        pause(number)
    raise ContentionError(f"{len(actions)} actions, {CONTENTION_TRIES} tries")


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


def _attempt(connection: Connection, actions: Sequence[Action]) -> tuple[int, ...] | None:
    """Send once. Return the refused actions; none when all is written, None on contention."""
    sent = _Transaction(connection)
    try:
        with sent as transaction:
            for action in actions:
                action(transaction)
    except TransactWriteError as error:
        if error.cause_response_code == "TransactionInProgressException":
            return None
        if error.cause_response_code != "TransactionCanceledException":
            raise
        codes = [reason.code if reason else "" for reason in error.cancellation_reasons]
        numbers = sent.numbers_as_sent()
        failed = [numbers[i] for i, code in enumerate(codes) if code == "ConditionalCheckFailed"]
        if failed:
            return tuple(sorted(failed))
        if all(code in {"", "None", "TransactionConflict", "ThrottlingError"} for code in codes):
            return None
        raise
    return ()
