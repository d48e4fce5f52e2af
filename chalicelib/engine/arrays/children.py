"""The children of an array: what their parent's state means for them, and its end by theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from chalicelib.core.arrays import array_of, child_at, events_from_parent
from chalicelib.core.child_range import ChildRange
from chalicelib.core.dependencies import DependencyType, dependencies_of
from chalicelib.core.events import Event, EventKind
from chalicelib.core.ids import JobKey, child_part
from chalicelib.core.job import Job
from chalicelib.core.lifecycle import decide
from chalicelib.engine.continuation import Continuation, ContinuationKind
from chalicelib.jobs.transition import (
    COMMIT_TRIES,
    Keys,
    Rows,
    commit_decisions,
    commit_once,
    job_after,
)
from chalicelib.observe import log_decision
from chalicelib.ports import ContentionError

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.jobs.transition import TransitionPorts
    from chalicelib.ports import Clock, HasJobs, HasLanes, HasMessages

    class ChildrenPorts(Clock, HasJobs, HasLanes, HasMessages, Protocol):
        """What this module asks of the outside world."""


CHILD_RANGES_PAGE = 10


def reconcile_children(job_id: str, after: int, ports: ChildrenPorts) -> None:
    """Apply the parent's state to the children that have a row and may not have ended.

    `after` is the number after which the child ranges are read. The cost depends on how many
    children run, not on how many have run: a range whose children have all ended is deleted.
    """
    parent = ports.jobs.find_job(JobKey(job_id))
    if parent is None or parent.is_terminal:
        return
    child_ranges = ports.lanes.child_ranges(
        parent.queue, job_id, after=after, limit=CHILD_RANGES_PAGE
    )
    kind = _kind_of_sequence(parent, ports)
    for child_range in child_ranges:
        _reconcile(parent, kind, child_range, ports)
    if len(child_ranges) == CHILD_RANGES_PAGE:
        place = str(child_ranges[-1].first)
        rest = Continuation(kind=ContinuationKind.RECONCILE, job_id=job_id, after=place)
        ports.messages.send_continuation(rest.detail())


def _kind_of_sequence(parent: Job, ports: HasJobs) -> DependencyType:
    """Return how each child waits for the one before, which only the parent's spec says."""
    sequential = array_of(parent).sequential
    if sequential is None:
        return DependencyType.SEQUENTIAL
    spec = ports.jobs.find_specs([parent.job_id])[parent.job_id]
    return dependencies_of(spec.document["dependsOn"], parent.job_id)[sequential].kind


def _reconcile(
    parent: Job, kind: DependencyType, child_range: ChildRange, ports: ChildrenPorts
) -> None:
    """Apply the parent's state to the children of one range; ContentionError after all tries."""

    def read(_: Keys) -> Rows:
        # The first child of the range may wait for the one before it.
        first = max(0, child_range.first - 1)
        rows = ports.jobs.list_children(child_range.job_id, first, child_range.numbers[-1])
        return {row.key: row for row in (parent, *rows)}

    def decide_on(_: Keys, rows: Rows) -> Rows:
        # All of the range each time: what one child becomes may depend on the one before.
        return _children_after(parent, kind, child_range, rows, ports.now_ms())

    keys = [_key(child_range, number) for number in child_range.numbers]
    left = commit_decisions(keys, read, decide_on, ports, repeats_contention=False)
    if left:
        raise ContentionError(f"{len(left)} children, {COMMIT_TRIES} tries")


def _children_after(
    parent: Job,
    kind: DependencyType,
    child_range: ChildRange,
    rows: Rows,
    now_ms: int,
) -> Mapping[JobKey, Job]:
    """Return the children of the range as the parent's state makes them, each after the one before.

    A child that has expired is left out.
    """
    latest = dict(rows)
    for number in child_range.numbers:
        child = latest.get(_key(child_range, number))
        if child is None:
            continue
        before_key = _key(child_range, number - 1) if number else None
        before = before_key and (latest.get(before_key) or child_at(parent, before_key))
        events = events_from_parent(parent, child, now_ms, before=before, kind=kind)
        latest[child.key] = job_after(child, events)
    return latest


def _key(child_range: ChildRange, number: int) -> JobKey:
    return JobKey(child_range.job_id, child_part(number))


def end_array(parent: Job, ports: TransitionPorts) -> None:
    """End an array whose children have all ended.

    Not repeated when the parent has changed since it was read: the record of that change leads here
    again, and decides on the parent as it is then.
    """
    decision = decide(parent, Event(kind=EventKind.CHILDREN_ENDED, at_ms=ports.now_ms()))
    if decision.job is not parent:
        log_decision(decision)
        commit_once(parent, decision.job, ports)
