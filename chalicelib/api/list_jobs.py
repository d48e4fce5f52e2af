"""ListJobs: by status from the index, or by one filter over all statuses, as in AWS.

A filtered listing merges the seven statuses of the queue by creation, newest first. A call makes
one query of each, so a page may be short, or empty, and still carry a token.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import groupby
from typing import Any

from chalicelib.api.list_children import list_children
from chalicelib.api.list_nodes import list_nodes
from chalicelib.api.paging import name_in, results_limit, token_from_position
from chalicelib.core.errors import ClientError
from chalicelib.core.ids import Scope
from chalicelib.core.job import Job, created_key_of
from chalicelib.core.resources.resource import JOB_DEFINITION
from chalicelib.core.states import JobStatus
from chalicelib.jobs.caller import Call
from chalicelib.jobs.detail import job_summary
from chalicelib.jobs.lookup import find_queue, job_key_in

PAGE_LIMIT = 1000
FILTERED_PAGE_LIMIT = 100
LOOKED_AT_LIMIT = 500  # jobs of each status that one filtered call examines

Match = Callable[[Job], bool]


def list_jobs(request: dict[str, Any], call: Call) -> dict[str, Any]:
    _refuse_ambiguous(request)
    if request.get("multiNodeJobId"):
        return list_nodes(request, job_key_in(request["multiNodeJobId"], call), call)
    filters = request.get("filters") or []
    if request.get("arrayJobId"):
        # Filters apply to the jobs of a queue and skip children (API reference, ListJobs).
        return {"jobSummaryList": []} if filters else list_children(request, call)
    queue = find_queue(request["jobQueue"], call).name
    if not filters:
        return _by_status(queue, request, call)
    return _filtered(queue, filters, request, call)


def _refuse_ambiguous(request: dict[str, Any]) -> None:
    named = [n for n in ("jobQueue", "arrayJobId", "multiNodeJobId") if request.get(n)]
    if len(named) != 1:
        raise ClientError("Exactly one of jobQueue, arrayJobId, multiNodeJobId must be provided.")


def _by_status(queue: str, request: dict[str, Any], call: Call) -> dict[str, Any]:
    status = JobStatus(request.get("jobStatus") or JobStatus.RUNNING)
    limit = results_limit(request, PAGE_LIMIT)
    before = name_in(request.get("nextToken"))
    jobs = call.ports.jobs.list_by_status(queue, status, before=before, limit=limit + 1)
    return _page(jobs[:limit], len(jobs) > limit, call)


def _filtered(
    queue: str, filters: list[dict[str, Any]], request: dict[str, Any], call: Call
) -> dict[str, Any]:
    if len(filters) != 1:
        raise ClientError("Only one filter key-value pair can be specified.")
    matches, before, statuses = _filter_of(filters[0], request, call)
    limit = results_limit(request, FILTERED_PAGE_LIMIT)
    position = name_in(request.get("nextToken"))
    start = min((key for key in (before, position) if key), default=None)
    jobs, looked_to = _newest_first(queue, statuses, start, call)
    page: list[Job] = []
    last: Job | None = None
    for job in jobs:
        if len(page) == limit:
            # More jobs follow: the page ends here and the next begins after `last`.
            looked_to = created_key_of(last) if last else None
            break
        last = job
        if matches(job):
            page.append(job)
        elif filters[0].get("name") == "AFTER_CREATED_AT":
            looked_to = None  # jobs come newest first, so no later one matches
            break
    return {**_page(page, False, call), "nextToken": token_from_position(looked_to)}


def _newest_first(
    queue: str, statuses: list[JobStatus], before: str | None, call: Call
) -> tuple[list[Job], str | None]:
    """Return the jobs of one read of each status, and the created key that they are complete to.

    That is None if there are no more. A status with more than one read holds has older jobs, so
    those of the others that are older than its last are left to the next call.
    """
    reads = call.ports.run_all(
        [
            partial(
                call.ports.jobs.list_by_status, queue, status, before=before, limit=LOOKED_AT_LIMIT
            )
            for status in statuses
        ]
    )
    ends = [created_key_of(jobs[-1]) for jobs in reads if len(jobs) == LOOKED_AT_LIMIT]
    looked_to = max(ends, default=None)
    merged = heapq.merge(*reads, key=created_key_of, reverse=True)
    jobs = [job for job in _distinct(merged) if created_key_of(job) >= (looked_to or "")]
    return jobs, looked_to


def _distinct(jobs: Iterable[Job]) -> Iterator[Job]:
    """Yield each job once; one that changed status between two reads was found in both."""
    for _, same in groupby(jobs, key=created_key_of):
        yield max(same, key=lambda job: job.version)


def _page(jobs: list[Job] | tuple[Job, ...], more: bool, call: Call) -> dict[str, Any]:
    scope = call.ports.settings.scope
    return {
        "jobSummaryList": [job_summary(job, scope) for job in jobs],
        "nextToken": token_from_position(created_key_of(jobs[-1]) if more else None),
    }


def _filter_of(
    given: dict[str, Any], request: dict[str, Any], call: Call
) -> tuple[Match, str | None, list[JobStatus]]:
    """Return (a test for jobs, the created key to begin before, the statuses to search)."""
    name, values = given.get("name"), given.get("values") or []
    if len(values) > 1:
        raise ClientError("Filter cannot take more than one value.")
    if not values:
        raise ClientError("A filter must have exactly one value.")
    value = values[0]
    every = list(JobStatus)
    match name:
        case "JOB_NAME":
            return _text_match(value.lower(), lambda job: job.name.lower()), None, every
        case "JOB_DEFINITION":
            return _definition_match(value, call.ports.settings.scope), None, every
        case "BEFORE_CREATED_AT":
            return (lambda job: True), f"{_millis(value):013d}", every
        case "AFTER_CREATED_AT":
            after_ms = _millis(value)
            return (lambda job: job.created_at_ms > after_ms), None, every
        case "SHARE_IDENTIFIER":
            wanted = request.get("jobStatus")
            statuses = [JobStatus(wanted)] if wanted else every
            return _text_match(value, lambda job: job.share), None, statuses
        case _:
            raise ClientError(f"Filter {name} is not valid.")


def _text_match(pattern: str, text_of: Callable[[Job], str]) -> Match:
    if pattern.endswith("*"):
        return lambda job: text_of(job).startswith(pattern[:-1])
    return lambda job: text_of(job) == pattern


def _definition_match(value: str, scope: Scope) -> Match:
    """Return a test for the definition: by name, with a trailing `*`, or by ARN with revision."""
    if value.startswith("arn:"):
        wanted = scope.name_in(value, JOB_DEFINITION)
        return lambda job: job.definition == wanted
    if ":" in value:
        return lambda job: job.definition == value
    return _text_match(value, lambda job: job.definition.rpartition(":")[0])


def _millis(value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 13:
        raise ClientError(f"Value {value[:40]} is not a time in milliseconds since the epoch.")
    return int(value)
