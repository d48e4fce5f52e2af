"""The loop that reads jobs, decides about them and writes what was decided.

A decision holds only for the rows that it was made on, so each write is conditional on their
versions. Where a row has changed in between, `commit_decisions` reads and decides again; its
callers say which rows to read and how to decide on them. `commit_once` is for decisions that must
not be made a second time, and its callers say why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from chalicelib.core.arrays import events_from_parent
from chalicelib.core.events import Event
from chalicelib.core.ids import JobKey
from chalicelib.core.job import Job
from chalicelib.core.lifecycle import decide
from chalicelib.core.measures import Measure, Sample
from chalicelib.core.moves import Move
from chalicelib.core.states import JobStatus
from chalicelib.observe import log_decision, logger, measure
from chalicelib.ports import ContentionError

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import Clock, HasJobs

    class TransitionPorts(Clock, HasJobs, Protocol):
        """What this module asks of the outside world."""


COMMIT_TRIES = 6
CONTENDED_TRIES = 30

Keys = AbstractSet[JobKey]
Rows = Mapping[JobKey, Job]


def commit_decisions(
    keys: Iterable[JobKey],
    read: Callable[[Keys], Rows],
    decide_on: Callable[[Keys, Rows], Rows],
    ports: TransitionPorts,
    *,
    tries: int = COMMIT_TRIES,
    repeats_contention: bool = True,
    has_time: Callable[[], bool] | None = None,
) -> frozenset[JobKey]:
    """Read, decide and write until all is written; return the keys of what is not after `tries`.

    `read` returns the rows to decide on, given the keys that are still open. `decide_on` gets both
    and returns the new jobs; one that is the very object of its row is not written. However many
    decisions led to a new job, it is one write of one version.

    A try that contends with other writers counts like one that lost a condition: its writes may
    have been made in part, which the next read shows. What was written stays written. With
    `has_time` contention alone ends only when that returns False, or after CONTENDED_TRIES: many
    who write one row take turns, and one of them may wait for all the others. Without
    `repeats_contention` its ContentionError is raised: the store has waited and tried again by
    itself for seconds, and a caller whose record is delivered again need not hold the function.
    """
    pending = dict.fromkeys(keys)  # in their order
    contended = 0
    while pending and tries:
        tries -= 1
        rows = read(pending.keys())
        moves = _moves(rows, decide_on(pending.keys(), rows), ports)
        if not moves:
            return frozenset()
        try:
            lost = ports.jobs.commit(moves)
        except ContentionError:
            if not repeats_contention:
                raise
            logger.warning("others write the same rows", action="jobs.contended", jobs=len(moves))
            measure(Sample(measure=Measure.CONTENTION))
            lost = tuple(moves)
            contended += 1
            if has_time is not None:
                tries = tries + 1 if has_time() and contended < CONTENDED_TRIES else 0
        pending = dict.fromkeys(move.new.key for move in lost)
    return frozenset(pending)


def commit_events(events: Mapping[JobKey, Sequence[Event]], ports: TransitionPorts) -> None:
    """Apply events to jobs and children; those of a job that has expired are dropped.

    Raises ContentionError when others have changed a job in every try, or keep writing its rows.
    """

    def decide_on(keys: Keys, rows: Rows) -> Rows:
        return {key: job_after(rows[key], events[key]) for key in keys if key in rows}

    left = commit_decisions(events, ports.jobs.find_all, decide_on, ports, repeats_contention=False)
    if left:
        raise ContentionError(f"{len(left)} jobs, {COMMIT_TRIES} tries")


def commit_once(job: Job, new: Job, ports: HasJobs) -> bool:
    """Write a decision about a job that has a row; return False if that row has changed since.

    For decisions that are not repeated: a lost condition means that the job has moved on, and
    the stream's record of that move brings about whatever is still to be done.
    """
    return new is job or not ports.jobs.commit([Move.of(job, new)])


def job_after(job: Job, events: Iterable[Event]) -> Job:
    """Return the job after these events, in their order."""
    for event in events:
        decision = decide(job, event)
        log_decision(decision)
        job = decision.job
    return job


def _moves(rows: Rows, decided: Rows, ports: TransitionPorts) -> list[Move]:
    """Return the writes of all jobs that a decision has changed."""
    changed = {key: job for key, job in decided.items() if job is not rows.get(key)}
    _stop_with_their_arrays(changed, rows, ports)
    return [
        # Without a row is a node's first report. A virtual child needs the parent it is made of.
        Move.of(rows.get(key) or job.at_version(0), job, parent=rows.get(key.root))
        for key, job in changed.items()
    ]


def _stop_with_their_arrays(changed: dict[JobKey, Job], rows: Rows, ports: TransitionPorts) -> None:
    """Stop the children that would wait for a (further) attempt although their array is stopped."""
    waiting = [
        key for key, job in changed.items() if key.is_child and job.status is JobStatus.RUNNABLE
    ]
    unread = {key.root for key in waiting} - rows.keys()
    parents = {**rows, **ports.jobs.find_jobs(sorted(unread))} if unread else rows
    for key in waiting:
        parent = parents.get(key.root)
        if parent is not None:
            events = events_from_parent(parent, changed[key], ports.now_ms())
            changed[key] = job_after(changed[key], events)
