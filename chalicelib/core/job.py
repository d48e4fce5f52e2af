"""A job as a value: the state that its row holds, and what follows from that state alone.

A job never changes; a decision (`lifecycle.py`) makes the next one. The request and the definition
behind it are the spec, which is written once and kept apart, so that a transition costs one write
unit.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from chalicelib.core.events import ContainerEnd, TaskHost
from chalicelib.core.ids import JOB_PART, Fence, JobKey
from chalicelib.core.lane import FIFO_SHARE
from chalicelib.core.launch_failures import LaunchFailure
from chalicelib.core.ready import Ready
from chalicelib.core.states import PLACED, TERMINAL, JobStatus
from chalicelib.core.task_size import TaskSize


class StopCause(StrEnum):
    """Why an attempt is stopped before its container ends."""

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
    host: TaskHost | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayState:
    """What the row of an array's parent adds; virtual children are computed from it.

    Children get their rows in the order of their numbers as they are dispatched: those below
    `cursor` have one. A child that is cancelled alone, or released by its own dependency, gets a
    row earlier, at or above the cursor; `singled` is the number of those. `counts` is the number of
    children with a row by status. `closed_at_ms` is set when no further child gets a row: from then
    on virtual children are FAILED. See `arrays.py`.
    """

    size: int
    cursor: int = 0
    singled: int = 0
    each_waits: tuple[int, ...] = ()  # N_TO_N: the numbers of each child's dependencies
    sequential: int | None = None  # the number of each child's dependency on the one before
    closed_at_ms: int | None = None
    closed_reason: str | None = None
    counts: tuple[tuple[JobStatus, int], ...] = ()

    def count(self, status: JobStatus) -> int:
        """Return how many children with a row are in this status."""
        return dict(self.counts).get(status, 0)

    @property
    def rows(self) -> int:
        """Return how many children have, or had, a row."""
        return sum(number for _, number in self.counts)

    @property
    def waits_by_child(self) -> bool:
        """Return whether one child may wait while another runs, so that each is released alone."""
        return bool(self.each_waits) or self.sequential is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """What the row of a multi-node parallel job adds; the job itself is its main node.

    The other nodes are in `multinode.py`. `address` is the main node's while it runs, None where
    ECS does not report one. `sizes` are those of the largest nodes, each of which must fit an
    instance; the job's own size is the sum over all nodes.
    """

    count: int
    main: int
    address: str | None = None
    sizes: tuple[TaskSize, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The state of a job. Times are milliseconds since the epoch, a cpu unit is 1/1024 vCPU."""

    job_id: str
    part: str = JOB_PART
    # Grows by one with every decision, which is valid only for the version it read. 0: no row yet.
    version: int = 1
    name: str
    queue: str
    definition: str  # <name>:<revision>
    status: JobStatus
    status_reason: str | None = None
    attempt: int = 1  # the attempt that the status belongs to
    dispatch_count: int = 0  # how often this attempt was dispatched
    failed_launches: int = 0  # those of this attempt that count against its tries
    refusal: LaunchFailure | None = None  # why its last launch made no task, while RUNNABLE
    held_until_ms: int | None = None  # it is not launched again before
    probe: bool = False  # STARTING: the launch that tries a cooling environment
    on_instance: bool = False  # STARTING: its task has an instance, and waits for it no longer
    spot_losses: int = 0  # attempts that ended because Spot capacity was reclaimed
    free_attempts: int = 0  # those before this one that count against no limit
    avoids_spot: bool = False  # it is not placed on Spot where its queue has anything else for it
    attempts_limit: int = 1
    timeout_seconds: int | None = None
    share: str = FIFO_SHARE
    priority: int = 0
    cpu_units: int
    memory_mib: int
    gpus: int = 0
    architecture: str | None = None  # of EC2; None where either will do
    essential: tuple[str, ...] = ()  # the essential containers, where there are several
    created_at_ms: int
    changed_at_ms: int  # when the status last changed
    started_at_ms: int | None = None
    stopped_at_ms: int | None = None
    environment: str | None = None  # the compute environment, from STARTING on
    launch_closed_at_ms: int | None = None  # since when nobody may launch this placement any more
    task_arn: str | None = None
    host: TaskHost | None = None  # of its task
    exit_code: int | None = None
    container_reason: str | None = None
    container_ends: tuple[ContainerEnd, ...] = ()  # how each ended, where there are several
    blocked_why: str | None = None  # the label of why the head of its queue waits
    blocked_since_ms: int | None = None
    stop_cause: StopCause | None = None
    stop_reason: str | None = None
    history: tuple[Attempt, ...] = ()  # the finished attempts before the current one
    waiting_on: tuple[int, ...] = ()  # the numbers of the dependencies that are not met
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
        """Return whether its compute environment counts this job's vCPUs as in use."""
        return self.status in PLACED

    @property
    def waits_for_start(self) -> bool:
        """Return whether its compute environment counts its task among those that are starting."""
        return self.status is JobStatus.STARTING and not self.on_instance

    @property
    def may_be_launched(self) -> bool:
        """Return whether a launch of the current placement may still make its task."""
        return self.status is JobStatus.STARTING and self.launch_closed_at_ms is None

    @property
    def is_retry(self) -> bool:
        """Return whether it was dispatched before; such a job goes to the front of its lane."""
        return self.attempt > 1 or self.dispatch_count > 0

    @property
    def attempts_used(self) -> int:
        """Return how many of `attempts_limit` are used up, the current attempt included."""
        return self.attempt - self.free_attempts

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
        """Return when the running attempt exceeds its timeout, from its start; None for never."""
        if self.status is not JobStatus.RUNNING or self.timeout_seconds is None:
            return None
        return (self.started_at_ms or self.changed_at_ms) + self.timeout_seconds * 1000

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Return every finished attempt, the last one included once the job has ended.

        A job that ended without a task (cancelled, a dependency failed) made no attempt; one whose
        task could not start made one, and the container's reason says so.
        """
        began = self.task_arn is not None or self.container_reason is not None
        if not self.is_terminal or not began:
            return self.history
        return (*self.history, self.last_attempt())

    def last_attempt(self) -> Attempt:
        """Return the current attempt as a finished one."""
        return Attempt(
            started_at_ms=self.started_at_ms,
            stopped_at_ms=self.stopped_at_ms or self.changed_at_ms,
            status_reason=self.status_reason or "",
            task_arn=self.task_arn,
            exit_code=self.exit_code,
            container_reason=self.container_reason,
            container_ends=self.container_ends,
            host=self.host,
        )

    def nodes_at(self, address: str | None) -> NodeState | None:
        """Return the node state once the main node runs at `address`; None without nodes."""
        return replace(self.nodes, address=address) if self.nodes else None

    def next_version(self, **changes: object) -> "Job":
        """Return this job with `changes`, as the row that may replace it."""
        return replace(self, version=self.version + 1, **changes)  # type: ignore[arg-type]

    def at_version(self, version: int) -> "Job":
        """Return this job with another version, for several decisions that make one write."""
        return replace(self, version=version)


def rank_of(job: Job) -> str:
    """Return the sort key of a job in its lane: retries first, then by priority, age and id.

    As AWS Batch's user guide says, a retry goes to the front of the queue, and the scheduling
    priority orders only the jobs of one share. It is 0 for every job of a FIFO queue.
    """
    front = "0" if job.is_retry else "1"
    return f"{front}#{9999 - job.priority:04d}#{job.created_at_ms:013d}#{job.key.public_id}"


def ready_of(job: Job) -> Ready | None:
    """Return the ready row that must exist beside this job, or None.

    There is one beside a RUNNABLE job, and one beside an array whose next children may be
    dispatched, for all of them together.
    """
    if job.version == 0:
        return None  # virtual children are dispatched from their parent's ready row
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
        gpus=job.gpus,
        architecture=job.architecture,
        node_sizes=job.nodes.sizes if job.nodes else (),
        created_at_ms=job.created_at_ms,
        held_until_ms=job.held_until_ms,
        spot_losses=job.spot_losses if job.avoids_spot else None,
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
    """Return the sort key of the by_status index: creation time, then the id."""
    return f"{job.created_at_ms:013d}#{job.job_id}"
