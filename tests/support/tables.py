"""The three tables in moto's DynamoDB, made as the stack declares them, and their streams.

Tables are emptied by making them again; the connection is made once for the whole test run, because
a botocore client costs more than all the calls of a test.
"""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from unittest import mock

import boto3
from moto import mock_aws
from moto.dynamodb.models import dynamodb_backends
from pynamodb.connection import Connection

from chalicelib.store.tables import bind
from tests.support import short_wire, stack

_TAKEN = ("TableName", "BillingMode", "AttributeDefinitions", "KeySchema")
NAMES = {role: f"{stack.STACK}-{role}" for role in ("jobs", "lanes", "catalog")}

Json = dict[str, Any]
Drain = Callable[[], Iterable[Json]]


@lru_cache(maxsize=1)
def connection() -> Connection:
    """Return the connection that the models of this process use, with moto behind it."""
    with no_account():
        bound = bind(region=stack.REGION, pause=lambda number: None, **NAMES)
        answer_from_moto(bound.client)
    return bound


@lru_cache(maxsize=1)
def _client() -> Any:
    with no_account():
        made = boto3.client("dynamodb", region_name=stack.REGION)
    answer_from_moto(made)
    return made


@contextmanager
def no_account() -> Iterator[None]:
    """Give clients made in this block credentials that no account accepts.

    moto's own mock ends with it, so that tests with mocks of their own begin with an empty one.
    """
    with mock.patch.dict(os.environ, {"AWS_DEFAULT_REGION": stack.REGION}), mock_aws():
        yield


def answer_from_moto(client: Any) -> None:
    """Have a client of DynamoDB answered by moto's tables of this process."""
    # After those who only watch the calls: the first that answers is the last that is asked.
    client.meta.events.register_last("before-call.dynamodb", short_wire.answer)


def make_tables() -> None:
    """Make three empty tables, whatever was there before."""
    connection()
    backend = dynamodb_backends[stack.ACCOUNT][stack.REGION]
    for role, name in NAMES.items():
        backend.tables.pop(name, None)
        declared = stack.properties(f"{role.capitalize()}Table")
        assert declared["TableName"] == name
        taken = {key: declared[key] for key in _TAKEN}
        if "GlobalSecondaryIndexes" in declared:
            taken["GlobalSecondaryIndexes"] = declared["GlobalSecondaryIndexes"]
        if "StreamSpecification" in declared:
            taken["StreamSpecification"] = {
                "StreamEnabled": True,
                **declared["StreamSpecification"],
            }
        _client().create_table(**taken)


class Stream:
    """The records of one table's stream that the function of a mapping has not seen yet.

    `drain` returns what the table wrote since it was last called.
    """

    def __init__(self, role: str, mapping: str, drain: Drain, now_ms: Callable[[], int]) -> None:
        self._name = NAMES[role]
        self._drain = drain
        self._now_ms = now_ms
        declared = stack.properties(mapping)
        pattern = declared["FilterCriteria"]["Filters"][0]["Pattern"]
        self._pattern: Json = stack.pattern(pattern)
        assert declared["MaximumRetryAttempts"] == -1, "no number of tries drops a record"
        self.age_limit_ms = int(declared["MaximumRecordAgeInSeconds"]) * 1000
        self.held_until_ms = 0
        self.batch_size = int(declared["BatchSize"])
        self._numbers = itertools.count(1)
        self.records: list[Json] = []
        self.dead: list[Json] = []
        self.tries = 0

    def age_ms(self) -> int:
        """Return how old the first record is."""
        written_at = int(self.records[0]["dynamodb"]["ApproximateCreationDateTime"])
        return self._now_ms() - written_at * 1000

    def draw(self) -> None:
        """Add what the table wrote since the last time, as far as the filter passes it."""
        for written in self._drain():
            # Counted, not random: a failing run can be repeated.
            number = next(self._numbers)
            change = {
                **written["dynamodb"],
                "SequenceNumber": f"{number:021d}",
                "ApproximateCreationDateTime": self._now_ms() // 1000,
            }
            record = {**written, "eventID": f"{self._name}-{number}", "dynamodb": change}
            if stack.matches(self._pattern, record):
                self.records.append(record)


def drain(role: str) -> list[Json]:
    """Return a table's stream records in moto's DynamoDB since the last call."""
    shard = dynamodb_backends[stack.ACCOUNT][stack.REGION].tables[NAMES[role]].stream_shard
    assert shard is not None
    records = [item.record for item in shard.items]
    # moto copies the shard with every transaction; a drawn record is of no more use there.
    shard.items.clear()
    return records


def watch_calls(on_call: Callable[[str], None]) -> Callable[[], None]:
    """Report each call to DynamoDB before it is made; return what ends that."""
    events = connection().client.meta.events

    def before(model: Any, **_: Any) -> None:
        on_call(f"dynamodb.{model.name}")

    events.register("before-call.dynamodb", before, unique_id="world")
    return lambda: events.unregister("before-call.dynamodb", unique_id="world")
