"""A busy DynamoDB: which refusals are tried again, for how long, and what remains in the end."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError
from pynamodb.exceptions import PutError, PynamoDBConnectionError, PynamoDBException

from chalicelib.ports import ContentionError
from chalicelib.store.connection import BUSY_TRIES, PatientConnection, is_overload
from chalicelib.store.tables import CatalogRow, JobRow
from chalicelib.store.transactions import put_action, transact, write_alone
from chalicelib.wiring import Ports
from tests.support.tables import NAMES

Json = dict[str, Any]
CANCELLED = "TransactionCanceledException"
BUSY = (
    "InternalServerError",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "ThrottlingException",
    "TransactionConflictException",
    "TransactionInProgressException",
)
BUSY_REASONS = (
    "ProvisionedThroughputExceeded",
    "RequestLimitExceeded",
    "ThrottlingError",
    "TransactionConflict",
    "TransactionInProgress",
)
LASTING = ("AccessDeniedException", "ResourceNotFoundException", "ValidationException")
LASTING_REASONS = ("AccessDenied", "ItemCollectionSizeLimitExceeded", "ValidationError")


def refusal(code: str, *reasons: str) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": code}}
    if reasons:
        response["CancellationReasons"] = [{"Code": reason} for reason in reasons]
    return ClientError(response, "operation")


def cancelled(*reasons: str) -> ClientError:
    return refusal(CANCELLED, *reasons)


class Endpoint:
    """A botocore client that gives these answers in turn, and the last one for ever."""

    _request_signer = None

    def __init__(self, *answers: ClientError | Json) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[str, Json]] = []

    def _make_api_call(self, operation: str, members: Json) -> Json:
        self.calls.append((operation, members))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, ClientError):
            raise answer
        return dict(answer)


class Stage:
    """The models' own connection, with an endpoint of the test behind it."""

    def __init__(self, ports: Ports) -> None:
        assert isinstance(ports.connection, PatientConnection)
        self.connection = ports.connection
        self.pauses: list[int] = []

    def answers(self, *answers: ClientError | Json) -> Endpoint:
        endpoint: Any = Endpoint(*answers)
        self.connection._client = endpoint
        made: Endpoint = endpoint
        return made


@pytest.fixture(name="stage")
def make_stage(ports: Ports) -> Iterator[Stage]:
    made = Stage(ports)
    with (
        mock.patch.object(made.connection, "_client", made.connection.client),
        mock.patch.object(made.connection, "_pause", made.pauses.append),
    ):
        yield made


def put(stage: Stage) -> tuple[int, ...]:
    return transact(stage.connection, [put_action(CatalogRow("kind", name)) for name in "ab"])


def save(stage: Stage) -> bool:
    return write_alone(lambda: CatalogRow("kind", "a").save(condition=CatalogRow.kind.exists()))


CALLS: dict[str, Callable[[Stage], object]] = {
    "a write": save,
    "a deletion": lambda stage: CatalogRow("kind", "a").delete(),
    "an update": lambda stage: CatalogRow("kind", "a").update(actions=[CatalogRow.used_by.add(1)]),
    "a transaction": put,
    "a batch of reads": lambda stage: list(CatalogRow.batch_get([("kind", "a")])),
    "a query": lambda stage: list(CatalogRow.query("kind")),
    "a query of the index": lambda stage: list(JobRow.by_status.query("q#RUNNING")),
}
each_call = pytest.mark.parametrize("name", CALLS)
NOTHING: Json = {
    "Items": [],
    "Count": 0,
    "ScannedCount": 0,
    "Responses": {NAMES["catalog"]: []},
    "Attributes": {"version": {"N": "1"}},
}


@pytest.mark.parametrize("code", BUSY)
@each_call
def test_a_call_that_finds_dynamodb_busy_is_made_again(stage: Stage, name: str, code: str) -> None:
    endpoint = stage.answers(refusal(code), refusal(code), NOTHING)
    CALLS[name](stage)
    assert (len(endpoint.calls), stage.pauses) == (3, [1, 2])


@each_call
def test_a_call_that_always_finds_it_busy_is_given_up(stage: Stage, name: str) -> None:
    endpoint = stage.answers(refusal("ThrottlingException"))
    with pytest.raises(ContentionError) as caught:
        CALLS[name](stage)
    assert (len(endpoint.calls), len(stage.pauses)) == (BUSY_TRIES, BUSY_TRIES - 1)
    assert is_overload(caught.value)


@pytest.mark.parametrize("code", LASTING)
@each_call
def test_any_other_refusal_is_raised_at_once(stage: Stage, name: str, code: str) -> None:
    endpoint = stage.answers(refusal(code))
    with pytest.raises(PynamoDBException) as caught:
        CALLS[name](stage)
    assert (len(endpoint.calls), stage.pauses) == (1, [])
    assert not is_overload(caught.value)


@pytest.mark.parametrize("beside", ["None", *BUSY_REASONS, *LASTING_REASONS])
@pytest.mark.parametrize("reason", BUSY_REASONS)
def test_a_transaction_cancelled_by_a_busy_item_is_sent_again(
    stage: Stage, reason: str, beside: str
) -> None:
    """Also beside a lasting reason, which is the only one left once the item is free."""
    endpoint = stage.answers(cancelled(reason, beside), cancelled(beside, reason), {})
    assert put(stage) == ()
    assert (len(endpoint.calls), stage.pauses) == (3, [1, 2])


@pytest.mark.parametrize("reason", BUSY_REASONS)
def test_a_transaction_that_always_finds_a_busy_item_is_given_up(stage: Stage, reason: str) -> None:
    endpoint = stage.answers(cancelled("None", reason))
    with pytest.raises(ContentionError):
        put(stage)
    assert len(endpoint.calls) == BUSY_TRIES


@pytest.mark.parametrize("beside", ["None", *BUSY_REASONS, *LASTING_REASONS])
def test_a_condition_that_does_not_hold_is_an_answer_whatever_else_was_wrong(
    stage: Stage, beside: str
) -> None:
    endpoint = stage.answers(cancelled(beside, "ConditionalCheckFailed"))
    assert put(stage) == (1,)
    assert (len(endpoint.calls), stage.pauses) == (1, [])


@pytest.mark.parametrize("reason", LASTING_REASONS)
def test_a_transaction_that_can_never_be_written_fails_at_once(stage: Stage, reason: str) -> None:
    endpoint = stage.answers(cancelled("None", reason))
    with pytest.raises(PynamoDBException) as caught:
        put(stage)
    assert len(endpoint.calls) == 1
    assert not is_overload(caught.value)


def test_a_condition_of_a_single_write_is_an_answer(stage: Stage) -> None:
    stage.answers(refusal("ConditionalCheckFailedException"))
    assert not save(stage)
    stage.answers({})
    assert save(stage)
    assert stage.pauses == []


def test_a_transaction_is_sent_again_under_its_first_token(ports: Ports) -> None:
    """So it counts once, even if DynamoDB wrote it and the answer was lost."""
    tokens: list[str] = []
    connection = ports.connection
    events = connection.client.meta.events

    def refuse(params: Json, **_: Any) -> None:
        tokens.append(json.loads(params["body"])["ClientRequestToken"])
        if len(tokens) < 3:
            raise refusal("InternalServerError")

    events.register_first("before-call.dynamodb.TransactWriteItems", refuse)
    try:
        assert transact(connection, [put_action(CatalogRow("kind", "a"))]) == ()
    finally:
        events.unregister("before-call.dynamodb.TransactWriteItems", refuse)
    assert len(tokens) == 3
    assert len(set(tokens)) == 1


# Batches of reads, of which a throttled table leaves some out


def read_batch(*names: str) -> list[str]:
    return sorted(row.name for row in CatalogRow.batch_get([("kind", name) for name in names]))


def page(*found: str, left: str = "") -> Json:
    table = CatalogRow.Meta.table_name
    items = [{"kind": {"S": "kind"}, "name": {"S": name}} for name in found]
    keys = [{"kind": {"S": "kind"}, "name": {"S": name}} for name in left]
    return {
        "Responses": {table: items},
        "UnprocessedKeys": {table: {"Keys": keys}} if keys else {},
    }


def test_keys_that_a_batch_left_out_are_read_after_a_pause(stage: Stage) -> None:
    endpoint = stage.answers(page("a", left="bc"), page("b", left="c"), page(left="c"), page("c"))
    assert read_batch("a", "b", "c") == ["a", "b", "c"]
    asked = [members["RequestItems"] for _, members in endpoint.calls]
    assert len(asked) == 4
    assert asked[2] == page(left="c")["UnprocessedKeys"]
    assert stage.pauses == [1, 1, 2]


def test_a_batch_that_makes_no_progress_is_given_up(stage: Stage) -> None:
    endpoint = stage.answers(page(left="ab"))
    with pytest.raises(ContentionError):
        read_batch("a", "b")
    assert len(endpoint.calls) == BUSY_TRIES


# What an overload is


@pytest.mark.parametrize(
    ("error", "overload"),
    [
        (PutError("x", refusal("ProvisionedThroughputExceededException")), True),
        (PutError("x", refusal("ThrottlingException")), True),
        (PutError("x", refusal("RequestLimitExceeded")), True),
        (PutError("x", refusal("ValidationException")), False),
        (refusal("ThrottlingException"), True),  # of ECS, Step Functions
        (refusal("RequestThrottled"), True),  # of SQS
        (refusal("AccessDeniedException"), False),
        (PynamoDBConnectionError("x"), False),
        (ValueError("ThrottlingException"), False),
    ],
)
def test_overload_is_distinguished_from_failure(error: Exception, overload: bool) -> None:
    assert is_overload(error) == overload
