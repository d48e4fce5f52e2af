"""What is measured: the metrics of a stack and its queues, and which changes of a job count.

AWS Batch publishes no metrics of its own. Names and units are those in CloudWatch; what each one
means is in `infra/docs/metrics.md`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from chalicelib.core.arrays import summary_of
from chalicelib.core.job import Job
from chalicelib.core.states import JobStatus


class Unit(StrEnum):
    """The units of CloudWatch that are used."""

    COUNT = "Count"
    MILLISECONDS = "Milliseconds"
    SECONDS = "Seconds"


class Measure(StrEnum):
    """What is measured, by the name of its metric."""

    # Of a queue, from the changes of its jobs.
    JOBS_SUCCEEDED = "JobsSucceeded"
    JOBS_FAILED = "JobsFailed"
    RETRIES = "Retries"
    SPOT_LOSSES = "SpotLosses"
    LAUNCHES_REFUSED = "LaunchesRefused"
    SUBMIT_TO_START = "SubmitToStart"
    # Of a queue, once a minute.
    SUBMITTED_JOBS = "SubmittedJobs"
    PENDING_JOBS = "PendingJobs"
    RUNNABLE_JOBS = "RunnableJobs"
    STARTING_JOBS = "StartingJobs"
    RUNNING_JOBS = "RunningJobs"
    OLDEST_RUNNABLE = "OldestRunnableAge"
    # Of a function.
    HANDLED_FAILURES = "HandledFailures"
    CONTENTION = "Contention"
    DISPATCH_ROUNDS = "DispatchRounds"
    JOBS_PLACED = "JobsPlaced"
    SWEEPER_REPAIRS = "SweeperRepairs"

    @property
    def unit(self) -> Unit:
        match self:
            case Measure.SUBMIT_TO_START:
                return Unit.MILLISECONDS
            case Measure.OLDEST_RUNNABLE:
                return Unit.SECONDS
            case _:
                return Unit.COUNT

    @property
    def is_added_up(self) -> bool:
        """Return whether several values may be published as their sum.

        Not so those whose distribution counts, and the levels of several queues.
        """
        return self.unit is Unit.COUNT


DEPTHS = {
    JobStatus.SUBMITTED: Measure.SUBMITTED_JOBS,
    JobStatus.PENDING: Measure.PENDING_JOBS,
    JobStatus.RUNNABLE: Measure.RUNNABLE_JOBS,
    JobStatus.STARTING: Measure.STARTING_JOBS,
    JobStatus.RUNNING: Measure.RUNNING_JOBS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One value of a measure; of a queue, or else of the function that publishes it."""

    measure: Measure
    value: float = 1
    queue: str | None = None


def samples_from_rows(jobs: Iterable[Job], now_ms: int) -> Iterator[Sample]:
    """Yield the depths that these rows of one queue make up, and how long the oldest has waited.

    The rows are jobs as the index lists them. An array counts as its children, those without a row
    included.
    """
    depths: Counter[tuple[str, Measure]] = Counter()
    waited_ms: dict[str, int] = {}
    for job in jobs:
        counts = {job.status: 1} if job.array is None else summary_of(job)
        for status, measure in DEPTHS.items():
            if counts.get(status):
                depths[job.queue, measure] += counts[status]
        if (since_ms := _runnable_since_ms(job)) is not None:
            waited_ms[job.queue] = max(waited_ms.get(job.queue, 0), now_ms - since_ms)
    for (queue, measure), number in depths.items():
        yield Sample(measure=measure, value=number, queue=queue)
    for queue, oldest_ms in waited_ms.items():
        yield Sample(measure=Measure.OLDEST_RUNNABLE, value=oldest_ms / 1000, queue=queue)


def _runnable_since_ms(job: Job) -> int | None:
    """Return since when a job waits for capacity, or the next children of an array at the head."""
    if job.array is not None:
        return job.blocked_since_ms
    return job.changed_at_ms if job.status is JobStatus.RUNNABLE else None


def samples_from_change(old: Job | None, new: Job | None) -> Iterator[Sample]:
    """Yield what the change of one row counts for in the metrics of its queue.

    Jobs, multi-node jobs and children of arrays count one each; the parent of an array does not,
    since its children do, and neither do nodes. A child that ends with its array without a row of
    its own counts nowhere.
    """
    if new is None or new.array is not None or new.key.is_node:
        return
    for measure, value in _values(old, new):
        yield Sample(measure=measure, value=value, queue=new.queue)


def _values(old: Job | None, new: Job) -> Iterator[tuple[Measure, float]]:
    if new.is_terminal and (old is None or not old.is_terminal):
        succeeded = new.status is JobStatus.SUCCEEDED
        yield (Measure.JOBS_SUCCEEDED if succeeded else Measure.JOBS_FAILED), 1
    if old is None:
        return
    if new.spot_losses > old.spot_losses:
        yield Measure.SPOT_LOSSES, new.spot_losses - old.spot_losses
    if new.attempt > old.attempt:
        yield Measure.RETRIES, 1
    elif old.status is JobStatus.STARTING and new.status is JobStatus.RUNNABLE:
        yield Measure.LAUNCHES_REFUSED, 1
    if (
        new.status is JobStatus.RUNNING
        and old.status is not JobStatus.RUNNING
        and new.attempt == 1
        and new.started_at_ms is not None
    ):
        yield Measure.SUBMIT_TO_START, max(0, new.started_at_ms - new.created_at_ms)
