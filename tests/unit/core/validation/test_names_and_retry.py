"""Names, tags, retry strategies, timeouts."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.core.errors import ClientError
from chalicelib.core.validation.names import (
    NamedResource,
    merge_tags,
    validate_job_name,
    validate_name,
    validate_tags,
)
from chalicelib.core.validation.retry import validate_retry_strategy, validate_timeout


def rules(*conditions: dict[str, str]) -> dict[str, Any]:
    return {
        "attempts": 3,
        "evaluateOnExit": [condition | {"action": "EXIT"} for condition in conditions],
    }


def strategy_refusal(strategy: dict[str, Any]) -> str:
    with pytest.raises(ClientError) as caught:
        validate_retry_strategy(strategy)
    return caught.value.message


@pytest.mark.parametrize("name", ["a", "_", "-a", "x" * 128, "A_b-3"])
def test_right_names(name: str) -> None:
    validate_name(NamedResource.JOB_QUEUE, name)


@pytest.mark.parametrize("name", ["", "x" * 129, "a b", "a/b", "a\n", "\u00e9"])
def test_wrong_names(name: str) -> None:
    with pytest.raises(ClientError, match="Job Queue name should match a valid pattern"):
        validate_name(NamedResource.JOB_QUEUE, name)


@pytest.mark.parametrize("name", ["", "-a", "_a", "x" * 129, "a.b", "a\n"])
def test_wrong_job_names(name: str) -> None:
    with pytest.raises(ClientError, match="Job name should match valid pattern"):
        validate_job_name(name)


@pytest.mark.parametrize(
    "tags",
    [
        {str(n): "" for n in range(51)},
        {"": "v"},
        {"k" * 129: "v"},
        {"k": "v" * 257},
        {"aws:k": "v"},
        {"AWS:k": "v"},
    ],
)
def test_wrong_tags(tags: dict[str, str]) -> None:
    with pytest.raises(ClientError):
        validate_tags(tags)


def test_right_tags() -> None:
    validate_tags({"k" * 128: "v" * 256, "awsome": "", **{str(n): "" for n in range(48)}})


def test_tags_of_the_job_win() -> None:
    assert merge_tags({"a": "1", "b": "1"}, {"b": "2"}) == {"a": "1", "b": "2"}


def test_too_many_tags_together() -> None:
    with pytest.raises(ClientError, match="must be at most 50, got 51"):
        merge_tags({str(n): "" for n in range(30)}, {f"j{n}": "" for n in range(21)})


@pytest.mark.parametrize(
    ("strategy", "sentence"),
    [
        ({}, "RetryAttempts must be provided with retry strategy."),
        ({"attempts": 0}, "RetryAttempts must be between 1 and 10."),
        ({"attempts": 11}, "RetryAttempts must be between 1 and 10."),
        (
            rules(*[{"onExitCode": "1"}] * 6),
            "Up to 5 evaluateOnExit condition can be specified.",
        ),
        (
            rules({}),
            "EvaluateOnExit should contain at least one of onExitCode, onReason or onStatusReason.",
        ),
        (
            rules({"onReason": "x" * 513}),
            "Evaluate on exit condition cannot exceed 512 characters.",
        ),
    ],
)
def test_wrong_strategies(strategy: dict[str, Any], sentence: str) -> None:
    assert strategy_refusal(strategy) == sentence


@pytest.mark.parametrize(
    "condition",
    [
        {"onExitCode": "x"},
        {"onExitCode": "*1"},
        {"onExitCode": "1*1"},
        {"onExitCode": "-1"},
        {"onReason": "*Error"},
        {"onStatusReason": "Host*EC2*"},
    ],
)
def test_wrong_patterns(condition: dict[str, str]) -> None:
    sentence = "Evaluate on exit condition contains restricted characters."
    assert strategy_refusal(rules(condition)) == sentence


def test_a_right_strategy_has_its_rules() -> None:
    patterns = rules({"onExitCode": "13*"}, {"onReason": "*"}, {"onStatusReason": "Host EC2*"})
    stored = validate_retry_strategy(patterns)["evaluateOnExit"]
    # AWS answers an action in lower case.
    assert stored == [rule | {"action": "exit"} for rule in patterns["evaluateOnExit"]]
    assert validate_retry_strategy({"attempts": 1}) == {"attempts": 1, "evaluateOnExit": []}


def test_timeouts() -> None:
    for timeout in ({}, {"attemptDurationSeconds": 60}):
        validate_timeout(timeout)
    with pytest.raises(ClientError, match="must be at least 60 seconds"):
        validate_timeout({"attemptDurationSeconds": 59})
