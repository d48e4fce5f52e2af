"""Following jobs: their states as they change, their log lines as they are written.

Owns what is asked of Batch and CloudWatch Logs, how often, and when the last word has been said. It
must not know what a screen is: `follow_view` draws what comes from here.
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
# A log stream that has been silent for this long after its container's end is complete.
QUIET_SECONDS = 1.0
RECENT_JOBS = 12
COUNT_LIMIT = 1000  # jobs of one status that are counted before it becomes "1000+"

JobDetail = Mapping[str, Any]
Sleep = Callable[[float], None]


class FollowError(Exception):
    """There is nothing of this name to follow."""


def describe_job(clients: Clients, job: str) -> JobDetail:
    """The job of this id or ARN; raises FollowError if there is none."""
    job_id = job.partition(JOB_ARN_PART)[2] if JOB_ARN_PART in job else job
    found = clients("batch").describe_jobs(jobs=[job_id])["jobs"]
    if not found:
        raise FollowError(f"There is no job {job}")
    detail: JobDetail = found[0]
    return detail


def find_job_or_queue(clients: Clients, name: str) -> JobDetail | None:
    """The job of this id or ARN, or None if it is a queue; raises FollowError if it is neither."""
    if QUEUE_ARN_PART not in name:
        try:
            return describe_job(clients, name)
        except FollowError:
            pass
    if not clients("batch").describe_job_queues(jobQueues=[name])["jobQueues"]:
        raise FollowError(f"There is neither a job nor a queue {name}")
    return None


def job_states(clients: Clients, job: str, *, sleep: Sleep = time.sleep) -> Iterator[JobDetail]:
    """The job at every look, the last time when it has ended. Looks are rarer while it rests."""
    pause_seconds = SHORTEST_POLL_SECONDS
    before: object = None
    while True:
        detail = describe_job(clients, job)
        yield detail
        if detail["status"] in ENDED:
            return
        seen = (detail["status"], detail.get("statusReason"), len(detail.get("attempts", [])))
        slower = min(pause_seconds * 1.2, LONGEST_POLL_SECONDS)
        pause_seconds = slower if seen == before else SHORTEST_POLL_SECONDS
        before = seen
        sleep(pause_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """How a queue stands: jobs by status (at most COUNT_LIMIT each), and those in flight."""

    name: str
    counts: Mapping[str, int]
    in_flight: tuple[Mapping[str, Any], ...]

    @property
    def is_idle(self) -> bool:
        return all(not count for status, count in self.counts.items() if status not in ENDED)


def queue_states(
    clients: Clients, queue: str, *, sleep: Sleep = time.sleep
) -> Iterator[QueueState]:
    """The queue at every look, for ever."""
    while True:
        yield queue_state(clients, queue)
        sleep(LONGEST_POLL_SECONDS)


def queue_state(clients: Clients, queue: str) -> QueueState:
    """One look at a queue; what has run longest comes first, then what is next to run."""
    counts: dict[str, int] = {}
    in_flight: list[Mapping[str, Any]] = []
    for status in STATUSES:
        page = clients("batch").list_jobs(jobQueue=queue, jobStatus=status, maxResults=COUNT_LIMIT)
        jobs = page["jobSummaryList"]
        counts[status] = len(jobs)
        if status not in ENDED:
            # ListJobs has the newest first; the head of the queue is the oldest.
            in_flight[:0] = reversed(jobs)
    return QueueState(name=queue, counts=counts, in_flight=tuple(in_flight[:RECENT_JOBS]))


def containers_of(described: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The containers of a job, or of an attempt of it: the one that it has, or several by name."""
    tasks = described.get("taskProperties") or described.get("ecsProperties", {}).get(
        "taskProperties"
    )
    return list(tasks[0]["containers"]) if tasks else [described.get("container", {})]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """The log stream of a container in one attempt; `over` when its task has ended.

    `container` tells it from the others of its task, and is None where there are none.
    """

    attempt: int
    name: str
    over: bool
    group: str | None = None
    container: str | None = None


def streams_of(job: JobDetail) -> list[Stream]:
    """The log streams of a job's attempts, in order; a container that never ran has none."""
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
    attempt: int
    text: str


@dataclass(slots=True)
class Tail:
    """Reads what a job has written since the last time, attempt by attempt."""

    clients: Clients
    only_attempt: int | None = None
    monotonic: Callable[[], float] = time.monotonic
    _readings: dict[str, _Reading] = field(default_factory=dict)

    def read(self, job: JobDetail) -> list[LogLine]:
        """The new lines of the job as it is described."""
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
            speaker = f"{stream.container}: " if stream.container else ""
            lines.extend(LogLine(attempt=stream.attempt, text=speaker + text) for text in texts)
        return lines

    @property
    def complete(self) -> bool:
        """Whether every stream seen so far has said its last word."""
        return all(self._is_complete(reading) for reading in self._readings.values())

    def _is_complete(self, reading: _Reading) -> bool:
        silent_seconds = self.monotonic() - reading.news_at_seconds
        return reading.over and silent_seconds >= QUIET_SECONDS

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
            # CloudWatch answers the end of a stream with the token that it was asked with.
            at_end = page["nextForwardToken"] == reading.token
            reading.token = page["nextForwardToken"]
            if at_end:
                return texts


Look = tuple[JobDetail, list[LogLine]]


def looks_at(
    clients: Clients, job: str, *, attempt: int | None = None, sleep: Sleep = time.sleep
) -> Iterator[Look]:
    """The job and its new lines at every look, until it has ended and its streams are complete."""
    tail = Tail(clients, only_attempt=attempt)
    detail: JobDetail | None = None
    for detail in job_states(clients, job, sleep=sleep):
        yield detail, tail.read(detail)
    assert detail is not None, "job_states yields at least once"
    while not tail.complete:
        sleep(SHORTEST_POLL_SECONDS)
        yield detail, tail.read(detail)


def look_at(clients: Clients, job: str, *, attempt: int | None = None) -> Look:
    """The job and all that it has written so far."""
    detail = describe_job(clients, job)
    return detail, Tail(clients, only_attempt=attempt).read(detail)
