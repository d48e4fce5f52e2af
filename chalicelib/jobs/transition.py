"""Reading jobs, deciding about them and writing what was decided, until it is written."""

from collections.abc import Iterable, Mapping, Sequence

from chalicelib.core.events import Event
from chalicelib.core.ids import JobKey
from chalicelib.core.job import Job
from chalicelib.core.lifecycle import decide
from chalicelib.core.moves import Move
from chalicelib.observe import log_decision
from chalicelib.ports import ContentionError
from chalicelib.wiring import Ports

COMMIT_TRIES = 6


def decided(job: Job, events: Iterable[Event]) -> Job:
    """The job after all these events, in their order."""
    for event in events:
        decision = decide(job, event)
        log_decision(decision)
        job = decision.job
    return job


def commit_events(events: Mapping[JobKey, Sequence[Event]], ports: Ports) -> None:
    """Apply events to jobs; one that is not there any more has nothing to be told.

    Raises ContentionError when others kept changing them through every try; what was written stays.
    """
    pending = dict(events)
    for _ in range(COMMIT_TRIES):
        jobs = ports.jobs.find_all(pending)
        moves = []
        for key, seen in pending.items():
            job = jobs.get(key)
            new = decided(job, seen) if job is not None else None
            if job is not None and new is not None and new is not job:
                moves.append(Move.of(job, new, parent=jobs.get(key.root)))
        lost = ports.jobs.commit(moves)
        if not lost:
            return
        pending = {move.old.key: pending[move.old.key] for move in lost}
    raise ContentionError(f"{len(pending)} jobs, {COMMIT_TRIES} tries")
