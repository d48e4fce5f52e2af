"""The children of arrays that the sweeper examines, read from the child ranges of a queue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from chalicelib.core.child_range import ChildRange
from chalicelib.core.ids import JobKey
from chalicelib.core.job import Job
from chalicelib.engine.arrays.children import end_array

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import Clock, HasJobs, HasLanes

    class OpenChildrenPorts(Clock, HasJobs, HasLanes, Protocol):
        """What this module asks of the outside world."""


RUN_LIMIT = 1000  # children that one query reads
GAP_LIMIT = 20  # up to so many rows that are not needed are cheaper to read than another query


def open_children(child_ranges: Sequence[ChildRange], ports: OpenChildrenPorts) -> list[Job]:
    """Return the children in these ranges that have a row and have not ended.

    A child range whose children have all ended is deleted. Its array is then ended if all of its
    children have: the record that should have brought this about may have been lost.
    """
    opened: list[Job] = []
    emptied: set[str] = set()
    for run, children in _read(child_ranges, ports):
        for child_range in run:
            inside = [children[number] for number in child_range.numbers if number in children]
            opened.extend(child for child in inside if not child.is_terminal)
            if all(child.is_terminal for child in inside):
                ports.lanes.drop_child_range(child_range)
                emptied.add(child_range.job_id)
    for parent in ports.jobs.find_jobs(map(JobKey, sorted(emptied))).values():
        if not parent.is_terminal:
            end_array(parent, ports)
    return opened


def placed_children(child_ranges: Sequence[ChildRange], ports: HasJobs) -> list[Job]:
    """Return the children in these ranges that are STARTING or RUNNING; nothing is changed."""
    return [
        children[number]
        for run, children in _read(child_ranges, ports)
        for child_range in run
        for number in child_range.numbers
        if number in children and children[number].holds_capacity
    ]


def _read(
    child_ranges: Iterable[ChildRange], ports: HasJobs
) -> Iterator[tuple[list[ChildRange], dict[int, Job]]]:
    """Yield runs of ranges with the rows of their children, by number: one query for each run."""
    for run in _runs(child_ranges):
        last = max(child_range.numbers[-1] for child_range in run)
        rows = ports.jobs.list_children(run[0].job_id, run[0].first, last)
        yield run, {row.key.number or 0: row for row in rows}


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
