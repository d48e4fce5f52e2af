"""Stopping a job: CancelJob, TerminateJob, and the deletion of its queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.errors import TooManyRequestsError
from chalicelib.core.events import Event, EventKind
from chalicelib.core.ids import JobKey
from chalicelib.jobs.transition import Keys, Rows, commit_decisions, job_after

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import Clock, HasJobs

    class StopPorts(Clock, HasJobs, Protocol):
        """What this module asks of the outside world."""


STOP_TRIES = 10  # more than elsewhere, because no message brings a caller's request again


def stop_job(
    key: JobKey, kind: EventKind, reason: str, ports: StopPorts, *, queue: str | None = None
) -> None:
    """Apply one stop; a job that does not exist or has ended is left as it is.

    With `queue`, so is a job of any other queue. A node cannot be stopped without its job: the
    request is accepted and has no effect. Raises TooManyRequestsError when others have changed the
    job in every try.
    """
    if key.is_node:
        return

    def decide_on(keys: Keys, rows: Rows) -> Rows:
        event = Event(kind=kind, at_ms=ports.now_ms(), reason=reason)
        return {
            one: job_after(rows[one], [event])
            for one in keys
            if one in rows and queue in (None, rows[one].queue)
        }

    if commit_decisions([key], ports.jobs.find_all, decide_on, ports, tries=STOP_TRIES):
        raise TooManyRequestsError
