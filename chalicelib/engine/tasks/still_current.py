"""Whether a placement may still be launched, and until when a launch may make its task.

A launch may be asked for long after the job was placed: the stream, the reactor or the launch
machine was held up, or a record came again. By then the placement may have been given up, and its
capacity may be another job's. Two rules make sure that no task of it comes then:

- Whoever asks for a launch that is not fresh reads the row first. A row that has moved on, or whose
  launch was closed, is not launched.
- Every launch carries the moment after which the launch machine makes no task of it.

So once the sweeper has closed a launch, LAUNCH_REACH_MS later no task of it can come any more, and
only then are the placement and its capacity given back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from chalicelib.core.job import Job
from chalicelib.core.states import JobStatus
from chalicelib.engine.tasks.grace_periods import FRESH_MS, LAUNCH_WINDOW_MS
from chalicelib.observe import logger

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import Clock, HasJobs

    class StillCurrentPorts(Clock, HasJobs, Protocol):
        """What this module asks of the outside world."""


def still_current(jobs: Sequence[Job], ports: StillCurrentPorts) -> list[Job]:
    """Return those of the STARTING `jobs` that may be launched, in their order.

    What was placed a moment ago is not read again: nobody gives a placement up so soon without a
    report about its launch. The others are read together, strongly consistent.
    """
    now_ms = ports.now_ms()
    late = [job.key for job in jobs if now_ms - job.changed_at_ms > FRESH_MS]
    rows = ports.jobs.find_jobs(late) if late else {}
    current = [
        job
        for job in jobs
        if job.may_be_launched and _is_at(job, rows.get(job.key), job.key in late)
    ]
    if len(current) < len(jobs):
        logger.warning(
            "launches came too late and are not made",
            action="launch.outdated",
            jobs=len(jobs) - len(current),
        )
    return current


def _is_at(job: Job, row: Job | None, late: bool) -> bool:
    if not late:
        return True
    return row is not None and row.fence == job.fence and row.may_be_launched


def launch_window(job: Job, ports: Clock) -> dict[str, Any]:
    """Return the member of a launch that says until when the launch machine may make its task.

    For a fresh placement it is counted from its beginning, so that a record that comes again asks
    for the very same launch, under the same name.
    """
    now_ms = ports.now_ms()
    is_fresh = job.status is JobStatus.STARTING and now_ms - job.changed_at_ms <= FRESH_MS
    end_ms = (job.changed_at_ms if is_fresh else now_ms) + LAUNCH_WINDOW_MS
    end = datetime.fromtimestamp(end_ms / 1000, UTC)
    return {"notAfter": end.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
