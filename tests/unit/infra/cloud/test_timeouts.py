"""How long a call of a function to AWS may take, compared with how long the function may run."""

from typing import Any

import pytest

from chalicelib.store.connection import BUSY_TRIES, PatientConnection
from chalicelib.timeouts import ATTEMPTS, BACKOFF_SECONDS, CONNECT_SECONDS, READ_SECONDS
from chalicelib.timeouts import longest_call_seconds as longest
from chalicelib.wiring import LONGEST_PAUSE_SECONDS, Ports
from tests.support import stack
from tests.support.settings import settings_of

PAUSES_SECONDS = BUSY_TRIES * LONGEST_PAUSE_SECONDS
FUNCTIONS = {
    name: int(one["Properties"]["Timeout"])
    for name, one in stack.template()["Resources"].items()
    if "Timeout" in one.get("Properties", {}) and "MemorySize" in one["Properties"]
}


def test_the_template_sets_a_timeout_for_every_function() -> None:
    assert {"APIHandler", "React", "Dispatch", "TaskEvents", "Sweep", "Submit"} <= set(FUNCTIONS)
    assert len(FUNCTIONS) >= 10


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_a_call_that_gets_no_answer_ends_before_its_function(function: str) -> None:
    assert longest() < FUNCTIONS[function]


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_a_call_that_always_finds_dynamodb_busy_ends_before_its_function(function: str) -> None:
    """botocore waits for a second at most before its own second attempt at a throttled call."""
    assert FUNCTIONS[function] > PAUSES_SECONDS + BUSY_TRIES * 1.0


@pytest.mark.parametrize(
    "name", ["ec2", "ecs", "events", "scheduler", "s3", "sqs", "stepfunctions"]
)
def test_every_client_has_these_time_outs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    check(Ports(settings_of())._client(name).meta.config)


def test_the_connection_to_dynamodb_has_these_time_outs() -> None:
    connection = PatientConnection(region="us-east-1", pause=lambda number: None)
    check(connection.client.meta.config)


def check(config: Any) -> None:
    assert (config.connect_timeout, config.read_timeout) == (CONNECT_SECONDS, READ_SECONDS)
    assert config.retries == {"total_max_attempts": ATTEMPTS, "mode": "standard"}


def test_the_longest_call_is_every_attempt_with_the_waits_between() -> None:
    waits = (ATTEMPTS - 1) * BACKOFF_SECONDS
    assert longest() == ATTEMPTS * (CONNECT_SECONDS + READ_SECONDS) + waits
