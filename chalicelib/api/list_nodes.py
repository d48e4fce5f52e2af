"""The nodes of a multi-node parallel job, for DescribeJobs and ListJobs.

A node is made from its job and, if it has one, its own row (`core/multinode.py`).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from chalicelib.api.paging import position_in, results_limit, token_from_position
from chalicelib.core.errors import ClientError
from chalicelib.core.ids import JobKey, node_part
from chalicelib.core.job import Job
from chalicelib.core.multinode import seen_node
from chalicelib.core.states import JobStatus
from chalicelib.jobs.caller import Call
from chalicelib.jobs.detail import job_summary
from chalicelib.jobs.lookup import is_visible

PAGE_LIMIT = 1000


def with_roots(keys: Iterable[JobKey]) -> list[JobKey]:
    """Return the keys, and for each node among them also the key of its job."""
    return [found for key in keys for found in ((key, key.root) if key.is_node else (key,))]


def seen_job(key: JobKey, rows: Mapping[JobKey, Job]) -> Job | None:
    """Return the job or node for `key` from the rows of `with_roots`; None if there is none."""
    if not key.is_node:
        return rows.get(key)
    job, index = rows.get(key.root), key.number or 0
    if job is None or job.nodes is None or index >= job.nodes.count:
        return None
    return seen_node(job, index, rows.get(key))


def list_nodes(request: dict[str, Any], key: JobKey | None, call: Call) -> dict[str, Any]:
    """Return the nodes of the job in `jobStatus`, RUNNING when it is not given, by index.

    Filters do not apply to nodes (API reference, ListJobs). An unknown job has none.
    """
    status = JobStatus(request.get("jobStatus") or JobStatus.RUNNING)
    limit = results_limit(request, PAGE_LIMIT)
    start = _index_in(request.get("nextToken"))
    matching = [node for node in _nodes_of(key, call) if node.status is status]
    left = [node for node in matching if (node.key.number or 0) >= start]
    more = left[limit].key.number if len(left) > limit else None
    scope = call.ports.settings.scope
    return {
        "jobSummaryList": [job_summary(node, scope) for node in left[:limit]],
        "nextToken": token_from_position(more),
    }


def _nodes_of(key: JobKey | None, call: Call) -> list[Job]:
    job = call.ports.jobs.find_job(key) if key is not None else None
    if job is None or job.nodes is None or not is_visible(job, call):
        return []
    keys = [JobKey(job.job_id, node_part(index)) for index in range(job.nodes.count)]
    rows = call.ports.jobs.find_jobs(keys)
    return [seen_node(job, one.number or 0, rows.get(one)) for one in keys]


def _index_in(token: str | None) -> int:
    position = position_in(token)
    if position is None:
        return 0
    if type(position) is not int or not 0 <= position <= PAGE_LIMIT:
        raise ClientError("The nextToken is not valid.")
    return position
