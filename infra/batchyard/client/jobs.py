"""Watching jobs and queues: statuses as they change, log lines as they are written.

This module decides what is read from Batch and CloudWatch Logs, how often, and when a log is
complete. It knows nothing of screens: `cli.jobs_view` and `cli.logs_view` show what it yields.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from batchyard.client.clients import Clients

ENDED = frozenset({"SUCCEEDED", "FAILED"})
STATUSES = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")
# ARNs name their kind before the first slash.
JOB_ARN_PART, QUEUE_ARN_PART = ":job/", ":job-queue/"
SHORTEST_POLL_SECONDS = 0.1
LONGEST_POLL_SECONDS = 1.0
# A log stream without new lines for this long after its container's end is complete.
QUIET_SECONDS = 1.0
RECENT_JOBS = 12
COUNT_LIMIT = 1000  # jobs of one status that are counted; more are shown as "1000+"
DESCRIBE_LIMIT = 100  # jobs in one DescribeJobs

JobDetail = Mapping[str, Any]
Sleep = Callable[[float], None]


class NotFoundError(Exception):
    """There is no job or queue of this name."""


def describe_job(clients: Clients, job: str) -> JobDetail:
    """Return the job of this id or ARN; raises NotFoundError if there is none."""
    job_id = job.partition(JOB_ARN_PART)[2] if JOB_ARN_PART in job else job
    found = clients("batch").describe_jobs(jobs=[job_id])["jobs"]
    if not found:
        raise NotFoundError(
            f"There is no job {job}. Pass the jobId that SubmitJob returned, or the job's ARN."
        )
    detail: JobDetail = found[0]
    return detail


def find_job_or_queue(clients: Clients, name: str) -> JobDetail | None:
    """Return the job of this id or ARN, None if it is a queue; raises NotFoundError if neither."""
    if QUEUE_ARN_PART not in name:
        try:
            return describe_job(clients, name)
        except NotFoundError:
            pass
    if not clients("batch").describe_job_queues(jobQueues=[name])["jobQueues"]:
        raise NotFoundError(
            f"There is neither a job nor a queue {name}. Pass a queue's name or ARN, or a job's id."
        )
    return None


def job_states(clients: Clients, job: str, *, sleep: Sleep = time.sleep) -> Iterator[JobDetail]:
    """Yield the job at every look until it has ended; look less often while nothing changes."""
    pause_seconds = SHORTEST_POLL_SECONDS
    before: object = None
    while True:
        detail = describe_job(clients, job)
        yield detail
        if detail["status"] in ENDED:
            return
        seen = (
            detail["status"],
            detail.get("statusReason"),
            len(detail.get("attempts", [])),
            detail.get("arrayProperties"),
        )
        slower = min(pause_seconds * 1.2, LONGEST_POLL_SECONDS)
        pause_seconds = slower if seen == before else SHORTEST_POLL_SECONDS
        before = seen
        sleep(pause_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """A queue at one look: jobs by status (at most COUNT_LIMIT each), and the oldest in flight."""

    name: str
    counts: Mapping[str, int]
    in_flight: tuple[Mapping[str, Any], ...]
    in_flight_ids: frozenset[str] = frozenset()
    ended: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by id

    @property
    def is_idle(self) -> bool:
        """Return whether no job of the queue is in flight."""
        return all(not count for status, count in self.counts.items() if status not in ENDED)


def queue_states(
    clients: Clients, queue: str, *, sleep: Sleep = time.sleep
) -> Iterator[QueueState]:
    """Yield the queue at every look, without end."""
    while True:
        yield queue_state(clients, queue)
        sleep(LONGEST_POLL_SECONDS)


def queue_state(clients: Clients, queue: str) -> QueueState:
    """Return a queue at one look; what has run longest comes first, then what is next to run."""
    counts: dict[str, int] = {}
    in_flight: list[Mapping[str, Any]] = []
    ended: dict[str, Mapping[str, Any]] = {}
    for status in STATUSES:
        page = clients("batch").list_jobs(jobQueue=queue, jobStatus=status, maxResults=COUNT_LIMIT)
        jobs = page["jobSummaryList"]
        counts[status] = len(jobs)
        if status not in ENDED:
            # ListJobs has the newest first; the head of the queue is the oldest.
            in_flight[:0] = reversed(jobs)
        else:
            ended |= {job["jobId"]: job for job in jobs}
    return QueueState(
        name=queue,
        counts=counts,
        in_flight=tuple(in_flight[:RECENT_JOBS]),
        in_flight_ids=frozenset(job["jobId"] for job in in_flight),
        ended=ended,
    )


@dataclass(slots=True)
class FailedJobs:
    """Collects the jobs of a queue that fail after the first look at it.

    A look has the newest COUNT_LIMIT jobs of each status. A job that was in flight and is in no
    later look is described, so that an older one is not missed.
    """

    clients: Clients
    _ended_before: frozenset[str] | None = None
    _in_flight: set[str] = field(default_factory=set)
    _failed: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def note(self, state: QueueState) -> None:
        """Record one look."""
        if self._ended_before is None:
            self._ended_before = frozenset(state.ended)
        new = state.ended.keys() - self._ended_before
        self._failed |= {
            job_id: state.ended[job_id]
            for job_id in state.ended
            if job_id in new and state.ended[job_id]["status"] == "FAILED"
        }
        self._in_flight = (self._in_flight | state.in_flight_ids) - new

    def found(self) -> list[Mapping[str, Any]]:
        """Return the failed jobs, oldest end first."""
        ids = sorted(self._in_flight)
        for start in range(0, len(ids), DESCRIBE_LIMIT):
            page = ids[start : start + DESCRIBE_LIMIT]
            for job in self.clients("batch").describe_jobs(jobs=page)["jobs"]:
                if job["status"] == "FAILED":
                    self._failed[job["jobId"]] = job
        return sorted(self._failed.values(), key=lambda job: job.get("stoppedAt") or 0)


def containers_of(described: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the containers of a job or of an attempt: its only one, or several by name."""
    tasks = described.get("taskProperties") or described.get("ecsProperties", {}).get(
        "taskProperties"
    )
    return list(tasks[0]["containers"]) if tasks else [described.get("container", {})]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """The log stream of a container in one attempt; `over` when its task has ended.

    `container` is the container's name if its task has several, else None.
    """

    attempt: int
    name: str
    over: bool
    group: str | None = None
    container: str | None = None


def streams_of(job: JobDetail) -> list[Stream]:
    """Return the log streams of a job's attempts, in order; a container that never ran has none."""
    attempts = job.get("attempts", [])
    streams = [
        stream
        for number, attempt in enumerate(attempts, start=1)
        for stream in _streams_in(attempt, job, number, over=True)
    ]
    if job["status"] == "RUNNING":
        streams += _streams_in(job, job, len(attempts) + 1, over=False)
    return streams


def _streams_in(
    described: Mapping[str, Any], job: JobDetail, attempt: int, *, over: bool
) -> list[Stream]:
    containers = containers_of(described)
    # An attempt has its containers in the job's order, and the job has their settings.
    options = [
        container.get("logConfiguration", {}).get("options", {}) for container in containers_of(job)
    ]
    return [
        Stream(
            attempt=attempt,
            name=container["logStreamName"],
            over=over,
            group=option.get("awslogs-group"),
            container=container.get("name") if len(containers) > 1 else None,
        )
        for container, option in zip(containers, options, strict=True)
        if container.get("logStreamName")
    ]


@dataclass(slots=True, kw_only=True)
class _Reading:
    token: str | None = None
    news_at_seconds: float = 0.0
    over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line that a job has written, and in which attempt."""

    attempt: int
    text: str


@dataclass(slots=True)
class Tail:
    """Reads what a job has written since the last read, attempt by attempt."""

    clients: Clients
    only_attempt: int | None = None
    monotonic: Callable[[], float] = time.monotonic
    _readings: dict[str, _Reading] = field(default_factory=dict)

    def read(self, job: JobDetail) -> list[LogLine]:
        """Return the new lines of the job, which is given as described."""
        lines: list[LogLine] = []
        for stream in streams_of(job):
            if self.only_attempt not in (None, stream.attempt):
                continue
            reading = self._readings.setdefault(stream.name, _Reading())
            if self._is_complete(reading):
                continue
            texts = self._read_on(stream.group or self.clients.log_group, stream.name, reading)
            if texts or stream.over != reading.over:
                reading.news_at_seconds = self.monotonic()
            reading.over = stream.over
            prefix = f"{stream.container}: " if stream.container else ""
            lines.extend(LogLine(attempt=stream.attempt, text=prefix + text) for text in texts)
        return lines

    @property
    def complete(self) -> bool:
        """Return whether every stream seen so far is complete."""
        return all(self._is_complete(reading) for reading in self._readings.values())

    def _is_complete(self, reading: _Reading) -> bool:
        quiet_seconds = self.monotonic() - reading.news_at_seconds
        return reading.over and quiet_seconds >= QUIET_SECONDS

    def _read_on(self, group: str, stream: str, reading: _Reading) -> list[str]:
        logs = self.clients("logs")
        texts: list[str] = []
        while True:
            position = {"nextToken": reading.token} if reading.token else {"startFromHead": True}
            try:
                page = logs.get_log_events(logGroupName=group, logStreamName=stream, **position)
            except logs.exceptions.ResourceNotFoundException:
                return texts  # nothing has been written yet
            texts.extend(event["message"] for event in page["events"])
            # At the end of a stream CloudWatch Logs returns the token that was passed.
            at_end = page["nextForwardToken"] == reading.token
            reading.token = page["nextForwardToken"]
            if at_end:
                return texts


Look = tuple[JobDetail, list[LogLine]]


def looks_at(
    clients: Clients, job: str, *, attempt: int | None = None, sleep: Sleep = time.sleep
) -> Iterator[Look]:
    """Yield the job and its new lines, until it has ended and its streams are complete."""
    tail = Tail(clients, only_attempt=attempt)
    detail: JobDetail | None = None
    for detail in job_states(clients, job, sleep=sleep):
        yield detail, tail.read(detail)
    assert detail is not None, "job_states yields at least once"
    while not tail.complete:
        sleep(SHORTEST_POLL_SECONDS)
        yield detail, tail.read(detail)


def look_at(clients: Clients, job: str, *, attempt: int | None = None) -> Look:
    """Return the job and all that it has written so far."""
    detail = describe_job(clients, job)
    return detail, Tail(clients, only_attempt=attempt).read(detail)
