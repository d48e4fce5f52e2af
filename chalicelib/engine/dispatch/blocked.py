"""Telling a user why the head of a queue waits, in the job itself.

The dispatcher tells what will not pass by itself, at once; the sweeper tells everything else that
still holds when it looks, so that a queue in full swing pays for no such write.
"""

from chalicelib.core.decision import Decision
from chalicelib.core.events import Event, EventKind
from chalicelib.core.job import Job
from chalicelib.core.lifecycle import decide
from chalicelib.core.moves import Move
from chalicelib.core.scheduling.plan import Blocked, Why
from chalicelib.observe import log_decision
from chalicelib.wiring import Ports

LASTING = frozenset({Why.NO_USABLE_ENVIRONMENT, Why.JOB_RESOURCE_REQUIREMENT})


def record_reason(blocked: Blocked, ports: Ports) -> None:
    """Put the reason into the head's row, unless it stands there already."""
    job = ports.jobs.find_job(blocked.ready.key)
    if job is not None:
        commit_decision(job, decide(job, block_event(blocked, ports.now_ms())), ports)


def block_event(blocked: Blocked, now_ms: int) -> Event:
    return Event(
        kind=EventKind.BLOCKED, at_ms=now_ms, label=str(blocked.why), reason=blocked.sentence
    )


def commit_decision(job: Job, decision: Decision, ports: Ports) -> None:
    """Write it; a lost condition means that the job moved on, and waits for nothing any more."""
    if decision.job is not job:
        log_decision(decision)
        ports.jobs.commit([Move(old=job, new=decision.job)])
