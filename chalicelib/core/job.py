"""A job as a value: the state that its row holds, and what follows from it alone.

A job never changes; a decision (`lifecycle.py`) makes the next one. The request and the definition
behind it are the spec, written once and kept apart, so that a transition costs one write unit.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from chalicelib.core.events import ContainerEnd
from chalicelib.core.ids import JOB_PART, Fence, JobKey
from chalicelib.core.lane import FIFO_SHARE, Lane
from chalicelib.core.states import PLACED, TERMINAL, JobStatus


class StopCause(StrEnum):
    """Why an attempt was told to end before its container did."""

    CANCEL = "CANCEL"
    TERMINATE = "TERMINATE"
    TIMEOUT = "TIMEOUT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A finished attempt, as DescribeJobs lists it. Times are milliseconds since the epoch."""

    started_at_ms: int | None
    stopped_at_ms: int
    status_reason: str
    task_arn: str | None = None
    exit_code: int | None = None
    container_reason: str | None = None
    container_ends: tuple[ContainerEnd, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayState:
    """What an array's parent row adds: a child without a row is computed from it (`arrays.py`).

    Children get their rows in the order of their numbers as they are dispatched: those below
    `cursor` have one. One that is singled out before (it is cancelled alone, or released by its
    own dependency) has a row at or above the cursor; `singled` tells how many do. `counts` tells
    how many children with a row are in each status. `closed_at_ms` is set when no child shall get
    a row any more: from then on those without one are FAILED.
    """

    size: int
    cursor: int = 0
    singled: int = 0
    each_waits: tuple[int, ...] = ()  # N_TO_N: the numbers of the dependencies of each child
    sequential: int | None = None  # the number of the dependency of each child on the one before
    closed_at_ms: int | None = None
    closed_reason: str | None = None
    counts: tuple[tuple[JobStatus, int], ...] = ()

    def count(self, status: JobStatus) -> int:
        """How many children with a row are in this status."""
        return dict(self.counts).get(status, 0)

    @property
    def rows(self) -> int:
        """How many children have, or had, a row."""
        return sum(number for _, number in self.counts)

    @property
    def waits_by_child(self) -> bool:
        """Whether a child may wait where another runs, so that each is released alone."""
        return bool(self.each_waits) or self.sequential is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """What the row of a multi-node parallel job adds: the job itself is its main node.

    The others are `nodes.py`'s. `address` is the main node's while it runs, None where ECS does
    not tell it.
    """

    count: int
    main: int
    address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The state of a job. Times are milliseconds since the epoch, a cpu unit is 1/1024 vCPU."""

    job_id: str
    part: str = JOB_PART
    # Grows by one with every decision, which holds only for the version it saw; 0 without a row.
    version: int = 1
    name: str
    queue: str
    definition: str  # <name>:<revision>
    status: JobStatus
    status_reason: str | None = None
    attempt: int = 1  # the attempt that the status speaks of
    dispatch_count: int = 0  # how often this attempt was dispatched
    attempts_limit: int = 1
    timeout_seconds: int | None = None
    share: str = FIFO_SHARE
    priority: int = 0
    cpu_units: int
    memory_mib: int
    essential: tuple[str, ...] = ()  # of several containers (ecsProperties), those that count
    created_at_ms: int
    changed_at_ms: int  # when the status last changed
    started_at_ms: int | None = None
    stopped_at_ms: int | None = None
    environment: str | None = None  # the compute environment, from STARTING on
    task_arn: str | None = None
    exit_code: int | None = None
    container_reason: str | None = None
    container_ends: tuple[ContainerEnd, ...] = ()  # of several containers, each one's end
    blocked_why: str | None = None  # the label of what keeps the head of a queue waiting
    blocked_since_ms: int | None = None
    stop_cause: StopCause | None = None
    stop_reason: str | None = None
    history: tuple[Attempt, ...] = ()  # the finished attempts before the present one
    waiting_on: tuple[int, ...] = ()  # the numbers of the dependencies that are not met yet
    array: ArrayState | None = None
    nodes: NodeState | None = None

    @property
    def key(self) -> JobKey:
        return JobKey(self.job_id, self.part)

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL

    @property
    def holds_capacity(self) -> bool:
        """Whether its compute environment counts this job's vCPUs as in use."""
        return self.status in PLACED

    @property
    def is_retry(self) -> bool:
        """Whether it has been dispatched before: such a job goes to the front of its lane."""
        return self.attempt > 1 or self.dispatch_count > 0

    @property
    def fence(self) -> Fence:
        return Fence(
            job_id=self.job_id,
            part=self.part,
            attempt=self.attempt,
            dispatch_count=self.dispatch_count,
        )

    @property
    def deadline_ms(self) -> int | None:
        """When the running attempt exceeds its timeout, counted from its start; None if never."""
        if self.status is not JobStatus.RUNNING or self.timeout_seconds is None:
            return None
        return (self.started_at_ms or self.changed_at_ms) + self.timeout_seconds * 1000

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Every finished attempt, the last included once the job has ended in it.

        A job that ended without a task (cancelled, a dependency failed) made no attempt; one whose
        task could not start did, and says so in the container's reason.
        """
        began = self.task_arn is not None or self.container_reason is not None
        if not self.is_terminal or not began:
            return self.history
        return (*self.history, self.last_attempt())

    def last_attempt(self) -> Attempt:
        """The present attempt as a finished one."""
        return Attempt(
            started_at_ms=self.started_at_ms,
            stopped_at_ms=self.stopped_at_ms or self.changed_at_ms,
            status_reason=self.status_reason or "",
            task_arn=self.task_arn,
            exit_code=self.exit_code,
            container_reason=self.container_reason,
            container_ends=self.container_ends,
        )

    def running_image(self, attempt: Attempt) -> "Job":
        """This STARTING job as it was while `attempt`, which has ended since, ran."""
        return replace(
            self,
            status=JobStatus.RUNNING,
            changed_at_ms=attempt.started_at_ms or self.changed_at_ms,
            started_at_ms=attempt.started_at_ms,
            task_arn=attempt.task_arn,
        )

    def nodes_at(self, address: str | None) -> NodeState | None:
        """The state of its nodes once the main node runs at `address`; None if it has none."""
        return replace(self.nodes, address=address) if self.nodes else None

    def next_version(self, **changes: object) -> "Job":
        """This job with `changes`, as the row that may replace it."""
        return replace(self, version=self.version + 1, **changes)  # type: ignore[arg-type]

    def at_version(self, version: int) -> "Job":
        """This job as the row of that version: several decisions may make one write."""
        return replace(self, version=version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A ready row: the right of one job to be dispatched, and all that placing it needs to know."""

    queue: str
    share: str
    rank: str
    job_id: str
    part: str = JOB_PART
    is_array: bool = False  # it stands for the children that are not dispatched yet
    cpu_units: int
    memory_mib: int
    created_at_ms: int

    @property
    def key(self) -> JobKey:
        return JobKey(self.job_id, self.part)

    @property
    def lane(self) -> Lane:
        return Lane(self.queue, self.share)


def rank_of(job: Job) -> str:
    """Return the sort key of a job in its lane: retries first, then by priority, age and id.

    As AWS Batch's user guide says, a retry goes to the front of the queue, and the scheduling
    priority orders only the jobs of one share. It is 0 for every job of a FIFO queue.
    """
    front = "0" if job.is_retry else "1"
    return f"{front}#{9999 - job.priority:04d}#{job.created_at_ms:013d}#{job.key.public_id}"


def ready_of(job: Job) -> Ready | None:
    """The ready row that must exist beside this job, or None.

    There is one beside a RUNNABLE job, and one beside an array whose next children may be
    dispatched, for all of them together.
    """
    if job.version == 0:
        return None  # a child without a row is dispatched by its parent's
    if job.status is not JobStatus.RUNNABLE and not _has_runnable_children(job):
        return None
    return Ready(
        queue=job.queue,
        share=job.share,
        rank=rank_of(job),
        job_id=job.job_id,
        part=job.part,
        is_array=job.array is not None,
        cpu_units=job.cpu_units,
        memory_mib=job.memory_mib,
        created_at_ms=job.created_at_ms,
    )


def _has_runnable_children(job: Job) -> bool:
    array = job.array
    return (
        array is not None
        and job.status is JobStatus.PENDING
        and not job.waiting_on
        and not array.waits_by_child
        and array.closed_at_ms is None
        and array.cursor < array.size
    )


def created_key_of(job: Job) -> str:
    """The sort key of the by_status index: creation first, the id breaks ties."""
    return f"{job.created_at_ms:013d}#{job.job_id}"
