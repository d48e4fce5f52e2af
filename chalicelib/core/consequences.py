"""Derive the effects of a changed row of a job from the row before and after the change.

Pure: the two images of the row in, effects out (`effects.py`).
"""

from dataclasses import replace

from chalicelib.core.arrays import array_of, children_ended
from chalicelib.core.effects import (
    CapacityFound,
    CapacityFreed,
    CheckDependencies,
    Effect,
    EndArray,
    Forget,
    Launch,
    LaunchNode,
    NotifyDependents,
    Publish,
    PublishBlocked,
    ReconcileChildren,
    StopNodes,
    StopTask,
    Wake,
    WatchDeadline,
)
from chalicelib.core.ids import JOB_PART
from chalicelib.core.job import Job, ready_of
from chalicelib.core.states import JobStatus


def effects_of(old: Job | None, new: Job | None) -> tuple[Effect, ...]:
    """Return the effects of the row's change from `old` to `new`; None stands for no row."""
    if new is None:
        # Only the root's row has a spec; nothing else depends on the row of a child.
        if old is None or old.part != JOB_PART:
            return ()
        return (Forget(job_id=old.job_id),)
    if new.array is not None and not new.is_terminal and children_ended(new):
        # For every such record: counts change without a decision, so the version stays the same.
        return (*_publish_statuses(old, new), EndArray(parent=new))
    if old is not None and new.version <= old.version:
        return ()
    if new.key.is_node:
        return _launch_node(new)
    by_kind = _wake_for_array(old, new) if new.array is not None else _dispatch(old, new)
    return (
        *_publish_statuses(old, new),
        *_publish_block(old, new),
        *_follow_dependencies(old, new),
        *by_kind,
        *_stop_or_watch(old, new),
        *_stop_nodes(old, new),
    )


def effects_of_row(row: Job) -> tuple[Effect, ...]:
    """Return what follows from a row as it is, where the record of its last change is lost.

    More than followed from that change, perhaps: each effect may be performed twice. An event for
    the row's status is published again.
    """
    effects = list(effects_of(None, row))
    if row.array is not None and row.array.rows and not row.is_terminal:
        effects.append(ReconcileChildren(parent=row))
    if row.nodes is not None and (row.is_terminal or row.stop_cause is not None):
        effects.append(StopNodes(job=row))
    if row.environment is not None and not row.holds_capacity:
        effects.append(Wake(queue=row.queue))
    return tuple(effects)


def _publish_statuses(old: Job | None, new: Job) -> tuple[Publish, ...]:
    """Return a Publish for each status that the job or child reached in this write, in order.

    A status that was passed inside the write is published too, with the job as it was then. Nodes
    publish nothing: their changes are those of their job, which is its main node.
    """
    if old is not None and old.status is new.status:
        return ()
    passed = _passed_runnable(old, new) or _passed_running(old, new)
    return (*((Publish(job=passed),) if passed else ()), Publish(job=new))


def _publish_block(old: Job | None, new: Job) -> tuple[PublishBlocked, ...]:
    """Return a PublishBlocked if this write records another cause of a block than before.

    An array waits for the next of its children, so it is published as RUNNABLE like any other head
    of a queue, whatever its row's status.
    """
    known = old.blocked_why if old is not None else None
    if new.blocked_why is None or new.blocked_why == known:
        return ()
    return (PublishBlocked(job=replace(new, status=JobStatus.RUNNABLE)),)


def _passed_runnable(old: Job | None, new: Job) -> Job | None:
    """Return the child as it was RUNNABLE, if it got its row only when it was dispatched.

    No record says when it became RUNNABLE; its row's time is the first at which it is known to be.
    """
    if old is not None or not new.key.is_child or new.status is not JobStatus.STARTING:
        return None
    return replace(new, status=JobStatus.RUNNABLE, environment=None, dispatch_count=0)


def _passed_running(old: Job | None, new: Job) -> Job | None:
    """Return the job as it was RUNNING, if its start and end were reported in one write."""
    if old is None or old.status is not JobStatus.STARTING:
        return None
    ended = new.is_terminal or new.attempt > old.attempt
    attempt = new.history[-1] if new.attempt > old.attempt else new.last_attempt()
    if not ended or attempt.started_at_ms is None:
        return None
    return replace(
        old,
        status=JobStatus.RUNNING,
        changed_at_ms=attempt.started_at_ms,
        started_at_ms=attempt.started_at_ms,
        task_arn=attempt.task_arn,
        host=attempt.host,
    )


def _launch_node(node: Job) -> tuple[Effect, ...]:
    """Return a LaunchNode for a node's row that is STARTING without a reason.

    Any other row of a node only records what its task does.
    """
    asks = node.status is JobStatus.STARTING and node.status_reason is None
    return (LaunchNode(node=node),) if asks else ()


def _stop_nodes(old: Job | None, new: Job) -> tuple[Effect, ...]:
    """Return a StopNodes when the main node ends, or the whole job is retried or stopped."""
    if old is None or old.nodes is None or not old.holds_capacity:
        return ()
    if old.fence != new.fence or not new.holds_capacity:
        return (StopNodes(job=old),)
    return (StopNodes(job=new),) if new.stop_cause and not old.stop_cause else ()


def _follow_dependencies(old: Job | None, new: Job) -> tuple[Effect, ...]:
    """Notify the dependents of an ended job; check the dependencies of one that begins to wait."""
    if new.is_terminal:
        notified = old is not None and old.is_terminal
        return () if notified or new.key.is_node else (NotifyDependents(job=new),)
    if new.part != JOB_PART or new.status is not JobStatus.PENDING:
        return ()
    waits = new.waiting_on or (new.array is not None and new.array.waits_by_child)
    # Children begin to wait for other children when the array as a whole no longer waits.
    began = old is None or (bool(old.waiting_on) and not new.waiting_on)
    began = began or _begins_its_sequence(old, new)
    return (CheckDependencies(job=new),) if waits and began else ()


def _begins_its_sequence(old: Job | None, new: Job) -> bool:
    """Return whether each child now waits only for the one before it.

    The first child has none before it, so somebody must let it go on.
    """
    if old is None or old.array is None or new.array is None or new.array.sequential is None:
        return False
    return bool(old.array.each_waits) and not new.array.each_waits


def _wake_for_array(old: Job | None, new: Job) -> tuple[Effect, ...]:
    before, after = ready_of(old) if old else None, ready_of(new)
    effects: list[Effect] = []
    if (before is None) != (after is None):
        # Either its children may run now, or it was the head that others waited behind.
        effects.append(Wake(queue=new.queue))
    if old is not None and array_of(new).rows and _needs_reconciling(old, new):
        effects.append(ReconcileChildren(parent=new))
    return tuple(effects)


def _needs_reconciling(old: Job, new: Job) -> bool:
    """Return whether something changed that the children with a row must follow."""
    was, now = array_of(old), array_of(new)
    return (was.closed_at_ms, old.stop_cause, was.each_waits, bool(old.waiting_on)) != (
        now.closed_at_ms,
        new.stop_cause,
        now.each_waits,
        bool(new.waiting_on),
    )


def _dispatch(old: Job | None, new: Job) -> tuple[Effect, ...]:
    """Launch a placed job; wake the dispatcher for a ready one, and for freed capacity."""
    if old is not None and old.status is new.status:
        return ()
    if new.status is JobStatus.STARTING:
        return (Launch(job=new),)
    if new.status is JobStatus.RUNNABLE:
        # A job whose launch made no task is held back, or its environment is cooling, so what
        # refused it is not asked again at once; another environment may take it.
        return (Wake(queue=new.queue), *_find_capacity(old, new), *_free_capacity(old, new))
    if old is not None and old.status is JobStatus.RUNNABLE:
        # Stopped in its lane: it may have been the head that others waited behind.
        return (Wake(queue=new.queue),)
    return (*_find_capacity(old, new), *_free_capacity(old, new))


def _find_capacity(old: Job | None, new: Job) -> tuple[Effect, ...]:
    """Return a CapacityFound if the task of a probe has started."""
    if old is None or not old.probe or old.environment is None:
        return ()
    if new.status is not JobStatus.RUNNING and _passed_running(old, new) is None:
        return ()
    return (
        CapacityFound(
            environment=old.environment, queue=new.queue, launched_at_ms=old.changed_at_ms
        ),
    )


def _free_capacity(old: Job | None, new: Job) -> tuple[Effect, ...]:
    """Return a CapacityFreed if the job has left its environment.

    The job's queue may not use that environment any more, so the effect names both.
    """
    if old is None or not old.environment or not old.holds_capacity or new.holds_capacity:
        return ()
    return (CapacityFreed(environment=old.environment, queue=old.queue),)


def _stop_or_watch(old: Job | None, new: Job) -> tuple[Effect, ...]:
    """Stop the task of a job that is being stopped; watch the deadline of one that now runs."""
    if not new.holds_capacity:
        return ()
    entered = old is None or old.status is not new.status
    effects: list[Effect] = []
    if new.stop_cause is not None and (entered or old is None or old.stop_cause is None):
        effects.append(StopTask(job=new))
    if entered and new.status is JobStatus.RUNNING and new.timeout_seconds is not None:
        effects.append(WatchDeadline(job=new))
    return tuple(effects)
