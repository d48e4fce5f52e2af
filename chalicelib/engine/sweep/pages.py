"""The pages in which the sweeper goes through the rows of one queue."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from chalicelib.core.child_range import ChildRange
from chalicelib.core.job import Job, created_key_of
from chalicelib.core.states import JobStatus

if TYPE_CHECKING:
    from chalicelib.ports import HasJobs, HasLanes

JOBS_PAGE = 500
CHILD_RANGES_PAGE = 100
ANSWERS_PAGE = 100


def job_pages(
    queue: str, status: JobStatus, after: str | None, ports: HasJobs
) -> Iterator[tuple[tuple[Job, ...], str | None]]:
    """Yield the queue's jobs of a status in pages, each with the place after which the next begins.

    `after` is such a place. It is None with the last page.
    """
    while True:
        jobs = ports.jobs.list_oldest(queue, status, after=after, limit=JOBS_PAGE)
        after = created_key_of(jobs[-1]) if len(jobs) == JOBS_PAGE else None
        yield jobs, after
        if after is None:
            return


def child_range_pages(
    queue: str, after: str | None, ports: HasLanes
) -> Iterator[tuple[tuple[ChildRange, ...], str | None]]:
    """Yield the queue's child ranges in pages, like `job_pages`."""
    while True:
        behind = _range_from_place(queue, after) if after else None
        found = ports.lanes.child_ranges(queue, behind=behind, limit=CHILD_RANGES_PAGE)
        last = found[-1] if len(found) == CHILD_RANGES_PAGE else None
        after = f"{last.job_id}#{last.first}" if last else None
        yield found, after
        if after is None:
            return


def _range_from_place(queue: str, place: str) -> ChildRange:
    job_id, _, first = place.rpartition("#")
    return ChildRange(queue=queue, job_id=job_id, first=int(first), numbers=(int(first),))


def answer_pages(
    queue: str, after: str | None, ports: HasLanes
) -> Iterator[tuple[tuple[str, ...], str | None]]:
    """Yield the jobs of the queue that tasks wait for in pages, like `job_pages`."""
    while True:
        found = ports.lanes.unanswered(queue, after=after or "", limit=ANSWERS_PAGE)
        after = found[-1] if len(found) == ANSWERS_PAGE else None
        yield found, after
        if after is None:
            return
