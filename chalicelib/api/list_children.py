"""ListJobs of an array: children that have a row, and virtual children computed from the parent.

They come in the order of their numbers, because all are as old as their array. A call examines a
bounded number of rows, so a page may be short, or empty, and still carry a token.
"""

from collections.abc import Iterator
from typing import Any

from chalicelib.api.paging import position_in, results_limit, token_from_position
from chalicelib.core.arrays import virtual_child, virtual_child_status
from chalicelib.core.errors import ClientError
from chalicelib.core.job import Job
from chalicelib.core.states import JobStatus
from chalicelib.jobs.caller import Call
from chalicelib.jobs.detail import job_summary
from chalicelib.jobs.lookup import is_visible, job_key_in

PAGE_LIMIT = 1000
ROWS_PAGE = 500
ROWS_LIMIT = 10_000  # rows that one call examines


def list_children(request: dict[str, Any], call: Call) -> dict[str, Any]:
    """Return a page of the children in `jobStatus`, RUNNING when it is not given."""
    status = JobStatus(request.get("jobStatus") or JobStatus.RUNNING)
    limit = results_limit(request, PAGE_LIMIT)
    first = _first_in(request.get("nextToken"))
    key = job_key_in(request["arrayJobId"], call)
    parent = call.ports.jobs.find_job(key) if key is not None else None
    if parent is None or parent.array is None or not is_visible(parent, call):
        return {"jobSummaryList": []}
    page: list[Job] = []
    position: int | None = None
    for child, number in _children(parent, status, first, call):
        if len(page) == limit or child is None:
            position = number
            break
        page.append(child)
    scope = call.ports.settings.scope
    return {
        "jobSummaryList": [job_summary(child, scope) for child in page],
        "nextToken": token_from_position(position),
    }


def _children(
    parent: Job, status: JobStatus, first: int, call: Call
) -> Iterator[tuple[Job | None, int]]:
    """Yield (child, its number) for those in the status; (None, number) where this call ends."""
    assert parent.array is not None, "a child's array has a size"
    size, looked_at = parent.array.size, 0
    rowless = virtual_child_status(parent) is status
    while first < size:
        rows = call.ports.jobs.list_children(parent.job_id, first, size, limit=ROWS_PAGE)
        for row in rows:
            number = row.key.number or 0
            if rowless:
                yield from _between(parent, first, number)
            if row.status is status:
                yield row, number
            first = number + 1
        if len(rows) < ROWS_PAGE:
            break
        looked_at += len(rows)
        if looked_at >= ROWS_LIMIT:
            yield None, first
            return
    if rowless:
        yield from _between(parent, first, size)


def _between(parent: Job, first: int, end: int) -> Iterator[tuple[Job, int]]:
    """Yield the virtual children in that range; those below the cursor had rows that expired."""
    assert parent.array is not None, "a child's array has a cursor"
    for number in range(max(first, parent.array.cursor), end):
        yield virtual_child(parent, number), number


def _first_in(token: str | None) -> int:
    position = position_in(token)
    if position is None:
        return 0
    if not isinstance(position, int) or isinstance(position, bool) or position < 0:
        raise ClientError("The nextToken is not valid.")
    return position
