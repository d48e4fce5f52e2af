"""Array jobs and their children: which there are, which failed first, what they have written."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from batchyard.client.clients import Clients
from batchyard.client.jobs import (
    SHORTEST_POLL_SECONDS,
    JobDetail,
    LogLine,
    Sleep,
    Tail,
    job_states,
)

SHOWN_CHILDREN = 10
SHOWN_LINES = 20  # of each child
# In which order children are shown; the others have not started and have no log.
STATUSES_WITH_LOGS = ("FAILED", "RUNNING", "SUCCEEDED")
LIST_PAGE = 100

JobSummary = Mapping[str, Any]


def is_array(job: JobDetail) -> bool:
    """Return whether the job is an array, not a child of one or a single job."""
    return "size" in job.get("arrayProperties", {}) and "index" not in job["arrayProperties"]


def status_counts(job: JobDetail) -> dict[str, int]:
    """Return how many children of an array are in each status, without the zeros."""
    summary = job.get("arrayProperties", {}).get("statusSummary") or {}
    return {status: count for status, count in summary.items() if count}


def first_failed_child(clients: Clients, array_id: str) -> JobSummary | None:
    """Return the child that failed first, of the first page of failed children; None if none did.

    ListJobs has no order by time of end, and reading all pages of a large array takes too long.
    """
    failed = _children(clients, array_id, "FAILED", LIST_PAGE)
    return min(failed, key=lambda child: child.get("stoppedAt", 0), default=None)


def children_with_logs(clients: Clients, array_id: str, limit: int) -> list[JobDetail]:
    """Return up to `limit` children that have started, as described: failed ones first."""
    chosen: list[str] = []
    for status in STATUSES_WITH_LOGS:
        if (left := limit - len(chosen)) > 0:
            children = _children(clients, array_id, status, left)
            chosen += [child["jobId"] for child in children if child["jobId"] not in chosen]
    return _described(clients, chosen[:limit])


def index_of(child: Mapping[str, Any]) -> int:
    """Return the array index of a child."""
    return int(child["arrayProperties"]["index"])


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildLine:
    """A line that a child of an array has written."""

    index: int
    line: LogLine


@dataclass(slots=True)
class ArrayTail:
    """Reads what the children of an array have written, of a bounded number of children."""

    clients: Clients
    array_id: str
    only_attempt: int | None = None
    _tails: dict[str, Tail] = field(default_factory=dict)

    @property
    def children(self) -> int:
        """Return how many children were read."""
        return len(self._tails)

    @property
    def complete(self) -> bool:
        """Return whether the streams of all children read so far are complete."""
        return all(tail.complete for tail in self._tails.values())

    def read(self) -> list[ChildLine]:
        """Return the new lines of the children that are read, ordered as the children were found.

        A child that was read once is read again; others are added while there is capacity.
        """
        left = SHOWN_CHILDREN - len(self._tails)
        found = children_with_logs(self.clients, self.array_id, SHOWN_CHILDREN) if left else []
        for child in found:
            if len(self._tails) < SHOWN_CHILDREN:
                self._tails.setdefault(
                    child["jobId"], Tail(self.clients, only_attempt=self.only_attempt)
                )
        described = {child["jobId"]: child for child in found}
        missing = [job_id for job_id in self._tails if job_id not in described]
        described |= {child["jobId"]: child for child in _described(self.clients, missing)}
        return [
            ChildLine(index=index_of(described[job_id]), line=line)
            for job_id, tail in self._tails.items()
            if job_id in described
            for line in tail.read(described[job_id])
        ]


def array_looks(tail: ArrayTail, *, sleep: Sleep = time.sleep) -> Iterator[list[ChildLine]]:
    """Yield the children's new lines at every look, until the array and their streams end."""
    for _ in job_states(tail.clients, tail.array_id, sleep=sleep):
        yield tail.read()
    yield tail.read()
    while not tail.complete:
        sleep(SHORTEST_POLL_SECONDS)
        yield tail.read()


def _children(clients: Clients, array_id: str, status: str, limit: int) -> list[JobSummary]:
    page = clients("batch").list_jobs(arrayJobId=array_id, jobStatus=status, maxResults=limit)
    return sorted(page["jobSummaryList"], key=index_of)


def _described(clients: Clients, job_ids: list[str]) -> list[JobDetail]:
    if not job_ids:
        return []
    jobs: list[JobDetail] = clients("batch").describe_jobs(jobs=job_ids)["jobs"]
    by_id = {job["jobId"]: job for job in jobs}
    return [by_id[job_id] for job_id in job_ids if job_id in by_id]
