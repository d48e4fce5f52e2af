"""The three tables in moto's DynamoDB, made as the stack declares them, and their streams.

Tables are emptied by being made anew; the connection is made once for the whole test run, because a
botocore client costs more than all the calls of a test.
"""

import itertools
import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from unittest import mock

import boto3
from moto import mock_aws
from moto.dynamodb.models import dynamodb_backends
from pynamodb.connection import Connection

from chalicelib.store.tables import bind
from tests.support import stack

_TAKEN = ("TableName", "BillingMode", "AttributeDefinitions", "KeySchema")
NAMES = {role: f"{stack.STACK}-{role}" for role in ("jobs", "lanes", "catalog")}

Json = dict[str, Any]


@lru_cache(maxsize=1)
def connection() -> Connection:
    """The connection that the models of this process are bound to, with moto behind it."""
    # For the whole of the process: what is left of it goes with the process.
    mock.patch.dict(os.environ, {"AWS_DEFAULT_REGION": stack.REGION}).start()
    mock_aws().start()
    return bind(region=stack.REGION, **NAMES)


@lru_cache(maxsize=1)
def _client() -> Any:
    connection()
    return boto3.client("dynamodb", region_name=stack.REGION)


def make_tables() -> None:
    """Three empty tables, whatever was there before."""
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
    """The records of one table's stream that the function of a mapping has yet to see."""

    def __init__(self, role: str, mapping: str) -> None:
        self._name = NAMES[role]
        declared = stack.properties(mapping)
        pattern = declared["FilterCriteria"]["Filters"][0]["Pattern"]
        self._pattern: Json = stack.pattern(pattern)
        self.tries_limit = int(declared["MaximumRetryAttempts"])
        self.batch_size = int(declared["BatchSize"])
        self._numbers = itertools.count(1)
        self.records: list[Json] = []
        self.dead: list[Json] = []
        self.tries = 0

    def draw(self) -> None:
        """Take over what the table wrote since the last time, as far as the filter lets it."""
        shard = dynamodb_backends[stack.ACCOUNT][stack.REGION].tables[self._name].stream_shard
        assert shard is not None
        for item in shard.items:
            # Counted, not random: a failing run can be told again. The images are moto's own.
            number = next(self._numbers)
            change = {**item.record["dynamodb"], "SequenceNumber": f"{number:021d}"}
            record = {**item.record, "eventID": f"{self._name}-{number}", "dynamodb": change}
            if stack.matches(self._pattern, record):
                self.records.append(record)
        # moto copies the shard with every transaction; a drawn record is of no more use there.
        shard.items.clear()


def watch_calls(on_call: Callable[[str], None]) -> Callable[[], None]:
    """Tell each call to DynamoDB before it is made; returns what ends that."""
    events = connection().client.meta.events

    def before(model: Any, **_: Any) -> None:
        on_call(f"dynamodb.{model.name}")

    events.register("before-call.dynamodb", before, unique_id="world")
    return lambda: events.unregister("before-call.dynamodb", unique_id="world")
