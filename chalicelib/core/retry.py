"""Retries: whether a failed attempt is followed by another, and why.

The rules are AWS Batch's (user guide, job retries): `attempts` counts all attempts, the first one
included; `evaluateOnExit` entries are tried in order, all conditions of an entry must match, the
first match wins, and no match means retry.
"""

from dataclasses import dataclass
from enum import StrEnum


class RetryAction(StrEnum):
    """What follows the failure of an attempt."""

    RETRY = "RETRY"
    EXIT = "EXIT"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRule:
    """One evaluateOnExit entry; a pattern may end in `*`, an absent one matches everything.

    A reason that is `*` also matches where there is none: the user guide's own last rule is
    onReason `*`, for "any other reason". An exit code that is `*` needs an exit code.
    """

    action: RetryAction
    on_status_reason: str | None = None
    on_reason: str | None = None
    on_exit_code: str | None = None

    def matches(self, *, status_reason: str, reason: str | None, exit_code: int | None) -> bool:
        """Return whether all conditions of the entry match this end of an attempt."""
        if exit_code is None and self.on_exit_code is not None:
            return False
        return (
            _matches(self.on_status_reason, status_reason)
            and _matches(self.on_reason, reason or "")
            and _matches(self.on_exit_code, str(exit_code))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryStrategy:
    """How often a job is attempted, and which failures end it early."""

    attempts: int = 1
    rules: tuple[ExitRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryDecision:
    """What follows the failure of an attempt, and why."""

    action: RetryAction
    sentence: str


def decide_retry(
    strategy: RetryStrategy,
    attempt: int,
    *,
    status_reason: str,
    reason: str | None,
    exit_code: int | None,
) -> RetryDecision:
    """Return what follows the failure of attempt number `attempt`."""
    if attempt >= strategy.attempts:
        return RetryDecision(
            action=RetryAction.EXIT,
            sentence=f"attempt {attempt} was the last of {strategy.attempts}",
        )
    for number, rule in enumerate(strategy.rules, start=1):
        if rule.matches(status_reason=status_reason, reason=reason, exit_code=exit_code):
            return RetryDecision(
                action=rule.action, sentence=f"evaluateOnExit entry {number} asks for {rule.action}"
            )
    return RetryDecision(
        action=RetryAction.RETRY,
        sentence=f"attempt {attempt} of {strategy.attempts} failed and no rule ends the job",
    )


def _matches(pattern: str | None, value: str) -> bool:
    if pattern is None:
        return True
    if pattern.endswith("*"):
        return value.startswith(pattern[:-1])
    return value == pattern
