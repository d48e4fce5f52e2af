"""What must follow in the world from a job's row having changed.

Pure: the two images of the row in, effects out. The reactor performs them after the write, as often
as the stream delivers the record, so every effect is idempotent and carries the job's fence.
"""

from dataclasses import dataclass

from chalicelib.core.arrays import array_of, children_ended
from chalicelib.core.ids import JOB_PART
from chalicelib.core.job import Job, ready_of
from chalicelib.core.publications import Publish, PublishBlocked, blocks_of, states_of
from chalicelib.core.states import JobStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake:
    """Have the dispatcher look at the queue: it has new work."""

    queue: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeLater:
    """Have the dispatcher look at the queue in a while: what refused a launch may have passed."""

    queue: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityFreed:
    """The environment has room again: wake the dispatcher if anything waits for it."""

    environment: str
    queue: str  # of the job that left it, where more may wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTask:
    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class StopNodes:
    """Stop what runs of the other nodes of this placement of a multi-node job."""

    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchNode:
    """Launch the task of a node whose launch came to nothing before."""

    node: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchDeadline:
    """See to it that the attempt's timeout is noticed in time."""

    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Forget:
    """The job's row has expired: what hangs on it goes too."""

    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckDependencies:
    """Look at what the job waits for: some of it may have ended before the job was written."""

    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyDependents:
    """The job or child has ended: whoever waits for it goes on, or fails."""

    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileChildren:
    """The array's state has changed what its children with a row must do."""

    parent: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class EndArray:
    """All children have ended, and so has the array."""

    parent: Job


Effect = (
    Publish
    | PublishBlocked
    | Wake
    | WakeLater
    | CapacityFreed
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


def effects_of(old: Job | None, new: Job | None) -> tuple[Effect, ...]:
    """The effects of the row having gone from `old` to `new`; None where there is no row."""
    if new is None:
        # Only the root's row has a spec; a child's expiry concerns nobody else.
        if old is None or old.part != JOB_PART:
            return ()
        return (Forget(job_id=old.job_id),)
    if new.array is not None and not new.is_terminal and children_ended(new):
        # On every such record: counts change without a decision, so there is no version to go by.
        return (*states_of(old, new), EndArray(parent=new))
    if old is not None and new.version <= old.version:
        return ()
    if new.key.is_node:
        return _of_node(new)
    by_kind = _of_array(old, new) if new.array is not None else _dispatching(old, new)
    return (
        *states_of(old, new),
        *blocks_of(old, new),
        *_dependencies(old, new),
        *by_kind,
        *_steering(old, new),
        *_stopping_nodes(old, new),
    )


def _of_node(node: Job) -> tuple[Effect, ...]:
    """A node's row is a record of its task; one STARTING without a reason asks for a launch."""
    asks = node.status is JobStatus.STARTING and node.status_reason is None
    return (LaunchNode(node=node),) if asks else ()


def _stopping_nodes(old: Job | None, new: Job) -> tuple[Effect, ...]:
    """The main node's end, a retry of the whole and a stop end the other nodes."""
    if old is None or old.nodes is None or not old.holds_capacity:
        return ()
    if old.fence != new.fence or not new.holds_capacity:
        return (StopNodes(job=old),)
    return (StopNodes(job=new),) if new.stop_cause and not old.stop_cause else ()


def _dependencies(old: Job | None, new: Job) -> tuple[Effect, ...]:
    if new.is_terminal:
        told = old is not None and old.is_terminal
        return () if told or new.key.is_node else (NotifyDependents(job=new),)
    if new.part != JOB_PART or new.status is not JobStatus.PENDING:
        return ()
    waits = new.waiting_on or (new.array is not None and new.array.waits_by_child)
    # Children begin to wait for children when nothing holds back all of them any more.
    began = old is None or (bool(old.waiting_on) and not new.waiting_on)
    began = began or _begins_its_sequence(old, new)
    return (CheckDependencies(job=new),) if waits and began else ()


def _begins_its_sequence(old: Job | None, new: Job) -> bool:
    """Whether only the one before is left to wait for, which the first child does not have."""
    if old is None or old.array is None or new.array is None or new.array.sequential is None:
        return False
    return bool(old.array.each_waits) and not new.array.each_waits


def _of_array(old: Job | None, new: Job) -> tuple[Effect, ...]:
    before, after = ready_of(old) if old else None, ready_of(new)
    effects: list[Effect] = []
    if (before is None) != (after is None):
        # Its children may run now; or it was the head that kept the others waiting.
        effects.append(Wake(queue=new.queue))
    if old is not None and array_of(new).rows and _needs_reconciling(old, new):
        effects.append(ReconcileChildren(parent=new))
    return tuple(effects)


def _needs_reconciling(old: Job, new: Job) -> bool:
    """Whether something changed that children with a row must be told of."""
    was, now = array_of(old), array_of(new)
    return (was.closed_at_ms, old.stop_cause, was.each_waits, bool(old.waiting_on)) != (
        now.closed_at_ms,
        new.stop_cause,
        now.each_waits,
        bool(new.waiting_on),
    )


def _dispatching(old: Job | None, new: Job) -> tuple[Effect, ...]:
    if old is not None and old.status is new.status:
        return ()
    if new.status is JobStatus.STARTING:
        return (Launch(job=new),)
    if new.status is JobStatus.RUNNABLE:
        # What refused the launch of a job that was given back (no Fargate capacity, throttling)
        # would refuse it again at once.
        if new.dispatch_count > 0:
            return (WakeLater(queue=new.queue),)
        return (Wake(queue=new.queue), *_freed(old, new))
    if old is not None and old.status is JobStatus.RUNNABLE:
        # Stopped in its lane: it may have been the head that kept the others waiting.
        return (Wake(queue=new.queue),)
    return _freed(old, new)


def _freed(old: Job | None, new: Job) -> tuple[Effect, ...]:
    """The room that the job leaves; its queue may have no part in that environment any more."""
    if old is None or not old.environment or not old.holds_capacity or new.holds_capacity:
        return ()
    return (CapacityFreed(environment=old.environment, queue=old.queue),)


def _steering(old: Job | None, new: Job) -> tuple[Effect, ...]:
    """Stopping and watching what runs."""
    if not new.holds_capacity:
        return ()
    entered = old is None or old.status is not new.status
    effects: list[Effect] = []
    if new.stop_cause is not None and (entered or old is None or old.stop_cause is None):
        effects.append(StopTask(job=new))
    if entered and new.status is JobStatus.RUNNING and new.timeout_seconds is not None:
        effects.append(WatchDeadline(job=new))
    return tuple(effects)
