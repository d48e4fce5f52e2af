"""Reports about placed jobs: decided in the order of arrival, and written in few transactions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chalicelib.core.arrays import events_from_parent
from chalicelib.core.decision import Label
from chalicelib.core.events import Event, EventKind
from chalicelib.core.ids import JobKey
from chalicelib.core.job import Job
from chalicelib.core.lifecycle import decide
from chalicelib.core.messages import DELAY_LIMIT_SECONDS
from chalicelib.core.moves import Move
from chalicelib.core.outcome import outcome_of
from chalicelib.core.retry import RetryStrategy
from chalicelib.core.states import JobStatus
from chalicelib.jobs.retry_strategy import strategy_of
from chalicelib.jobs.transition import decided
from chalicelib.observe import log_decision, logger
from chalicelib.ports import ContentionError
from chalicelib.wiring import Ports

DECISION_TRIES = 6  # how often a lost condition is read and decided anew before SQS brings it back


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One message as an event of the lifecycle."""

    message_id: str
    event: Event
    key: JobKey
    cluster: str | None


def apply_reports(reports: Sequence[Report], ports: Ports) -> set[str]:
    """Decide and write; returns the ids of the messages that must come again."""
    pending = list(reports)
    for _ in range(DECISION_TRIES):
        if not pending:
            return set()
        try:
            pending = _apply_once(pending, ports)
        except ContentionError:
            # The queue would bring the messages back only when their visibility ends, with the
            # jobs' capacity held until then; what was written meanwhile is seen when read again.
            logger.warning("others write the same rows", action="task_events.contended")
    return {report.message_id for report in pending}


def _apply_once(reports: Sequence[Report], ports: Ports) -> list[Report]:
    """One round of read, decide, write; returns the reports whose job changed under them."""
    jobs = ports.jobs.find_jobs(report.key for report in reports)
    strategies = _strategies(reports, jobs, ports)
    latest = dict(jobs)
    for report in reports:
        job = latest.get(report.key)
        if job is None:
            continue  # expired, or never ours: nothing is left to tell it to
        decision = decide(job, report.event, strategies.get(job.job_id))
        log_decision(decision)
        if decision.label is Label.ORPHAN_TASK:
            _stop_orphan(report, ports)
        if report.event.kind is EventKind.DEADLINE and decision.job is job:
            _come_back(job, report.event, ports)
        latest[report.key] = decision.job
    _stop_with_parents(jobs, latest, ports)
    moves = [
        # However many reports of a job came together, they make one write of one version.
        Move.of(job, latest[key])
        for key, job in jobs.items()
        if latest[key] is not job
    ]
    lost = {move.old.key for move in ports.jobs.commit(moves)}
    return [report for report in reports if report.key in lost]


def _stop_with_parents(jobs: Mapping[JobKey, Job], latest: dict[JobKey, Job], ports: Ports) -> None:
    """A child that would wait for another attempt does not, once its array has been stopped."""
    waiting = [
        key
        for key, job in latest.items()
        if key.is_child and job is not jobs[key] and job.status is JobStatus.RUNNABLE
    ]
    parents = ports.jobs.find_jobs(key.root for key in waiting) if waiting else {}
    for key in waiting:
        parent = parents.get(key.root)
        if parent is not None:
            events = events_from_parent(parent, latest[key], ports.now_ms())
            latest[key] = decided(latest[key], events)


def _strategies(
    reports: Sequence[Report], jobs: Mapping[JobKey, Job], ports: Ports
) -> dict[str, RetryStrategy]:
    """The evaluateOnExit rules of jobs whose attempt failed and may be followed by another."""
    asked = [
        job.job_id
        for report in reports
        if (job := jobs.get(report.key)) is not None
        and _may_fail(job, report.event)
        and job.attempt < job.attempts_limit
    ]
    specs = ports.jobs.find_specs(asked) if asked else {}
    return {job_id: strategy_of(spec) for job_id, spec in specs.items()}


def _may_fail(job: Job, event: Event) -> bool:
    ends = {EventKind.TASK_STOPPED, EventKind.LAUNCH_FAILED, EventKind.TASK_LOST}
    return event.kind in ends and outcome_of(job, event).exit_code != 0


def _stop_orphan(report: Report, ports: Ports) -> None:
    if report.cluster and report.event.task_arn:
        ports.ecs.stop_task(report.cluster, report.event.task_arn, "Given up by Batchyard")


def _come_back(job: Job, event: Event, ports: Ports) -> None:
    """A deadline message that came early is sent again for the rest of the time."""
    if job.deadline_ms is None or job.stop_cause is not None or event.fence != job.fence:
        return
    left_ms = job.deadline_ms - event.at_ms
    if 0 < left_ms <= DELAY_LIMIT_SECONDS * 1000:
        ports.messages.send_deadlines([(job.fence, -(-left_ms // 1000))])
