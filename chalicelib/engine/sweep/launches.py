"""Jobs that have been STARTING for too long: launched again, closed, and given back in the end.

A launch that left no task was lost, or is on its way somewhere: in the stream, in a reactor, in the
launch machine. Giving it back at once would let it make a second container for the attempt, in
capacity that is another job's by then. So it is asked for again, with the same client token, which
makes one task however many launches arrive. Only what stays without a task, or is being stopped, is
given back, in two steps: it is closed, so that nobody may launch it any more, and given back when
the last launch that was under way then can have arrived (`engine/tasks/still_current.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chalicelib.core.events import Event, EventKind
from chalicelib.core.job import Job
from chalicelib.core.measures import Measure, Sample
from chalicelib.core.states import JobStatus
from chalicelib.engine.tasks.grace_periods import (
    CLOSE_GRACE_MS,
    LAUNCH_GRACE_MS,
    LAUNCH_REACH_MS,
)
from chalicelib.engine.tasks.launch import launch
from chalicelib.engine.tasks.lost import (
    LOOKUPS_LIMIT,
    find_launched,
    look_up,
    report_from_event,
    report_loss,
    report_tasks,
)
from chalicelib.engine.tasks.reports import Report
from chalicelib.jobs.specs import specs_of
from chalicelib.observe import logger, measure

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import (
        Clock,
        HasCatalog,
        HasEcs,
        HasJobs,
        HasKnownSpecs,
        HasKnownTaskDefinitions,
        HasMessages,
        HasSettings,
        HasWorkflows,
        PassingCheck,
    )

    class LaunchesPorts(
        Clock,
        HasCatalog,
        HasEcs,
        HasJobs,
        HasKnownSpecs,
        HasKnownTaskDefinitions,
        HasMessages,
        HasSettings,
        HasWorkflows,
        PassingCheck,
        Protocol,
    ):
        """What this module and what it calls ask of the outside world."""


CLOSED_REASON = "ECS has no task for this attempt; its launch is given up"
NO_TASK_REASON = "Task failed to start: ECS has no task for this attempt, minutes after its launch"


def overdue_launches(
    cluster: str, jobs: Sequence[Job], now_ms: int, ports: LaunchesPorts
) -> list[Report]:
    """Return what ECS says of the jobs that are STARTING for too long; launch some again."""
    overdue = [
        job
        for job in jobs
        if job.status is JobStatus.STARTING and now_ms - job.changed_at_ms >= LAUNCH_GRACE_MS
    ]
    if not overdue:
        return []
    found = find_launched(cluster, [job.fence for job in overdue], ports)
    reports = [
        report
        for job in overdue
        for report in report_tasks(found.get(job.fence, ()), job.fence, cluster, now_ms)
    ]
    missing = [job for job in overdue if not found.get(job.fence)]
    again = [job for job in missing if job.may_be_launched and not _is_given_up(job, now_ms)]
    if again:
        logger.warning("jobs are launched again", action="sweep.launch", jobs=len(again))
        measure(Sample(measure=Measure.SWEEPER_REPAIRS, value=len(again)))
        launch(again, specs_of(again, ports), ports)
    return reports + _given_up(cluster, missing, now_ms, len(overdue), ports)


def _is_given_up(job: Job, now_ms: int) -> bool:
    return job.stop_cause is not None or now_ms - job.changed_at_ms >= CLOSE_GRACE_MS


def _given_up(
    cluster: str, missing: Sequence[Job], now_ms: int, n_overdue: int, ports: HasEcs
) -> list[Report]:
    """Return reports that close the launches of these jobs, or give the jobs back.

    A listed cluster does not show tasks that have stopped, so these are asked for before.
    """
    due = [
        job
        for job in missing
        if (job.may_be_launched and _is_given_up(job, now_ms))
        or (
            job.launch_closed_at_ms is not None
            and now_ms - job.launch_closed_at_ms >= LAUNCH_REACH_MS
        )
    ]
    reports: list[Report] = []
    if n_overdue > LOOKUPS_LIMIT:
        due = due[: 4 * LOOKUPS_LIMIT]  # the others wait for the next round
        stopped = look_up(cluster, [job.fence for job in due], ports) if due else {}
        for job in due:
            reports += report_tasks(stopped.get(job.fence, ()), job.fence, cluster, now_ms)
        due = [job for job in due if not stopped.get(job.fence)]
    for job in due:
        if job.launch_closed_at_ms is not None:
            reports.append(report_loss(job.fence, NO_TASK_REASON, cluster, now_ms))
        else:
            event = Event(
                kind=EventKind.LAUNCH_CLOSED, at_ms=now_ms, fence=job.fence, reason=CLOSED_REASON
            )
            reports.append(report_from_event(event, job.fence, cluster))
    return reports
