"""An array's children that have a row: told of what their parent's state means for them."""

from collections.abc import Iterable, Iterator

from chalicelib.core.arrays import array_of, child_at, events_from_parent
from chalicelib.core.child_range import ChildRange
from chalicelib.core.dependencies import DependencyType, dependencies_of
from chalicelib.core.events import Event, EventKind
from chalicelib.core.ids import JobKey, child_part
from chalicelib.core.job import Job
from chalicelib.core.lifecycle import decide
from chalicelib.core.moves import Move
from chalicelib.engine.continuation import Continuation, ContinuationKind
from chalicelib.jobs.transition import COMMIT_TRIES, decided
from chalicelib.observe import log_decision
from chalicelib.ports import ContentionError
from chalicelib.wiring import Ports

CHILD_RANGES_PAGE = 10
SWEPT_LIMIT = 1000  # batches of a queue that a sweep looks at
RUN_LIMIT = 1000  # children that one query of a sweep reads
GAP_LIMIT = 20  # so many rows that nobody asks about are cheaper to read than another query


def reconcile_children(job_id: str, after: int, ports: Ports) -> None:
    """Go through the children that may not have ended, in batches above the number `after`.

    It costs what runs, not what has run: a batch whose children have all ended is forgotten.
    """
    parent = ports.jobs.find_job(JobKey(job_id))
    if parent is None or parent.is_terminal:
        return
    child_ranges = ports.lanes.child_ranges(
        parent.queue, job_id, after=after, limit=CHILD_RANGES_PAGE
    )
    kind = _kind_of_sequence(parent, ports)
    for child_range in child_ranges:
        _settle(parent, kind, child_range, ports)
    if len(child_ranges) == CHILD_RANGES_PAGE:
        place = str(child_ranges[-1].first)
        walk = Continuation(kind=ContinuationKind.RECONCILE, job_id=job_id, after=place)
        ports.messages.send_continuation(walk.detail())


def _kind_of_sequence(parent: Job, ports: Ports) -> DependencyType:
    """How each child waits for the one before, which the row of a parent does not tell."""
    sequential = array_of(parent).sequential
    if sequential is None:
        return DependencyType.SEQUENTIAL
    spec = ports.jobs.find_specs([parent.job_id])[parent.job_id]
    return dependencies_of(spec.document["dependsOn"], parent.job_id)[sequential].kind


def _settle(parent: Job, kind: DependencyType, child_range: ChildRange, ports: Ports) -> None:
    for _ in range(COMMIT_TRIES):
        # With the one before the first, which the first may wait for.
        first = max(0, child_range.first - 1)
        rows = ports.jobs.list_children(child_range.job_id, first, child_range.numbers[-1])
        children = {row.key.number: row for row in rows}
        moves = []
        for number in child_range.numbers:
            child = children.get(number)
            if child is None:
                continue  # expired
            before = children.get(number - 1) or child_at(parent, _key(child_range, number - 1))
            events = events_from_parent(parent, child, ports.now_ms(), before=before, kind=kind)
            new = decided(child, events)
            if new is not child:
                moves.append(Move.of(child, new))
                children[number] = new
        if not ports.jobs.commit(moves):
            return
    raise ContentionError(f"a batch of {len(child_range.numbers)} children, {COMMIT_TRIES} tries")


def _key(child_range: ChildRange, number: int) -> JobKey:
    return JobKey(child_range.job_id, child_part(max(0, number)))


def placed_children(queue: str, ports: Ports) -> list[Job]:
    """The children of the queue's arrays that are STARTING or RUNNING.

    A batch whose children have all ended is forgotten, and with the last of them the array's end is
    made sure of: the record that should have brought it about may have been lost.
    """
    placed: list[Job] = []
    emptied: set[str] = set()
    for run in _runs(ports.lanes.child_ranges(queue, limit=SWEPT_LIMIT)):
        last = max(child_range.numbers[-1] for child_range in run)
        rows = ports.jobs.list_children(run[0].job_id, run[0].first, last)
        by_number = {row.key.number: row for row in rows}
        for child_range in run:
            children = [by_number[number] for number in child_range.numbers if number in by_number]
            placed.extend(child for child in children if child.holds_capacity)
            if all(child.is_terminal for child in children):
                ports.lanes.drop_child_range(child_range)
                emptied.add(child_range.job_id)
    for parent in ports.jobs.find_jobs(map(JobKey, sorted(emptied))).values():
        if not parent.is_terminal:
            end_array(parent, ports)
    return placed


def _runs(child_ranges: Iterable[ChildRange]) -> Iterator[list[ChildRange]]:
    """The batches in groups that one query reads: those of an array that lie close together."""
    run: list[ChildRange] = []
    for child_range in child_ranges:
        if run and not (
            child_range.job_id == run[0].job_id
            and child_range.first - run[-1].numbers[-1] <= GAP_LIMIT
            and child_range.numbers[-1] - run[0].first < RUN_LIMIT
        ):
            yield run
            run = []
        run.append(child_range)
    if run:
        yield run


def end_array(parent: Job, ports: Ports) -> None:
    """End an array whose children have all ended.

    A lost condition means that another decision came before: its own record brings this about.
    """
    decision = decide(parent, Event(kind=EventKind.CHILDREN_ENDED, at_ms=ports.now_ms()))
    if decision.job is not parent:
        log_decision(decision)
        ports.jobs.commit([Move(old=parent, new=decision.job)])
