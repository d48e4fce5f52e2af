"""Reports about the nodes of multi-node jobs, applied to the nodes' rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from chalicelib.core.decision import Label
from chalicelib.core.ids import JobKey
from chalicelib.core.job import Job
from chalicelib.core.launch_failures import LaunchFailure
from chalicelib.core.node_reports import NodeDecision, decide_node, may_still_run
from chalicelib.engine.dispatch.cooling import CapacityRefusal, cool_down
from chalicelib.engine.tasks.reports import HasTime, Report
from chalicelib.engine.tasks.stop import stop_orphan
from chalicelib.jobs.transition import Keys, Rows, commit_decisions
from chalicelib.observe import logger

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import Clock, HasEcs, HasJobs, HasLanes

    class MultinodeReportsPorts(Clock, HasEcs, HasJobs, HasLanes, Protocol):
        """What this module asks of the outside world."""


def apply_node_reports(
    reports: Sequence[Report], ports: MultinodeReportsPorts, has_time: HasTime | None = None
) -> set[str]:
    """Decide and write what is reported; return the ids of the messages that must come again."""
    started: dict[JobKey, Report] = {}

    def read(keys: Keys) -> Rows:
        return ports.jobs.find_jobs(one for key in keys for one in (key, key.root))

    decide_on = partial(_decide_on, reports=reports, started=started, ports=ports)
    keys = [report.key for report in reports]
    left = commit_decisions(keys, read, decide_on, ports, has_time=has_time)
    _stop_overtaken([report for key, report in started.items() if key not in left], ports)
    return {report.message_id for report in reports if report.key in left}


def _decide_on(
    keys: Keys,
    rows: Rows,
    *,
    reports: Sequence[Report],
    started: dict[JobKey, Report],
    ports: MultinodeReportsPorts,
) -> Rows:
    """Return the nodes after all reports about them; stop the tasks that nobody wants any more.

    `started` is brought up to date: the reports that, by the latest decision, start a node.
    """
    latest, refusals = dict(rows), list[CapacityRefusal]()
    for key in keys:
        started.pop(key, None)
    for report in reports:
        if report.key not in keys:
            continue
        job, before = rows.get(report.key.root), latest.get(report.key)
        decision = decide_node(job, before, report.event)
        _log(decision, report.key)
        if decision.label is Label.GIVEN_BACK and report.event.failure is LaunchFailure.CAPACITY:
            refusals.append(_refusal(report, job, before))
        if decision.node is not None:
            latest[report.key] = decision.node
        if decision.stops_task:
            _stop(report, ports)
        elif decision.label is Label.STARTED:
            started[report.key] = report
    cool_down(refusals, ports)
    return latest


def _refusal(report: Report, job: Job | None, before: Job | None) -> CapacityRefusal:
    """Return that the environment of a node's job had no capacity for the node's task."""
    assert job is not None, "only the launch of a node whose job runs is given back"
    return CapacityRefusal(
        environment=job.environment or "",
        launched_at_ms=(before or job).changed_at_ms,
        reason=report.event.reason,
    )


def _stop_overtaken(started: Iterable[Report], ports: MultinodeReportsPorts) -> None:
    """Stop tasks whose job ended, or was asked to stop, while their start was being written."""
    reports = list(started)
    jobs = ports.jobs.find_jobs(report.key.root for report in reports) if reports else {}
    for report in reports:
        if not may_still_run(jobs.get(report.key.root), report.event):
            _stop(report, ports)


def _stop(report: Report, ports: HasEcs) -> None:
    stop_orphan(report.cluster, report.event.task_arn, ports)


def _log(decision: NodeDecision, key: JobKey) -> None:
    logger.info(decision.sentence, action="node", label=str(decision.label), job=key.public_id)
