"""Committing a plan: the placed jobs, and the next children of arrays, become STARTING.

The rows are read, decided, and written in as few transactions as possible. A transaction fails if
one of its rows has changed since it was read; the caller makes a new plan for what was not written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from chalicelib.core.arrays import array_of, events_from_parent, next_numbers, virtual_child
from chalicelib.core.events import Event, EventKind
from chalicelib.core.ids import JobKey
from chalicelib.core.job import Job, ready_of
from chalicelib.core.lifecycle import decide
from chalicelib.core.measures import Measure, Sample
from chalicelib.core.moves import Advance, CapacityLimit, Move
from chalicelib.core.ready import Ready
from chalicelib.core.scheduling.cooling import cooling_during_probe
from chalicelib.core.scheduling.plan import Placement, Plan
from chalicelib.core.scheduling.snapshot import Snapshot
from chalicelib.engine.dispatch.permits import take_permits
from chalicelib.jobs.transition import commit_once, job_after
from chalicelib.observe import log_decision, logger, measure
from chalicelib.ports import ContentionError

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import Clock, HasJobs, HasLanes, HasSettings

    class CommitPlanPorts(Clock, HasJobs, HasLanes, HasSettings, Protocol):
        """What this module asks of the outside world."""


HEADS_LIMIT = 90  # ready rows that are read to find one again
TAKEN_LIMIT = 200  # children with a row that are read for one dispatch of their array


def carry_out(plan: Plan, snapshot: Snapshot, ports: CommitPlanPorts) -> int:
    """Take launch permits and commit the placements that are still valid.

    Returns how many jobs and children were placed. Permits of others are given back.
    """
    if snapshot.permits is None:
        return _commit(plan, snapshot, ports)
    permits = take_permits(snapshot.permits, plan.count, ports)
    if permits is None:
        return 0
    placed = _commit(plan, snapshot, ports)
    if placed < plan.count:
        ports.lanes.return_permits(permits, plan.count - placed)
    return placed


def _commit(plan: Plan, snapshot: Snapshot, ports: CommitPlanPorts) -> int:
    jobs = _read(plan, ports)
    moves: list[Move] = []
    advances: list[Advance] = []
    for key, placements in _by_key(plan).items():
        job, ready = jobs.get(key), placements[0].ready
        if job is None or ready_of(job) is None:
            _drop_dangling(ready, ports)
        elif job.array is not None:
            advances.append(_advance(job, placements, ports))
        elif _stopped_with_its_parent(job, jobs.get(key.root), ports):
            continue
        else:
            moves.append(Move(old=job, new=_placed(job, placements[0], ports)))
    capacity_limits = _capacity_limits(plan, snapshot, ports)
    try:
        # Not repeated: a placement that lost its condition may have lost the capacity that it was
        # planned with too, so the next round plans again on a new snapshot.
        lost = ports.jobs.commit(moves, capacity_limits, advances)
    except ContentionError:
        logger.warning(
            "others keep writing the same rows; a new plan will be made",
            action="dispatch.contended",
        )
        measure(Sample(measure=Measure.CONTENTION))
        return 0
    return len(moves) + sum(len(advance.moves) for advance in advances) - len(lost)


def _capacity_limits(
    plan: Plan, snapshot: Snapshot, ports: CommitPlanPorts
) -> dict[str, CapacityLimit]:
    """Return what the transactions of the plan may take from each environment.

    The launch of a probe keeps other launches away until it should run.
    """
    probed = {placement.environment for placement in plan.placements if placement.probe}
    limits = {}
    for name, environment in snapshot.environments.items():
        used = snapshot.capacities.get(name)
        cooling = used.cooling if used is not None else None
        limits[name] = CapacityLimit(
            limit_cpu_units=environment.limit_cpu_units,
            starting_window=environment.starting_window(ports.settings.starting_window),
            cooling=cooling,
            probed=cooling_during_probe(cooling, ports.now_ms())
            if cooling is not None and name in probed
            else None,
        )
    return limits


def _by_key(plan: Plan) -> dict[JobKey, list[Placement]]:
    """Group the placements by job; those of an array may be in several environments."""
    by_key: dict[JobKey, list[Placement]] = defaultdict(list)
    for placement in plan.placements:
        by_key[placement.ready.key].append(placement)
    return by_key


def _read(plan: Plan, ports: HasJobs) -> Mapping[JobKey, Job]:
    """Read the jobs of the plan, and the parents of children that have ready rows of their own."""
    keys = [placement.ready.key for placement in plan.placements]
    return ports.jobs.find_jobs([*keys, *(key.root for key in keys if key.is_child)])


def _placed(job: Job, placement: Placement, ports: Clock) -> Job:
    event = Event(
        kind=EventKind.DISPATCHED,
        at_ms=ports.now_ms(),
        environment=placement.environment,
        probe=placement.probe,
    )
    decision = decide(job, event)
    log_decision(decision)
    return decision.job


def _advance(parent: Job, placements: list[Placement], ports: CommitPlanPorts) -> Advance:
    """Return the dispatch of the array's next children, skipping those that have a row already."""
    array, count = array_of(parent), sum(placement.count for placement in placements)
    taken: set[int] = set()
    known_to = array.size
    if array.singled:
        rows = ports.jobs.list_children(parent.job_id, array.cursor, array.size, limit=TAKEN_LIMIT)
        taken = {row.key.number or 0 for row in rows}
        if len(rows) == TAKEN_LIMIT:
            known_to = max(taken) + 1
    numbers, cursor, passed = next_numbers(array, taken, count=count, known_to=known_to)
    places = [placement for placement in placements for _ in range(placement.count)]
    moves = []
    for number, place in zip(numbers, places, strict=False):
        child = virtual_child(parent, number)
        moves.append(Move(old=child, new=_placed(child, place, ports), parent=parent))
    return Advance(parent=parent, cursor=cursor, passed=passed, moves=tuple(moves))


def _stopped_with_its_parent(job: Job, parent: Job | None, ports: CommitPlanPorts) -> bool:
    """Stop a child whose array was stopped, instead of starting it; return whether it was."""
    if parent is None or parent.array is None or parent is job:
        return False
    stopped = job_after(job, events_from_parent(parent, job, ports.now_ms()))
    # Not repeated: if the child has changed and is still RUNNABLE, the next plan meets it again.
    commit_once(job, stopped, ports)
    return stopped is not job


def _drop_dangling(ready: Ready, ports: CommitPlanPorts) -> None:
    """Delete a ready row whose job is not RUNNABLE: it would block its lane for ever."""
    if not _is_dangling(ready, ports):
        return
    logger.error(
        "deleted a ready row that has no RUNNABLE job",
        action="dispatch.orphan",
        job=ready.key.public_id,
    )
    ports.lanes.drop_ready(ready)


def _is_dangling(ready: Ready, ports: CommitPlanPorts) -> bool:
    """Return whether the ready row exists although its job should not have one.

    The row is read first, then the job. Both change in one transaction, so in the other order the
    job could become RUNNABLE between the two reads, and its new row would look like an orphan.
    """
    if ready not in ports.lanes.heads(ready.lane, HEADS_LIMIT):
        return False
    job = ports.jobs.find_job(ready.key)
    return job is None or ready_of(job) is None
