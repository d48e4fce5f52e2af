"""Running independent calls one after the other, or side by side.

Nearly all the time of a function is spent waiting for AWS; calls that do not depend on one another
need not wait for one another. Whoever makes several such calls takes one of these as a parameter,
so that a test decides the order.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

THREADS_LIMIT = 8  # fewer than the ten connections that botocore keeps for a client

Task = Callable[[], Any]
RunAll = Callable[[Sequence[Task]], list[Any]]


def in_order(tasks: Sequence[Task]) -> list[Any]:
    """The results of the tasks, each run when the one before has ended."""
    return [task() for task in tasks]


def side_by_side(tasks: Sequence[Task]) -> list[Any]:
    """The results of the tasks, in their order; the first failure is raised when all have ended."""
    if len(tasks) < 2:
        return in_order(tasks)
    with ThreadPoolExecutor(max_workers=min(THREADS_LIMIT, len(tasks))) as pool:
        return [future.result() for future in [pool.submit(task) for task in tasks]]
