"""A job's retry rules, read from its spec."""

from chalicelib.core.retry import ExitRule, RetryAction, RetryStrategy
from chalicelib.core.spec import Spec


def strategy_of(spec: Spec) -> RetryStrategy:
    """The job's retryStrategy as a value."""
    given = spec.document.get("retryStrategy") or {}
    return RetryStrategy(
        attempts=int(given.get("attempts", 1)),
        rules=tuple(
            ExitRule(
                action=RetryAction(str(rule["action"]).upper()),
                on_status_reason=rule.get("onStatusReason"),
                on_reason=rule.get("onReason"),
                on_exit_code=rule.get("onExitCode"),
            )
            for rule in given.get("evaluateOnExit") or []
        ),
    )
