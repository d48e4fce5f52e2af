"""The children of arrays that the sweeper examines, read from the child ranges of a queue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from chalicelib.core.child_range import ChildRange
from chalicelib.core.ids import JobKey
from chalicelib.core.job import Job
from chalicelib.engine.arrays.children import end_array

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import Clock, HasJobs, HasLanes

    class PlacedChildrenPorts(Clock, HasJobs, HasLanes, Protocol):
        """What this module asks of the outside world."""


SWEPT_LIMIT = 1000  # child ranges of a queue that one sweep reads
RUN_LIMIT = 1000  # children that one query reads
GAP_LIMIT = 20  # up to so many rows that are not needed are cheaper to read than another query


def placed_children(queue: str, ports: PlacedChildrenPorts) -> list[Job]:
    """Return the children of the queue's arrays that are STARTING or RUNNING.

    A child range whose children have all ended is deleted. Its array is then ended if all of its
    children have: the record that should have brought this about may have been lost.
    """
    placed: list[Job] = []
    emptied: set[str] = set()
    for run in _runs(ports.lanes.child_ranges(queue, limit=SWEPT_LIMIT)):
        last = max(child_range.numbers[-1] for child_range in run)
        rows = ports.jobs.list_children(run[0].job_id, run[0].first, last)
        by_number = {row.key.number: row for row in rows}
        for child_range in run:
            children = [by_number[number] for number in child_range.numbers if number in by_number]
            placed.extend(child for child in children if child.holds_capacity)
            if all(child.is_terminal for child in children):
                ports.lanes.drop_child_range(child_range)
                emptied.add(child_range.job_id)
    for parent in ports.jobs.find_jobs(map(JobKey, sorted(emptied))).values():
        if not parent.is_terminal:
            end_array(parent, ports)
    return placed


def _runs(child_ranges: Iterable[ChildRange]) -> Iterator[list[ChildRange]]:
    """Yield the ranges in groups for one query: ranges of one array that lie close together."""
    run: list[ChildRange] = []
    for child_range in child_ranges:
        if run and not (
            child_range.job_id == run[0].job_id
            and child_range.first - run[-1].numbers[-1] <= GAP_LIMIT
            and child_range.numbers[-1] - run[0].first < RUN_LIMIT
        ):
            yield run
            run = []
        run.append(child_range)
    if run:
        yield run
