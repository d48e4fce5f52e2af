"""Running independent calls one after the other, or side by side.

Nearly all the time of a function is spent waiting for AWS; calls that do not depend on one another
need not wait for one another. Whoever makes several such calls takes one of these as a parameter,
so that a test decides the order.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

THREADS_LIMIT = 8  # fewer than the ten connections that botocore keeps for a client

Action = Callable[[], Any]
RunAll = Callable[[Sequence[Action]], list[Any]]


def in_order(calls: Sequence[Action]) -> list[Any]:
    """The results of the tasks, each run when the one before has ended."""
    return [call() for call in calls]


def side_by_side(calls: Sequence[Action]) -> list[Any]:
    """The results of the tasks, in their order; the first failure is raised when all have ended."""
    if len(calls) < 2:
        return in_order(calls)
    with ThreadPoolExecutor(max_workers=min(THREADS_LIMIT, len(calls))) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]
