"""Effects: what follows from a changed row of a job, as values.

`consequences.py` derives them from the two images of the row, and `engine/reactor.py` performs them
after the write, as often as the stream delivers the record. So every effect is safe to repeat.
"""

from dataclasses import dataclass

from chalicelib.core.job import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """Publish an event to EventBridge: the job reached `job.status`."""

    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishBlocked:
    """Publish an event to EventBridge: the job is the head of its queue and cannot be placed."""

    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake:
    """Wake the dispatcher for the queue, which has new work."""

    queue: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityFreed:
    """Wake the dispatcher if a job waits for the environment, which has free capacity again."""

    environment: str
    queue: str  # of the job that left the environment; more of its jobs may wait


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityFound:
    """End the cooling of the environment and wake the dispatcher: its probe runs, or has run."""

    environment: str
    queue: str  # of the probe
    launched_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Launch the job's task."""

    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTask:
    """Stop the job's task."""

    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class StopNodes:
    """Stop the tasks of the other nodes of this placement of a multi-node job."""

    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchNode:
    """Launch the task of a node again, after a launch that made no task."""

    node: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchDeadline:
    """Send a message that arrives when the attempt's timeout is reached."""

    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Forget:
    """Delete the other rows of a job whose own row has expired."""

    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckDependencies:
    """Read what the job waits for: some of it may have ended before the job was written."""

    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyDependents:
    """Let the jobs that wait for this one go on or fail, because it has ended."""

    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileChildren:
    """Apply the array's changed state to its children that have a row."""

    parent: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class EndArray:
    """End the array, because all its children have ended."""

    parent: Job


Publication = Publish | PublishBlocked
Effect = (
    Publish
    | PublishBlocked
    | Wake
    | CapacityFreed
    | CapacityFound
    | Launch
    | StopTask
    | StopNodes
    | LaunchNode
    | WatchDeadline
    | Forget
    | CheckDependencies
    | NotifyDependents
    | ReconcileChildren
    | EndArray
)
