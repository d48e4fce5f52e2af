"""Retries: which attempt is followed by another (reference: AWS Batch's automated retries)."""

from typing import Any

import pytest

from chalicelib.core.retry import ExitRule, RetryAction, RetryDecision, RetryStrategy, decide_retry

RETRY, EXIT = RetryAction.RETRY, RetryAction.EXIT


def decided(*rules: ExitRule, attempt: int = 1, attempts: int = 3, **facts: Any) -> RetryDecision:
    given = {"status_reason": "exited", "reason": None, "exit_code": 1} | facts
    return decide_retry(RetryStrategy(attempts=attempts, rules=rules), attempt, **given)


@pytest.mark.parametrize(("attempt", "action"), [(1, RETRY), (2, RETRY), (3, EXIT), (4, EXIT)])
def test_without_rules_the_number_of_attempts_decides(attempt: int, action: RetryAction) -> None:
    assert decided(attempt=attempt).action is action


def test_a_strategy_is_one_attempt_unless_it_says_more() -> None:
    decision = decide_retry(RetryStrategy(), 1, status_reason="x", reason=None, exit_code=1)
    assert decision.action is EXIT


def test_no_rule_can_grant_more_attempts() -> None:
    assert decided(ExitRule(action=RETRY), attempt=3).action is EXIT


def test_the_first_rule_that_matches_wins() -> None:
    first = ExitRule(action=EXIT, on_exit_code="1")
    second = ExitRule(action=RETRY, on_exit_code="*")
    assert decided(first, second).action is EXIT
    assert decided(second, first).action is RETRY
    assert "entry 1" in decided(first, second).sentence


def test_no_match_means_retry() -> None:
    assert decided(ExitRule(action=EXIT, on_exit_code="2")).action is RETRY


def test_all_conditions_of_a_rule_must_match() -> None:
    rule = ExitRule(action=EXIT, on_exit_code="1", on_reason="OutOfMemory*")
    assert decided(rule, reason="OutOfMemoryError: killed").action is EXIT
    assert decided(rule, reason="other").action is RETRY
    assert decided(rule).action is RETRY


@pytest.mark.parametrize(
    ("pattern", "code", "matches"),
    [
        ("1", 1, True),
        ("1", 137, False),
        ("1*", 137, True),
        ("13*", 1, False),
        ("*", 0, True),
        ("137", None, False),
        ("*", None, False),
    ],
)
def test_patterns_are_exact_but_for_a_star_at_the_end(
    pattern: str, code: int | None, matches: bool
) -> None:
    rule = ExitRule(action=EXIT, on_exit_code=pattern)
    assert decided(rule, exit_code=code).action is (EXIT if matches else RETRY)


ANY_OTHER_REASON = ExitRule(action=EXIT, on_reason="*")


@pytest.mark.parametrize(
    "rules",
    [
        (ExitRule(action=RETRY, on_status_reason="Host EC2*"), ANY_OTHER_REASON),
        (ExitRule(action=RETRY, on_reason="OutOfMemoryError*"), ANY_OTHER_REASON),
        (ANY_OTHER_REASON,),
        (ExitRule(action=EXIT, on_status_reason="*", on_reason="*"),),
        (ExitRule(action=EXIT, on_reason="*", on_exit_code="1"),),
    ],
)
@pytest.mark.parametrize("reason", [None, "", "CannotPullContainerError: no such image"])
def test_a_star_matches_also_where_there_is_no_reason(
    rules: tuple[ExitRule, ...], reason: str | None
) -> None:
    """The user guide ends its examples with onReason `*`, EXIT: "to exit for any other reason"."""
    assert decided(*rules, reason=reason).action is EXIT


@pytest.mark.parametrize("pattern", ["O*", "OutOfMemoryError*", "none"])
def test_only_a_star_alone_matches_an_absent_reason(pattern: str) -> None:
    assert decided(ExitRule(action=EXIT, on_reason=pattern)).action is RETRY
    rule = ExitRule(action=EXIT, on_status_reason=pattern)
    assert decided(rule, status_reason="").action is RETRY


def test_a_star_for_the_status_reason_matches_an_empty_one() -> None:
    rule = ExitRule(action=EXIT, on_status_reason="*")
    assert decided(rule, status_reason="").action is EXIT


def test_a_lost_host_is_recognised_by_the_status_reason() -> None:
    rules = (
        ExitRule(action=RETRY, on_status_reason="Host EC2*"),
        ExitRule(action=EXIT, on_reason="*"),
    )
    lost = "Host EC2 (instance i-1) terminated."
    assert decided(*rules, status_reason=lost, reason="x").action is RETRY
    assert decided(*rules, reason="x").action is EXIT
