"""Running independent calls one after another, or in parallel.

A function spends nearly all of its time waiting for AWS, so calls that do not depend on one another
run in parallel. Code that makes several such calls takes one of these functions as a parameter, and
tests pass the one with a fixed order.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

THREADS_LIMIT = 8  # fewer than the ten connections that botocore keeps for a client

Action = Callable[[], Any]
RunAll = Callable[[Sequence[Action]], list[Any]]


def in_order(calls: Sequence[Action]) -> list[Any]:
    """Return the results of the calls, each made when the one before has ended."""
    return [call() for call in calls]


def side_by_side(calls: Sequence[Action]) -> list[Any]:
    """Return the results of the calls, in their order.

    Raises the first failure, after every call has ended.
    """
    if len(calls) < 2:
        return in_order(calls)
    with ThreadPoolExecutor(max_workers=min(THREADS_LIMIT, len(calls))) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]
