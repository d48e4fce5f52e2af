"""Recording in the job itself why the head of a queue waits.

The dispatcher records at once what lasts until a user acts, and a lack of capacity. The sweeper
records any other reason that still holds when it looks, which spares a busy queue such writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.events import Event, EventKind
from chalicelib.core.job import Job
from chalicelib.core.lifecycle import decide
from chalicelib.core.scheduling.blocked import Blocked, Why
from chalicelib.jobs.transition import commit_once
from chalicelib.observe import log_decision

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import Clock, HasJobs

    class BlockedPorts(Clock, HasJobs, Protocol):
        """What this module asks of the outside world."""


RECORDED_AT_ONCE = frozenset(
    {
        Why.NO_USABLE_ENVIRONMENT,
        Why.INSUFFICIENT_CAPACITY,
        Why.MAX_RESOURCE,
        Why.JOB_RESOURCE_REQUIREMENT,
    }
)


def record_reason(blocked: Blocked, ports: BlockedPorts) -> None:
    """Write the reason into the head's row, unless the row has it already."""
    job = ports.jobs.find_job(blocked.ready.key)
    if job is not None:
        commit_to_head(job, block_event(blocked, ports.now_ms()), ports)


def block_event(blocked: Blocked, now_ms: int) -> Event:
    """Return the event that records why the head waits.

    A queue that is served at the launch rate is not blocked: its head gets the reason without a
    label, so that no block is published.
    """
    label = None if blocked.why is Why.LAUNCH_RATE else str(blocked.why)
    return Event(kind=EventKind.BLOCKED, at_ms=now_ms, label=label, reason=blocked.sentence)


def commit_to_head(job: Job, event: Event, ports: HasJobs) -> None:
    """Apply an event to the head of a queue.

    Not repeated when the job has changed since: it may be waiting for nothing any more, and the
    event was made for the job as it was. The next plan says what holds then.
    """
    decision = decide(job, event)
    if decision.job is not job:
        log_decision(decision)
        commit_once(job, decision.job, ports)
