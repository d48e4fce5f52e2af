"""Examining the placed jobs of one queue: lost launches and tasks, deadlines, stops, nodes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from chalicelib.core.events import Event, EventKind
from chalicelib.core.job import Job
from chalicelib.core.measures import Measure, Sample
from chalicelib.engine.multinode.sweep import sweep_nodes
from chalicelib.engine.sweep.launches import overdue_launches
from chalicelib.engine.tasks.lost import report_from_event, report_running_tasks
from chalicelib.engine.tasks.reports import Report, apply_reports
from chalicelib.engine.tasks.stop import stop
from chalicelib.observe import measure

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import (
        Clock,
        HasCatalog,
        HasEcs,
        HasJobs,
        HasKnownSpecs,
        HasKnownTaskDefinitions,
        HasLanes,
        HasMessages,
        HasSettings,
        HasWorkflows,
        Parallel,
        PassingCheck,
    )

    class QueuesPorts(
        Clock,
        HasCatalog,
        HasEcs,
        HasJobs,
        HasKnownSpecs,
        HasKnownTaskDefinitions,
        HasLanes,
        HasMessages,
        HasSettings,
        HasWorkflows,
        Parallel,
        PassingCheck,
        Protocol,
    ):
        """What this module and what it calls ask of the outside world."""


# A deadline this near gets a message of its own, because it may pass before the next sweep.
DEADLINE_HORIZON_MS = 120_000


def examine(jobs: Sequence[Job], ports: QueuesPorts) -> None:
    """Apply what was missed about these placed jobs, and stop again what should be stopped."""
    now_ms = ports.now_ms()
    missed = _missed_reports(jobs, now_ms, ports)
    repairs = sum(report.event.kind is not EventKind.DEADLINE for report in missed)
    if repairs:
        measure(Sample(measure=Measure.SWEEPER_REPAIRS, value=repairs))
    apply_reports(missed, ports)
    _send_near_deadlines(jobs, now_ms, ports)
    for job in jobs:
        if job.stop_cause is not None:
            stop(job, ports)  # the first stop may have had no effect
    for job in jobs:
        if job.nodes is not None:
            sweep_nodes(job, now_ms, ports)


def _missed_reports(jobs: Sequence[Job], now_ms: int, ports: QueuesPorts) -> list[Report]:
    reports: list[Report] = []
    for cluster, members in _by_cluster(jobs, ports).items():
        reports.extend(overdue_launches(cluster, members, now_ms, ports))
        reports.extend(report_running_tasks(cluster, members, now_ms, ports))
    reports.extend(_passed_deadlines(jobs, now_ms))
    return reports


def _by_cluster(jobs: Iterable[Job], ports: HasSettings) -> dict[str, list[Job]]:
    clusters: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        if job.environment is not None:
            clusters[ports.settings.cluster_of(job.environment)].append(job)
    return clusters


def _passed_deadlines(jobs: Iterable[Job], now_ms: int) -> Iterator[Report]:
    for job in jobs:
        if job.deadline_ms is not None and job.deadline_ms <= now_ms and job.stop_cause is None:
            event = Event(kind=EventKind.DEADLINE, at_ms=now_ms, fence=job.fence)
            yield report_from_event(event, job.fence, None)


def _send_near_deadlines(jobs: Iterable[Job], now_ms: int, ports: HasMessages) -> None:
    near = [
        (job.fence, max(0, -(-(job.deadline_ms - now_ms) // 1000)))
        for job in jobs
        if job.deadline_ms is not None and 0 < job.deadline_ms - now_ms <= DEADLINE_HORIZON_MS
    ]
    if near:
        ports.messages.send_deadlines(near)
