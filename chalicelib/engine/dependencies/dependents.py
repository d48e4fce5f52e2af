"""What the end of a job, or of a child, means for the jobs and children that wait for it.

The race between a submission and the end of its upstream is closed by order. An edge is written
with the dependent, and then the upstream is read (`check_dependencies`). The upstream's end is
written, and then its edges are read (`notify_dependents`). At least one of the two sees the other,
and deciding twice changes nothing.

A failure passes from job to job through the stream, one job for each write, so no chain is too
long. Where many jobs wait for one, an invocation handles some of them and sends a continuation for
the rest (`engine/continuation.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from chalicelib.core.dependencies import (
    EACH,
    DependencyType,
    Edge,
    dependencies_of,
    edge_from_dependency,
    event_from_end,
    is_met_by,
)
from chalicelib.core.events import Event, EventKind
from chalicelib.core.ids import JOB_PART, JobKey, child_part
from chalicelib.core.job import Job
from chalicelib.core.spec import Spec
from chalicelib.core.states import JobStatus
from chalicelib.engine.continuation import Continuation, ContinuationKind
from chalicelib.jobs.transition import commit_events

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import Clock, HasJobs, HasLanes, HasMessages

    class DependentsPorts(Clock, HasJobs, HasLanes, HasMessages, Protocol):
        """What this module asks of the outside world."""


EDGES_PAGE = 100
PAGES_LIMIT = 5  # pages of edges, or of children, in one invocation
CHILDREN_PAGE = 90
CHILD_RANGES_PAGE = 10
LAST_NUMBER = 99_999_999  # no array has so many children


def notify_dependents(ended: Sequence[Job], ports: DependentsPorts) -> None:
    """Release or fail what waits for these jobs and children, all of which have ended."""
    by_root: dict[str, list[Job]] = {}
    for job in ended:
        by_root.setdefault(job.job_id, []).append(job)
    # The more jobs end together, the fewer pages of each fit into one invocation.
    pages = max(1, PAGES_LIMIT // max(1, len(by_root)))
    for job_id, jobs in by_root.items():
        children = [job for job in jobs if job.key.is_child]
        if children:
            _notify_of_children(job_id, children, ports)
        if len(children) < len(jobs):
            notify_dependents_after(job_id, "", ports, pages=pages)


def _notify_of_children(job_id: str, children: Sequence[Job], ports: DependentsPorts) -> None:
    """Resolve the edges to these very children, and those that each child of the array has."""
    ended = {child.part: child for child in children}
    edges = ports.lanes.edges(job_id, first=min(ended), last=f"{EACH}#~", limit=EDGES_PAGE)
    _resolve([(edge, ended[edge.scope].status) for edge in edges if edge.scope in ended], ports)
    for edge in edges:
        if edge.scope == EACH:
            _release_children(edge, children, ports)
    if len(edges) == EDGES_PAGE:
        rest = Continuation(kind=ContinuationKind.DEPENDENTS, job_id=job_id, after=edges[-1].rank)
        ports.messages.send_continuation(rest.detail())


def notify_dependents_after(
    job_id: str, after: str, ports: DependentsPorts, *, pages: int | None = None
) -> None:
    """Resolve the edges of a job after the rank `after`, as many as one invocation should.

    `pages` is the number of pages of edges, by default PAGES_LIMIT.
    """
    upstream = ports.jobs.find_job(JobKey(job_id))
    if upstream is None:
        return  # it has expired, so its dependents were resolved long ago
    for _ in range(pages or PAGES_LIMIT):
        # The space makes the first key after `after`: no rank has a character that sorts before it.
        edges = ports.lanes.edges(job_id, first=after and f"{after} ", limit=EDGES_PAGE)
        parts = {edge.scope for edge in edges if edge.scope not in {EACH, JOB_PART}}
        found = ports.jobs.find_all(JobKey(job_id, part) for part in parts)
        found[upstream.key] = upstream
        ends = [
            (edge, job.status)
            for edge in edges
            if (job := found.get(JobKey(job_id, edge.scope))) is not None and job.is_terminal
        ]
        _resolve(ends, ports)
        for edge in edges:
            if edge.scope == EACH:
                catch_up(edge, -1, ports)
        if len(edges) < EDGES_PAGE:
            return
        after = edges[-1].rank
    ports.messages.send_continuation(
        Continuation(kind=ContinuationKind.DEPENDENTS, job_id=job_id, after=after).detail()
    )


def check_dependencies(job: Job, spec: Spec, ports: DependentsPorts) -> None:
    """Resolve the dependencies of a PENDING job whose upstreams had ended before it was written."""
    dependencies = dependencies_of(spec.document.get("dependsOn", []), job.job_id)
    waits = [one for one in dependencies if one.number in job.waiting_on]
    found = ports.jobs.find_all(one.upstream for one in waits)
    ends = [
        (edge_from_dependency(one, job.job_id), upstream.status)
        for one in waits
        if (upstream := found.get(one.upstream)) is not None and upstream.is_terminal
    ]
    _resolve(ends, ports)
    if job.array is None or job.waiting_on:
        return
    for one in dependencies:
        if one.number in job.array.each_waits or one.number == job.array.sequential:
            catch_up(edge_from_dependency(one, job.job_id), -1, ports)
    if job.array.sequential is not None:
        _release_first(job, ports)


def _resolve(ends: Iterable[tuple[Edge, JobStatus]], ports: DependentsPorts) -> None:
    """Apply the ends of upstreams to the jobs at the other end of these edges."""
    events: dict[JobKey, list[Event]] = {}
    for edge, status in ends:
        event = event_from_end(edge.kind, edge.number, status, ports.now_ms())
        events.setdefault(JobKey(edge.dependent_id), []).append(event)
    if events:
        commit_events(events, ports)


def catch_up(edge: Edge, after: int, ports: DependentsPorts) -> None:
    """Apply the ends of an upstream array's children, numbered above `after`, to their dependents.

    `edge` is one that each child of the dependent array has. Once the upstream array has ended, one
    write says what this means for all virtual children: the dependency is met, or they have failed.
    """
    upstream = ports.jobs.find_job(JobKey(edge.upstream_id))
    over = edge.kind.is_n_to_n and (upstream is None or upstream.is_terminal)
    # An upstream that expired while others wait for it will never be reported, so it has failed.
    status = upstream.status if upstream is not None else JobStatus.FAILED
    if over and is_met_by(edge.kind, status):
        _notify_parent(edge, JobStatus.SUCCEEDED, ports)
        return
    if not _takes_children(ports.jobs.find_job(JobKey(edge.dependent_id))):
        return
    for _ in range(PAGES_LIMIT):
        rows = ports.jobs.list_children(
            edge.upstream_id, after + 1, LAST_NUMBER, limit=CHILDREN_PAGE
        )
        _release_children(edge, [row for row in rows if row.is_terminal], ports)
        if len(rows) < CHILDREN_PAGE:
            if over:
                # From now on no child gets a row, so reading once finds all that are left behind.
                _notify_parent(edge, JobStatus.FAILED, ports)
                release_left_behind(edge, -1, ports)
            return
        after = rows[-1].key.number or 0
    rest = Continuation(
        kind=ContinuationKind.CATCH_UP, job_id=edge.upstream_id, after=str(after), edge=edge
    )
    ports.messages.send_continuation(rest.detail())


def release_left_behind(edge: Edge, after: int, ports: DependentsPorts) -> None:
    """Apply the end of virtual children to the children with a row, above `after`, that wait.

    The array that they wait for has ended. The ends of its children with a row were applied one by
    one, those of its virtual children to virtual children only. But a dependent child may have a
    row of its own, because of another dependency or a cancel.
    """
    parent = ports.jobs.find_job(JobKey(edge.dependent_id))
    if parent is None or parent.is_terminal:
        return
    child_ranges = ports.lanes.child_ranges(
        parent.queue, parent.job_id, after=after, limit=CHILD_RANGES_PAGE
    )
    for child_range in child_ranges:
        rows = ports.jobs.list_children(parent.job_id, child_range.first, child_range.numbers[-1])
        waiting = [row for row in rows if edge.number in row.waiting_on]
        found = ports.jobs.find_all(JobKey(edge.upstream_id, row.part) for row in waiting)
        events: dict[JobKey, list[Event]] = {}
        for row in waiting:
            upstream = found.get(JobKey(edge.upstream_id, row.part))
            status = upstream.status if upstream is not None else JobStatus.FAILED
            event = event_from_end(edge.kind, edge.number, status, ports.now_ms())
            events[row.key] = [event]
        if events:
            commit_events(events, ports)
    if len(child_ranges) == CHILD_RANGES_PAGE:
        place = str(child_ranges[-1].first)
        rest = Continuation(
            kind=ContinuationKind.LEFT_BEHIND, job_id=edge.upstream_id, after=place, edge=edge
        )
        ports.messages.send_continuation(rest.detail())


def _notify_parent(edge: Edge, status: JobStatus, ports: DependentsPorts) -> None:
    """Resolve the dependency for all children of the array that were not released one by one."""
    kind = DependencyType.AFTER_SUCCESS  # the caller has applied the edge's own kind to `status`
    event = event_from_end(kind, edge.number, status, ports.now_ms())
    commit_events({JobKey(edge.dependent_id): [event]}, ports)


def _release_children(edge: Edge, ended: Sequence[Job], ports: DependentsPorts) -> None:
    """Release or fail the children of the dependent array that wait for these ended children."""
    parent = ports.jobs.find_job(JobKey(edge.dependent_id))
    if parent is None or parent.array is None or not _takes_children(parent):
        return
    shift = 1 if edge.kind.is_sequential else 0
    # Children that wait for those of another array too may fail before earlier ones could run.
    in_order = edge.kind.is_sequential and not parent.array.each_waits
    now_ms, size = ports.now_ms(), parent.array.size
    events: dict[JobKey, list[Event]] = {}
    for child in ended:
        number = (child.key.number or 0) + shift
        event = event_from_end(edge.kind, edge.number, child.status, now_ms)
        if number >= size:
            continue
        if in_order and event.kind is EventKind.DEPENDENCY_FAILED:
            # All before it have ended, and each later child waits for it: one write fails them all.
            _notify_parent(edge, JobStatus.FAILED, ports)
            continue
        events[JobKey(edge.dependent_id, child_part(number))] = [event]
    if events:
        commit_events(events, ports)


def _takes_children(parent: Job | None) -> bool:
    """Return whether its children are released one by one: nothing holds all of them back."""
    return parent is not None and not parent.is_terminal and not parent.waiting_on


def _release_first(parent: Job, ports: DependentsPorts) -> None:
    """Release the first child of a SEQUENTIAL array, which has no child before it."""
    nothing_more = Event(
        kind=EventKind.DEPENDENCY_MET, at_ms=ports.now_ms(), dependencies=frozenset()
    )
    commit_events({JobKey(parent.job_id, child_part(0)): [nothing_more]}, ports)
