"""Reports about placed jobs, applied to them in the order of their arrival."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from chalicelib.core.attempt_ends import ends_attempt
from chalicelib.core.decision import Label
from chalicelib.core.events import Event, EventKind
from chalicelib.core.ids import JobKey
from chalicelib.core.job import Job
from chalicelib.core.launch_failures import LaunchFailure
from chalicelib.core.lifecycle import decide
from chalicelib.core.messages import DELAY_LIMIT_SECONDS
from chalicelib.core.outcome import outcome_of
from chalicelib.core.retry import RetryStrategy
from chalicelib.core.states import JobStatus
from chalicelib.engine.dispatch.cooling import CapacityRefusal, cool_down
from chalicelib.engine.tasks.spot_losses import with_spot_losses
from chalicelib.engine.tasks.stop import stop_orphan
from chalicelib.jobs.specs import retry_strategy_from_spec
from chalicelib.jobs.transition import Keys, Rows, commit_decisions
from chalicelib.observe import log_decision

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import Clock, HasCatalog, HasEcs, HasJobs, HasLanes, HasMessages

    class TasksReportsPorts(Clock, HasCatalog, HasEcs, HasJobs, HasLanes, HasMessages, Protocol):
        """What this module asks of the outside world."""


HasTime = Callable[[], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One message as an event of the lifecycle."""

    message_id: str
    event: Event
    key: JobKey
    cluster: str | None


def apply_reports(
    reports: Sequence[Report], ports: TasksReportsPorts, has_time: HasTime | None = None
) -> set[str]:
    """Decide and write what is reported; return the ids of the messages that must come again.

    A report that lost its condition is decided again at once: SQS would bring its message back only
    when its visibility ends, and the job would hold its capacity until then. One that contends with
    others is tried again as long as `has_time` returns True.
    """
    decide_on = partial(_decide_on, reports=reports, ports=ports)
    keys = [report.key for report in reports]
    left = commit_decisions(keys, ports.jobs.find_jobs, decide_on, ports, has_time=has_time)
    return {report.message_id for report in reports if report.key in left}


def _decide_on(
    keys: Keys, rows: Rows, *, reports: Sequence[Report], ports: TasksReportsPorts
) -> Rows:
    """Return the jobs after all reports about them; stop the tasks that nobody wants any more.

    Environments that refused launches are set aside before the jobs are given back.
    """
    pending = [report for report in reports if report.key in keys]
    strategies = _retry_strategies(pending, rows, ports)
    losses = _host_losses(pending, rows, ports)
    latest = dict(rows)
    for report in pending:
        job = latest.get(report.key)
        if job is None:
            continue  # it has expired, or was never one of ours
        event = losses.get(report.event, report.event)
        decision = decide(job, event, strategies.get(job.job_id))
        log_decision(decision)
        if decision.label is Label.ORPHAN_TASK:
            stop_orphan(report.cluster, report.event.task_arn, ports)
        if report.event.kind is EventKind.DEADLINE and decision.job is job:
            _send_early_deadline_again(job, report.event, ports)
        latest[report.key] = decision.job
    cool_down(capacity_refusals(pending, rows), ports)
    return latest


def capacity_refusals(reports: Iterable[Report], rows: Rows) -> Iterator[CapacityRefusal]:
    """Yield the launches that an environment had no capacity for, of jobs that wait for them."""
    for report in reports:
        job = rows.get(report.key)
        if (
            report.event.failure is LaunchFailure.CAPACITY
            and job is not None
            and job.status is JobStatus.STARTING
            and job.fence == report.event.fence
            and job.environment is not None
        ):
            yield CapacityRefusal(
                environment=job.environment,
                launched_at_ms=job.changed_at_ms,
                reason=report.event.reason,
            )


def _host_losses(
    reports: Iterable[Report], rows: Rows, ports: TasksReportsPorts
) -> Mapping[Event, Event]:
    """Return the reported ends of tasks whose host was lost, with all that is decided by."""
    return with_spot_losses(
        (
            (job, report.event, report.cluster)
            for report in reports
            if (job := rows.get(report.key)) is not None and job.fence == report.event.fence
        ),
        ports,
    )


def _retry_strategies(
    reports: Sequence[Report], rows: Rows, ports: HasJobs
) -> Mapping[str, RetryStrategy]:
    """Return the retry rules of jobs whose attempt failed and may be followed by another."""
    asked = [
        job.job_id
        for report in reports
        if (job := rows.get(report.key)) is not None
        and ends_attempt(job, report.event)
        and outcome_of(job, report.event).exit_code != 0
        and job.attempts_used < job.attempts_limit
    ]
    specs = ports.jobs.find_specs(asked) if asked else {}
    return {job_id: retry_strategy_from_spec(spec) for job_id, spec in specs.items()}


def _send_early_deadline_again(job: Job, event: Event, ports: HasMessages) -> None:
    """Send a deadline message that came before the deadline again, delayed by the time left."""
    if job.deadline_ms is None or job.stop_cause is not None or event.fence != job.fence:
        return
    left_ms = job.deadline_ms - event.at_ms
    if 0 < left_ms <= DELAY_LIMIT_SECONDS * 1000:
        ports.messages.send_deadlines([(job.fence, -(-left_ms // 1000))])
