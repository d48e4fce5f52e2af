"""ListJobs of an array: children that have a row, and virtual children computed from the parent.

They come in the order of their numbers, because all are as old as their array. A call makes at most
two queries of one page each, so its page may be short, or empty, and still carry a token, as in AWS
Batch: the next call goes on.
"""

from collections.abc import Mapping
from typing import Any

from chalicelib.api.paging import position_in, results_limit, token_from_position
from chalicelib.core.arrays import (
    ChildPage,
    array_of,
    summary_of,
    virtual_child,
    virtual_child_status,
)
from chalicelib.core.errors import ClientError
from chalicelib.core.job import Job
from chalicelib.core.states import TERMINAL, JobStatus
from chalicelib.jobs.caller import Call
from chalicelib.jobs.detail import job_summary
from chalicelib.jobs.lookup import is_visible, job_key_in

PAGE_LIMIT = 1000
ROWS_LIMIT = 2500  # rows that a query looks at: about the megabyte that DynamoDB reads at once


def list_children(request: dict[str, Any], call: Call) -> dict[str, Any]:
    """Return a page of the children in `jobStatus`, RUNNING when it is not given."""
    status = JobStatus(request.get("jobStatus") or JobStatus.RUNNING)
    limit = results_limit(request, PAGE_LIMIT)
    first, listed = _position_in(request.get("nextToken"))
    key = job_key_in(request["arrayJobId"], call)
    parent = call.ports.jobs.find_job(key) if key is not None else None
    if parent is None or parent.array is None or not is_visible(parent, call):
        return {"jobSummaryList": []}
    page = _page(parent, status, first, limit, call)
    listed += len(page.children)
    # A child that has ended stays so: once as many are listed as there are, none is left to find.
    complete = status in TERMINAL and listed >= summary_of(parent)[status]
    goes_on = page.next_number is not None and not complete
    scope = call.ports.settings.scope
    return {
        "jobSummaryList": [job_summary(child, scope) for child in page.children],
        "nextToken": token_from_position([page.next_number, listed] if goes_on else None),
    }


def _page(parent: Job, status: JobStatus, first: int, limit: int, call: Call) -> ChildPage:
    if virtual_child_status(parent) is not status:
        return _with_row(parent, status, first, limit, call)
    cursor, below = array_of(parent).cursor, ChildPage()
    if first < cursor:
        # Each child below the cursor has a row; those that it finds above come again below.
        found = _with_row(parent, status, first, limit, call)
        children = tuple(one for one in found.children if (one.key.number or 0) < cursor)
        if found.next_number is not None and found.next_number < cursor:
            return ChildPage(children, found.next_number)
        below = ChildPage(children)
    above = _from_cursor(parent, status, max(first, cursor), limit - len(below.children), call)
    return ChildPage(below.children + above.children, above.next_number)


def _with_row(parent: Job, status: JobStatus, first: int, limit: int, call: Call) -> ChildPage:
    """Return a page of the children whose rows are in the status."""
    array = array_of(parent)
    count = array.count(status)
    if not count:
        return ChildPage()
    # As many rows as should hold a page of them, if they lie evenly.
    rows_limit = min(ROWS_LIMIT, -(-limit * array.rows // count))
    return call.ports.jobs.find_children(
        parent.job_id, first, status=status, limit=limit, rows_limit=rows_limit
    )


def _from_cursor(parent: Job, status: JobStatus, first: int, limit: int, call: Call) -> ChildPage:
    """Return a page of the children from number `first`, where few or none have a row."""
    array = array_of(parent)
    rows: Mapping[int, Job] = {}
    known_to = array.size
    if array.singled:
        page = call.ports.jobs.find_children(
            parent.job_id, first, limit=PAGE_LIMIT, rows_limit=PAGE_LIMIT
        )
        rows = {row.key.number or 0: row for row in page.children}
        known_to = array.size if page.next_number is None else page.next_number
    children: list[Job] = []
    for number in range(first, known_to):
        child = rows.get(number) or virtual_child(parent, number)
        if child.status is not status:
            continue
        if len(children) == limit:
            return ChildPage(tuple(children), number)
        children.append(child)
    return ChildPage(tuple(children), known_to if known_to < array.size else None)


def _position_in(token: str | None) -> tuple[int, int]:
    """Return (the number to go on from, how many children were listed before)."""
    position = position_in(token)
    if position is None:
        return 0, 0
    if type(position) is int:
        position = [position, 0]  # a token of an older version
    if (
        not isinstance(position, list)
        or len(position) != 2
        or not all(type(member) is int and member >= 0 for member in position)
    ):
        raise ClientError("The nextToken is not valid.")
    return position[0], position[1]
