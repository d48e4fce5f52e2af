"""Transactions and single writes: refusal, contention, overload."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pynamodb.connection import Connection
from pynamodb.exceptions import (
    CancellationReason,
    PutError,
    PynamoDBConnectionError,
    TransactWriteError,
    VerboseClientError,
)

from chalicelib.ports import ContentionError
from chalicelib.store.tables import CatalogRow
from chalicelib.store.transactions import (
    CONTENTION_TRIES,
    Action,
    is_overload,
    transact,
    write_alone,
)
from chalicelib.wiring import Ports
from tests.support.tables import connection

OPERATION = "TransactWriteItems"


def client_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, "PutItem")


def cancelled(*codes: str | None) -> TransactWriteError:
    cause = VerboseClientError(
        {"Error": {"Code": "TransactionCanceledException", "Message": "cancelled"}},
        OPERATION,
        {},
        cancellation_reasons=[CancellationReason(code=code) if code else None for code in codes],
    )
    return TransactWriteError("cancelled", cause)


class Refusing:
    """A connection whose transactions fail with the given errors in turn, and then succeed."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def transact_write_items(self, **_: Any) -> None:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)


def carried_out(
    given: Refusing, actions: list[Action] | None = None
) -> tuple[tuple[int, ...], list[int]]:
    """Return the result of `transact`, and the pauses it made."""
    pauses: list[int] = []
    fake: Any = given
    return transact(fake, actions or [], pauses.append), pauses


def put(name: str, condition: Any = None) -> Action:
    return lambda transaction: transaction.save(CatalogRow("kind", name), condition=condition)


def add(name: str, condition: Any = None) -> Action:
    return lambda transaction: transaction.update(
        CatalogRow("kind", name), actions=[CatalogRow.used_by.add(1)], condition=condition
    )


def delete(name: str, condition: Any = None) -> Action:
    return lambda transaction: transaction.delete(CatalogRow("kind", name), condition=condition)


def test_refused_actions_are_numbered_as_added_whatever_the_order_of_sending(ports: Ports) -> None:
    """PynamoDB sends deletions before puts and puts before updates."""
    present, absent = CatalogRow.kind.exists(), CatalogRow.kind.does_not_exist()
    shared: Connection = ports.connection
    transact(shared, [put("there"), put("too")], lambda number: None)
    actions = [
        add("a", absent),
        put("b", present),  # refused
        delete("there", present),
        put("c", absent),
        add("too", absent),  # refused
        delete("d", present),  # refused
        put("e"),
    ]
    assert transact(shared, actions, lambda number: None) == (1, 4, 5)
    names = {row.name for row in CatalogRow.query("kind", consistent_read=True)}
    assert names == {"there", "too"}


@pytest.mark.parametrize("code", ["TransactionConflict", "ThrottlingError"])
def test_contention_is_retried_after_a_longer_pause_each_time(code: str) -> None:
    refusing = Refusing(cancelled(None, code), cancelled(code, "None"))
    assert carried_out(refusing) == ((), [1, 2])
    assert refusing.calls == 3


def test_a_transaction_in_progress_is_contention() -> None:
    busy = TransactWriteError("busy", client_error("TransactionInProgressException"))
    assert carried_out(Refusing(busy)) == ((), [1])


def test_a_failed_condition_takes_precedence_over_contention() -> None:
    refusing = Refusing(cancelled("TransactionConflict", "ConditionalCheckFailed"))
    assert carried_out(refusing, [put("a"), put("b")]) == ((1,), [])


def test_lasting_contention_is_an_error_after_a_fixed_number_of_tries() -> None:
    refusing = Refusing(*[cancelled("TransactionConflict")] * 99)
    with pytest.raises(ContentionError) as caught:
        carried_out(refusing)
    assert refusing.calls == CONTENTION_TRIES
    assert is_overload(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        cancelled("ValidationError"),
        cancelled("ItemCollectionSizeLimitExceeded", "TransactionConflict"),
        TransactWriteError("no", client_error("AccessDeniedException")),
    ],
)
def test_any_other_failure_is_raised(error: Exception) -> None:
    refusing = Refusing(error)
    with pytest.raises(TransactWriteError):
        carried_out(refusing)
    assert refusing.calls == 1


def failing(*codes: str) -> Callable[[], None]:
    left = list(codes)

    def write() -> None:
        if left:
            raise PutError("no", client_error(left.pop(0)))

    return write


def test_a_single_write_returns_whether_its_condition_held() -> None:
    pauses: list[int] = []
    assert write_alone(failing(), pauses.append)
    assert not write_alone(failing("ConditionalCheckFailedException"), pauses.append)
    assert pauses == []


def test_a_single_write_waits_for_a_transaction_on_its_item() -> None:
    pauses: list[int] = []
    conflict = "TransactionConflictException"
    assert write_alone(failing(conflict, conflict), pauses.append)
    assert pauses == [1, 2]
    with pytest.raises(ContentionError):
        write_alone(failing(*[conflict] * 99), pauses.append)


def test_a_single_write_raises_any_other_failure() -> None:
    with pytest.raises(PutError):
        write_alone(failing("ValidationException"), lambda number: None)


@pytest.mark.parametrize(
    ("error", "overload"),
    [
        (PutError("x", client_error("ProvisionedThroughputExceededException")), True),
        (PutError("x", client_error("ThrottlingException")), True),
        (PutError("x", client_error("RequestLimitExceeded")), True),
        (PutError("x", client_error("ValidationException")), False),
        (PynamoDBConnectionError("x"), False),
        (ValueError("ThrottlingException"), False),
    ],
)
def test_overload_is_distinguished_from_failure(error: Exception, overload: bool) -> None:
    assert is_overload(error) == overload


def test_the_models_share_one_connection(ports: Ports) -> None:
    assert ports.connection is connection()
