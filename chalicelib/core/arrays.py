"""Array jobs: what a parent's row says about its children, and what events do to the parent.

A virtual child is one without a stored row so far: it is computed from its parent here, so an array
of any size is stored as one row until its children run. The figures in `counts` change together
with the children's rows; they are no decision of the parent, so they do not raise its version.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from chalicelib.core.decision import Decision, Label
from chalicelib.core.dependencies import DependencyType, event_from_end
from chalicelib.core.events import Event, EventKind
from chalicelib.core.ids import JobKey, child_part
from chalicelib.core.job import ArrayState, Job, StopCause
from chalicelib.core.retry import RetryStrategy
from chalicelib.core.states import JobStatus
from chalicelib.core.transition_rules import Rule, block, ignore, move, unchanged
from chalicelib.core.waiting import (
    DEPENDENCY_REASON,
    UNNEEDED_REASON,
    cause_of,
    still_waited_for,
    store_stop,
)


@dataclass(frozen=True, slots=True)
class ChildPage:
    """Children of one array in order, and the number from which a listing goes on, if it does."""

    children: tuple[Job, ...] = ()
    next_number: int | None = None


CHILD_FAILED_REASON = "Array Child Job failed"


def array_of(parent: Job) -> ArrayState:
    """Return the array state of a job that is an array's parent."""
    assert parent.array is not None, f"{parent.job_id} is not an array"
    return parent.array


def virtual_child_status(parent: Job) -> JobStatus:
    """Return the status that all virtual children have."""
    array = array_of(parent)
    if array.closed_at_ms is not None:
        return JobStatus.FAILED
    if parent.waiting_on or array.waits_by_child:
        return JobStatus.PENDING
    return JobStatus.RUNNABLE


def waits_of(parent: Job, number: int) -> tuple[int, ...]:
    """Return the dependencies that virtual child `number` waits for, beside those of its parent."""
    array = array_of(parent)
    own = () if array.sequential is None or number == 0 else (array.sequential,)
    return (*array.each_waits, *own)


def virtual_child(parent: Job, number: int) -> Job:
    """Return virtual child `number`, computed from its parent; its version is 0."""
    array, status = array_of(parent), virtual_child_status(parent)
    closed = status is JobStatus.FAILED
    return replace(
        parent,
        part=child_part(number),
        version=0,
        array=None,
        status=status,
        status_reason=array.closed_reason,
        changed_at_ms=array.closed_at_ms or parent.changed_at_ms,
        stopped_at_ms=array.closed_at_ms,
        blocked_why=None,
        blocked_since_ms=None,
        stop_cause=parent.stop_cause if closed else None,
        stop_reason=parent.stop_reason if closed else None,
        waiting_on=waits_of(parent, number) if status is JobStatus.PENDING else (),
    )


def child_at(parent: Job, key: JobKey) -> Job | None:
    """Return the virtual child of that key, or None where there is none.

    There is none at or beyond the size of the array, and none below the cursor: each child below it
    has had a row, so one that is missing there has expired.
    """
    array, number = parent.array, key.number
    if array is None or number is None or not key.is_child:
        return None
    return virtual_child(parent, number) if array.cursor <= number < array.size else None


def summary_of(parent: Job) -> dict[JobStatus, int]:
    """Return how many children are in each of the seven statuses; the sum is the size."""
    array = array_of(parent)
    summary = dict.fromkeys(JobStatus, 0) | dict(array.counts)
    summary[virtual_child_status(parent)] += array.size - array.rows
    return summary


def children_to_dispatch(parent: Job) -> int:
    """Return how many virtual children are RUNNABLE."""
    array = array_of(parent)
    return array.size - array.cursor - array.singled


def next_numbers(
    array: ArrayState, taken: Collection[int], *, count: int, known_to: int
) -> tuple[list[int], int, int]:
    """Return (the next `count` numbers to dispatch, the cursor after them, how many it skipped).

    `taken` are the numbers at or above the cursor that have a row, complete for all below
    `known_to`; these are skipped.
    """
    numbers: list[int] = []
    passed, number = 0, array.cursor
    while number < min(known_to, array.size):
        if number in taken:
            passed += 1
        elif len(numbers) == count:
            break
        else:
            numbers.append(number)
        number += 1
    return numbers, number, passed


def children_ended(parent: Job) -> bool:
    """Return whether every child has ended."""
    summary = summary_of(parent)
    return summary[JobStatus.SUCCEEDED] + summary[JobStatus.FAILED] == array_of(parent).size


def count_changes(old: Job, new: Job) -> Mapping[JobStatus, int]:
    """Return by how much the parent's counts change when a child goes from `old` to `new`."""
    before = None if old.version == 0 else old.status
    if before is new.status:
        return {}
    return {new.status: 1} if before is None else {before: -1, new.status: 1}


def events_from_parent(
    parent: Job,
    child: Job,
    at_ms: int,
    *,
    before: Job | None = None,
    kind: DependencyType = DependencyType.SEQUENTIAL,
) -> tuple[Event, ...]:
    """Return the events that follow from the parent's current state for a child that has a row.

    The order matters. `before` is the child with the previous number, needed where each child waits
    for that one; `kind` says how it waits.
    """
    if child.is_terminal:
        return ()
    closed = array_of(parent).closed_at_ms is not None
    all_met = Event(kind=EventKind.DEPENDENCY_MET, at_ms=at_ms)
    if closed and parent.stop_cause is not None:
        how = EventKind.CANCEL if parent.stop_cause is StopCause.CANCEL else EventKind.TERMINATE
        stop = Event(kind=how, at_ms=at_ms, reason=parent.stop_reason or "")
        # A PENDING child keeps a stop until its dependencies are met: they no longer matter.
        return (stop, all_met) if child.status is JobStatus.PENDING else (stop,)
    if child.status is not JobStatus.PENDING or parent.waiting_on:
        return ()
    sequential = array_of(parent).sequential
    one_before_failed = before is not None and before.status is JobStatus.FAILED
    if closed and one_before_failed and sequential is not None and sequential in child.waiting_on:
        # If that one was a virtual child, no write of a row of its own has reported its end.
        return (event_from_end(kind, sequential, JobStatus.FAILED, at_ms),)
    if not child.waiting_on:
        return (all_met,)
    met = frozenset(child.waiting_on) - frozenset(waits_of(parent, child.key.number or 0))
    return (replace(all_met, dependencies=met),) if met else ()


def decide_array(parent: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """Return what `event` changes in an array's parent."""
    if parent.is_terminal:
        return unchanged(parent, Label.IGNORED, "the array has ended")
    return ARRAY_RULES.get(event.kind, _NOT_FOR_ARRAYS)(parent, event, strategy)


def _meet(parent: Job, event: Event, strategy: RetryStrategy) -> Decision:
    array = array_of(parent)
    gate = still_waited_for(parent.waiting_on, event)
    each = still_waited_for(array.each_waits, event)
    if (gate, each) == (parent.waiting_on, array.each_waits):
        return unchanged(parent, Label.IGNORED, "the array does not wait for this dependency")
    met = parent.next_version(waiting_on=gate, array=replace(array, each_waits=each))
    if gate:
        return Decision(job=met, label=Label.WAITING, sentence="other dependencies are open")
    if parent.stop_cause is not None:
        return _closed(met.at_version(parent.version), event, parent.stop_reason or "")
    return Decision(job=met, label=Label.RELEASED, sentence="the array's children may run")


def _close_failed(parent: Job, event: Event, strategy: RetryStrategy) -> Decision:
    if array_of(parent).closed_at_ms is not None:
        return unchanged(parent, Label.IGNORED, "the array is closed")
    return _closed(parent, event, parent.stop_reason or DEPENDENCY_REASON)


def _close_unneeded(parent: Job, event: Event, strategy: RetryStrategy) -> Decision:
    if parent.stop_cause is not None:
        return _closed(parent, event, parent.stop_reason or "")
    cancelled = replace(parent, stop_cause=StopCause.CANCEL, stop_reason=UNNEEDED_REASON)
    return _closed(cancelled, event, UNNEEDED_REASON)


def _stop(parent: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """Fail all virtual children with this one write; those that have a row get a stop each."""
    if parent.waiting_on and event.kind is not EventKind.DISCARD:
        return store_stop(parent, event, strategy)
    cause, closed = cause_of(event), array_of(parent).closed_at_ms is not None
    if parent.stop_cause is None:
        stopping = replace(parent, stop_cause=cause, stop_reason=event.reason)
        return _closed(stopping, event, event.reason)
    if not closed:
        return _closed(parent, event, parent.stop_reason or "")
    if cause is StopCause.CANCEL or parent.stop_cause is StopCause.TERMINATE:
        return unchanged(parent, Label.IGNORED, "a stop was requested before")
    # A cancel has let running children go on; a terminate ends these too.
    harder = parent.next_version(stop_cause=cause, stop_reason=event.reason)
    return Decision(job=harder, label=Label.STOPPING, sentence=event.reason)


def _closed(parent: Job, event: Event, reason: str) -> Decision:
    """Close the array: no child gets a row any more, and it ends when those that have one end."""
    array = array_of(parent)
    if array.closed_at_ms is None:
        array = replace(array, closed_at_ms=event.at_ms, closed_reason=reason)
    closed = parent.next_version(
        array=array, waiting_on=(), status_reason=None, blocked_why=None, blocked_since_ms=None
    )
    return Decision(job=closed, label=Label.CLOSED, sentence=reason)


def _end(parent: Job, event: Event, strategy: RetryStrategy) -> Decision:
    if not children_ended(parent):
        return unchanged(parent, Label.IGNORED, "some children have not ended")
    array, summary = array_of(parent), summary_of(parent)
    changes = {
        "stopped_at_ms": event.at_ms,
        "blocked_why": None,
        "blocked_since_ms": None,
    }
    if not summary[JobStatus.FAILED]:
        done = move(parent, event, JobStatus.SUCCEEDED, status_reason=None, **changes)
        return Decision(job=done, label=Label.SUCCEEDED, sentence="all children succeeded")
    reason = CHILD_FAILED_REASON
    if array.closed_at_ms is not None and (parent.stop_cause or not array.rows):
        reason = parent.stop_reason or array.closed_reason or reason
    failed = move(parent, event, JobStatus.FAILED, status_reason=reason, **changes)
    return Decision(job=failed, label=Label.FAILED, sentence=reason)


_NOT_FOR_ARRAYS = ignore("the parent of an array never runs itself")

ARRAY_RULES: dict[EventKind, Rule] = {
    EventKind.DEPENDENCY_MET: _meet,
    EventKind.DEPENDENCY_FAILED: _close_failed,
    EventKind.DEPENDENCY_UNNEEDED: _close_unneeded,
    EventKind.BLOCKED: block,  # the array's next child is the head of its queue
    EventKind.CHILDREN_ENDED: _end,
    EventKind.CANCEL: _stop,
    EventKind.TERMINATE: _stop,
    EventKind.DISCARD: _stop,
}
