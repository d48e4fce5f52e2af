"""Dependents: what the end of a job, or of a child, means for those that wait for it.

The race between a submission and the end of what it waits for is closed by order: an edge is
written with the dependent, and then the upstream is read (`check_dependencies`); the upstream's end
is written, and then its edges are read (`tell_dependents`). One of the two sees the other, and
deciding twice changes nothing. A failure goes from job to job by way of the stream, one hop a
write, so no chain is too long; and where one job has many dependents, an invocation does some of
them and leaves the rest to the next (`walks.py`).
"""

from collections.abc import Iterable, Sequence

from chalicelib.core.dependencies import (
    EACH,
    DependencyType,
    Edge,
    dependencies_of,
    edge_of,
    event_of_end,
    is_met_by,
)
from chalicelib.core.events import Event, EventKind
from chalicelib.core.ids import JOB_PART, JobKey, child_part
from chalicelib.core.job import Job
from chalicelib.core.spec import Spec
from chalicelib.core.states import JobStatus
from chalicelib.engine.continuation import Continuation, ContinuationKind
from chalicelib.jobs.transition import commit_events
from chalicelib.wiring import Ports

EDGES_PAGE = 100
PAGES_LIMIT = 5  # pages of edges, or of children, in one invocation
CHILDREN_PAGE = 90
CHILD_RANGES_PAGE = 10
LAST_NUMBER = 99_999_999  # no array has so many children


def notify_dependents(ended: Sequence[Job], ports: Ports) -> None:
    """Let those go on, or fail, that wait for these jobs and children, all of them ended."""
    by_root: dict[str, list[Job]] = {}
    for job in ended:
        by_root.setdefault(job.job_id, []).append(job)
    # However many end together, an invocation goes only so far.
    pages = max(1, PAGES_LIMIT // max(1, len(by_root)))
    for job_id, jobs in by_root.items():
        children = [job for job in jobs if job.key.is_child]
        if children:
            _notify_of_children(job_id, children, ports)
        if len(children) < len(jobs):
            notify_dependents_after(job_id, "", ports, pages=pages)


def _notify_of_children(job_id: str, children: Sequence[Job], ports: Ports) -> None:
    """Edges to these very children, and those that every child of the array has."""
    ended = {child.part: child for child in children}
    edges = ports.lanes.edges(job_id, first=min(ended), last=f"{EACH}#~", limit=EDGES_PAGE)
    _resolve([(edge, ended[edge.scope].status) for edge in edges if edge.scope in ended], ports)
    for edge in edges:
        if edge.scope == EACH:
            _release_children(edge, children, ports)
    if len(edges) == EDGES_PAGE:
        walk = Continuation(kind=ContinuationKind.DEPENDENTS, job_id=job_id, after=edges[-1].rank)
        ports.messages.send_continuation(walk.detail())


def notify_dependents_after(
    job_id: str, after: str, ports: Ports, *, pages: int | None = None
) -> None:
    """Go through the edges of a job from a rank on, as far as one invocation should."""
    upstream = ports.jobs.find_job(JobKey(job_id))
    if upstream is None:
        return  # expired; its end was told long ago
    for _ in range(pages or PAGES_LIMIT):
        # The rank after `after`: no rank has a character that sorts before a space.
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


def check_dependencies(job: Job, spec: Spec, ports: Ports) -> None:
    """Look at what a PENDING job waits for: what has ended already told it nothing."""
    dependencies = dependencies_of(spec.document.get("dependsOn", []), job.job_id)
    waits = [one for one in dependencies if one.number in job.waiting_on]
    found = ports.jobs.find_all(one.upstream for one in waits)
    ends = [
        (edge_of(one, job.job_id), upstream.status)
        for one in waits
        if (upstream := found.get(one.upstream)) is not None and upstream.is_terminal
    ]
    _resolve(ends, ports)
    if job.array is None or job.waiting_on:
        return
    for one in dependencies:
        if one.number in job.array.each_waits or one.number == job.array.sequential:
            catch_up(edge_of(one, job.job_id), -1, ports)
    if job.array.sequential is not None:
        _release_first(job, ports)


def _resolve(ends: Iterable[tuple[Edge, JobStatus]], ports: Ports) -> None:
    """Apply the ends of upstreams to the jobs that wait for them."""
    events: dict[JobKey, list[Event]] = {}
    for edge, status in ends:
        event = event_of_end(edge.kind, edge.number, status, ports.now_ms())
        events.setdefault(JobKey(edge.dependent_id), []).append(event)
    if events:
        commit_events(events, ports)


def catch_up(edge: Edge, after: int, ports: Ports) -> None:
    """Bring an array's children up to what the children it waits for, above `after`, have become.

    Once the upstream array has ended, what it means for all children together is told in one write:
    the dependency is met, or those that are still without a row have failed.
    """
    upstream = ports.jobs.find_job(JobKey(edge.upstream_id))
    over = edge.kind.is_n_to_n and (upstream is None or upstream.is_terminal)
    # An upstream that has expired while it was waited for tells nothing more, so it has failed.
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
                # From now on no child gets a row, so one look finds all that are left behind.
                _notify_parent(edge, JobStatus.FAILED, ports)
                release_left_behind(edge, -1, ports)
            return
        after = rows[-1].key.number or 0
    walk = Continuation(
        kind=ContinuationKind.CATCH_UP, job_id=edge.upstream_id, after=str(after), edge=edge
    )
    ports.messages.send_continuation(walk.detail())


def release_left_behind(edge: Edge, after: int, ports: Ports) -> None:
    """Tell the children that have a row what became of children that never got one.

    The array that they wait for has ended. Those of its children that had a row have been told of
    one by one, but a child may have got its own row by another dependency, or a cancel.
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
            event = event_of_end(edge.kind, edge.number, status, ports.now_ms())
            events[row.key] = [event]
        if events:
            commit_events(events, ports)
    if len(child_ranges) == CHILD_RANGES_PAGE:
        place = str(child_ranges[-1].first)
        walk = Continuation(
            kind=ContinuationKind.LEFT_BEHIND, job_id=edge.upstream_id, after=place, edge=edge
        )
        ports.messages.send_continuation(walk.detail())


def _notify_parent(edge: Edge, status: JobStatus, ports: Ports) -> None:
    """The dependency has ended so for all children that it did not release one by one."""
    kind = DependencyType.AFTER_SUCCESS  # the upstream's own end was weighed by the edge's kind
    event = event_of_end(kind, edge.number, status, ports.now_ms())
    commit_events({JobKey(edge.dependent_id): [event]}, ports)


def _release_children(edge: Edge, ended: Sequence[Job], ports: Ports) -> None:
    """Each of these children has ended: let the one that waits for it in the other array know."""
    parent = ports.jobs.find_job(JobKey(edge.dependent_id))
    if parent is None or parent.array is None or not _takes_children(parent):
        return
    shift = 1 if edge.kind.is_sequential else 0
    now_ms, size = ports.now_ms(), parent.array.size
    events: dict[JobKey, list[Event]] = {}
    for child in ended:
        number = (child.key.number or 0) + shift
        event = event_of_end(edge.kind, edge.number, child.status, now_ms)
        if number >= size:
            continue
        if edge.kind.is_sequential and event.kind is EventKind.DEPENDENCY_FAILED:
            # All later children wait for this one by way of one another: one write fails them.
            _notify_parent(edge, JobStatus.FAILED, ports)
            continue
        events[JobKey(edge.dependent_id, child_part(number))] = [event]
    if events:
        commit_events(events, ports)


def _takes_children(parent: Job | None) -> bool:
    """Whether its children are looked at one by one: nothing holds back all of them."""
    return parent is not None and not parent.is_terminal and not parent.waiting_on


def _release_first(parent: Job, ports: Ports) -> None:
    """The first child of a SEQUENTIAL array has none before it to wait for."""
    nothing_more = Event(
        kind=EventKind.DEPENDENCY_MET, at_ms=ports.now_ms(), dependencies=frozenset()
    )
    commit_events({JobKey(parent.job_id, child_part(0)): [nothing_more]}, ports)
