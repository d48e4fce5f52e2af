"""Stopping a job: CancelJob, TerminateJob, and the deletion of its queue."""

from chalicelib.core.errors import TooManyRequestsError
from chalicelib.core.events import Event, EventKind
from chalicelib.core.ids import JobKey
from chalicelib.core.lifecycle import decide
from chalicelib.core.moves import Move
from chalicelib.observe import log_decision
from chalicelib.ports import ContentionError
from chalicelib.wiring import Ports

STOP_TRIES = 10


def stop_job(key: JobKey, kind: EventKind, reason: str, ports: Ports) -> None:
    """Apply one stop; TooManyRequestsError when others kept changing the job through every try.

    A node cannot be stopped without its job: that is accepted, and nothing comes of it.
    """
    if key.is_node:
        return
    for _ in range(STOP_TRIES):
        found = ports.jobs.find_all([key])
        job = found.get(key)
        if job is None:
            return
        decision = decide(job, Event(kind=kind, at_ms=ports.now_ms(), reason=reason))
        log_decision(decision)
        if decision.job is job:
            return
        try:
            if not ports.jobs.commit([Move.of(job, decision.job, found.get(key.root))]):
                return
        except ContentionError:
            continue
    raise TooManyRequestsError
