"""The rules for retry strategy, timeout and priority, which definitions and submissions share.

How a finished attempt is judged by them is not known here; the lifecycle knows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from chalicelib.core.errors import ClientError

DEFAULT_STRATEGY: Mapping[str, Any] = {"attempts": 1, "evaluateOnExit": []}

_MOST_ATTEMPTS = 10
_MOST_RULES = 5
_PATTERN_LENGTH = 512
_SHORTEST_TIMEOUT_SECONDS = 60
_HIGHEST_PRIORITY = 9999

_EXIT_CODE_PATTERN = re.compile(r"[0-9]*\*?")
# A star stands for any ending, so it is allowed as the last character only.
_REASON_PATTERN = re.compile(r"[^*]*\*?", re.DOTALL)
_CONDITIONS: Mapping[str, re.Pattern[str]] = {
    "onExitCode": _EXIT_CODE_PATTERN,
    "onReason": _REASON_PATTERN,
    "onStatusReason": _REASON_PATTERN,
}


def validate_retry_strategy(strategy: Mapping[str, Any]) -> dict[str, Any]:
    """Return the strategy with its list of rules, their actions in lower case as AWS answers them.

    Refuses counts and patterns out of range.
    """
    attempts = strategy.get("attempts")
    if attempts is None:
        raise ClientError("RetryAttempts must be provided with retry strategy.")
    if not 1 <= attempts <= _MOST_ATTEMPTS:
        raise ClientError(f"RetryAttempts must be between 1 and {_MOST_ATTEMPTS}.")
    rules = strategy.get("evaluateOnExit", [])
    if len(rules) > _MOST_RULES:
        raise ClientError(f"Up to {_MOST_RULES} evaluateOnExit condition can be specified.")
    for rule in rules:
        _validate_rule(rule)
    return {
        "attempts": attempts,
        "evaluateOnExit": [{**rule, "action": rule["action"].lower()} for rule in rules],
    }


def _validate_rule(rule: Mapping[str, Any]) -> None:
    patterns = {name: rule[name] for name in _CONDITIONS if rule.get(name)}
    if not patterns:
        raise ClientError(
            "EvaluateOnExit should contain at least one of onExitCode, onReason or onStatusReason."
        )
    for name, pattern in patterns.items():
        if len(pattern) > _PATTERN_LENGTH:
            raise ClientError(
                f"Evaluate on exit condition cannot exceed {_PATTERN_LENGTH} characters."
            )
        if _CONDITIONS[name].fullmatch(pattern) is None:
            raise ClientError("Evaluate on exit condition contains restricted characters.")


def validate_timeout(timeout: Mapping[str, Any]) -> None:
    """Refuse an attempt duration below 60 seconds; a timeout without one means no limit."""
    seconds = timeout.get("attemptDurationSeconds")
    if seconds is not None and seconds < _SHORTEST_TIMEOUT_SECONDS:
        raise ClientError(
            "AttemptDurationSeconds in Timeout must be at least "
            f"{_SHORTEST_TIMEOUT_SECONDS} seconds."
        )


def validate_scheduling_priority(priority: int) -> None:
    """Refuse a priority that is not 0 to 9999."""
    if not 0 <= priority <= _HIGHEST_PRIORITY:
        raise ClientError(f"Scheduling priority must be between 0 and {_HIGHEST_PRIORITY}.")
