"""Which records of a batch are reported as failed: each message of a queue, a stream's first."""

from typing import Any

import pytest

from chalicelib.handlers.partial_batch import (
    batch_response,
    handle_groups,
    handle_messages,
    handle_stream,
)
from tests.support.settings import settings_of

MESSAGES = [{"messageId": f"m{number}", "body": str(number)} for number in range(4)]
RECORDS = [{"dynamodb": {"SequenceNumber": f"s{number}"}} for number in range(4)]


class Handler:
    """Returns what it is given, and fails for some of it."""

    def __init__(self, *failing: Any) -> None:
        self.failing = failing
        self.handled: list[Any] = []

    def __call__(self, one: Any) -> Any:
        self.handled.append(one)
        if one in self.failing:
            raise RuntimeError("no")
        return one


def test_every_message_is_handled_and_each_that_fails_is_reported() -> None:
    handler = Handler(MESSAGES[0], MESSAGES[2])
    results, failed = handle_messages(MESSAGES, handler, action="a")
    assert handler.handled == MESSAGES
    assert (results, failed) == ([MESSAGES[1], MESSAGES[3]], ["m0", "m2"])


def test_a_stream_stops_at_the_first_record_that_fails() -> None:
    handler = Handler(RECORDS[1], RECORDS[2])
    results, failed = handle_stream(RECORDS, handler, action="a")
    assert handler.handled == RECORDS[:2]
    assert (results, failed) == (RECORDS[:1], ["s1"])


def test_a_group_that_fails_fails_all_its_messages_and_no_other() -> None:
    groups = {"one": ["m0", "m2"], "two": ["m1"], "three": ["m3"]}
    handler = Handler("one")
    assert handle_groups(groups, handler, action="a") == ["m0", "m2"]
    assert handler.handled == ["one", "two", "three"]


def test_a_batch_without_failures_is_answered_with_none() -> None:
    assert handle_messages(MESSAGES, Handler(), action="a") == (MESSAGES, [])
    assert batch_response([], "dispatch", settings_of()) == {"batchItemFailures": []}


def test_a_record_is_reported_once() -> None:
    expected = [{"itemIdentifier": "m0"}, {"itemIdentifier": "m1"}]
    answer = batch_response(["m1", "m0", "m1"], "dispatch", settings_of())
    assert answer == {"batchItemFailures": expected}


def test_a_failure_is_logged_with_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    handle_messages(MESSAGES, Handler(MESSAGES[1]), action="wakes.unreadable")
    (record,) = caplog.records
    assert (vars(record)["action"], vars(record)["records"]) == ("wakes.unreadable", ["m1"])
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], RuntimeError)
