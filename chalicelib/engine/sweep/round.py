"""The sweeper: once a minute, whatever no event will bring.

For each queue: launches that came to nothing, tasks that stopped unseen, timeouts, stops that were
lost, heads that wait (with the reason put where the user sees it), lanes with work and no wake, and
figures of capacity that drifted. Everything goes through the same decisions as the events do. And
bundles of events that triggers gather, when they were left open.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from chalicelib.core.capacity import CapacityChange, capacity_change_of
from chalicelib.core.events import Event, EventKind
from chalicelib.core.job import Job
from chalicelib.core.lifecycle import decide
from chalicelib.core.resources.job_queue import JobQueue
from chalicelib.core.resources.resource import JOB_QUEUE
from chalicelib.core.scheduling.plan import Blocked, make_plan
from chalicelib.core.scheduling.snapshot import Capacity
from chalicelib.core.states import PLACED, JobStatus
from chalicelib.engine.arrays.children import placed_children
from chalicelib.engine.dispatch.blocked import block_event, commit_decision
from chalicelib.engine.dispatch.read_snapshot import read_snapshot
from chalicelib.engine.dispatch.scheduling_domain import all_queues
from chalicelib.engine.multinode.sweep import sweep_nodes
from chalicelib.engine.tasks.ecs_events import event_of_description
from chalicelib.engine.tasks.grace_periods import (
    GONE_REASON,
    LAUNCH_GRACE_MS,
    RUNNING_GRACE_MS,
    is_overdue_end,
)
from chalicelib.engine.tasks.reports import Report, apply_reports
from chalicelib.engine.tasks.stop import stop
from chalicelib.observe import logger
from chalicelib.triggers.bundles import close_left
from chalicelib.wiring import Ports

# Deadlines this near get a message of their own; a sweep later they might have passed.
DEADLINE_HORIZON_MS = 120_000
PLACED_LIMIT = 10_000  # placed jobs of one status and queue that a sweep looks at
RECOUNT_DELAY_SECONDS = 3.0  # long enough for the index to show what was written before

TIME_LIMIT_REASON = "Canceled by JobStateTimeLimit action due to reason: {why}"


def sweep(ports: Ports) -> None:
    """One round over every queue; a queue that fails does not keep the others from theirs."""
    failures = []
    placed: list[Job] = []
    for queue in all_queues(ports):
        try:
            jobs = _placed_jobs(queue.name, ports)
            placed.extend(jobs)
            _examine(jobs, ports)
            _explain_head(queue.name, ports)
        except Exception as error:
            logger.exception("a queue could not be swept", action="sweep.failed", queue=queue.name)
            failures.append(error)
    if not failures:
        _correct_capacities(placed, ports)
    try:
        close_left(ports)
    except Exception as error:
        logger.exception("bundles could not be swept", action="sweep.failed")
        failures.append(error)
    if failures:
        raise failures[0]


def _placed_jobs(queue: str, ports: Ports) -> list[Job]:
    jobs = [
        job
        for status in sorted(PLACED)
        for job in ports.jobs.list_oldest(queue, JobStatus(status), limit=PLACED_LIMIT)
    ]
    return [*jobs, *placed_children(queue, ports)]


def _examine(jobs: Sequence[Job], ports: Ports) -> None:
    now_ms = ports.now_ms()
    reports: list[Report] = []
    for cluster, members in _by_cluster(jobs, ports).items():
        reports.extend(_lost_launches(cluster, members, now_ms, ports))
        reports.extend(_lost_tasks(cluster, members, now_ms, ports))
    reports.extend(_overdue(jobs, now_ms))
    apply_reports(reports, ports)
    near = [
        (job.fence, max(0, -(-(job.deadline_ms - now_ms) // 1000)))
        for job in jobs
        if job.deadline_ms is not None and 0 < job.deadline_ms - now_ms <= DEADLINE_HORIZON_MS
    ]
    if near:
        ports.messages.send_deadlines(near)
    for job in jobs:
        if job.stop_cause is not None:
            stop(job, ports)  # the first stop may have come to nothing
    for job in jobs:
        if job.nodes is not None:
            sweep_nodes(job, now_ms, ports)


def _by_cluster(jobs: Iterable[Job], ports: Ports) -> dict[str, list[Job]]:
    clusters: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        if job.environment is not None:
            clusters[ports.settings.cluster_of(job.environment)].append(job)
    return clusters


def _lost_launches(
    cluster: str, jobs: Sequence[Job], now_ms: int, ports: Ports
) -> Iterable[Report]:
    """STARTING jobs whose time is up: what became of their launch."""
    for job in jobs:
        if job.status is not JobStatus.STARTING or now_ms - job.changed_at_ms < LAUNCH_GRACE_MS:
            continue
        arns = ports.ecs.find_tasks(cluster, str(job.fence))
        if not arns:
            yield _report(job, _lost(job, now_ms, "No task was started"), cluster)
            continue
        for task in ports.ecs.describe_tasks(cluster, arns).values():
            event = event_of_description(task, job.fence, now_ms)
            running = event is not None and event.kind is EventKind.TASK_RUNNING
            if event is not None and (running or is_overdue_end(event, now_ms)):
                yield _report(job, event, cluster)


def _lost_tasks(cluster: str, jobs: Sequence[Job], now_ms: int, ports: Ports) -> Iterable[Report]:
    """RUNNING jobs whose task has stopped, or is not known any more."""
    due = [
        job
        for job in jobs
        if job.status is JobStatus.RUNNING
        and job.task_arn is not None
        and now_ms - job.changed_at_ms >= RUNNING_GRACE_MS
    ]
    if not due:
        return
    tasks = ports.ecs.describe_tasks(cluster, [job.task_arn for job in due if job.task_arn])
    for job in due:
        task = tasks.get(job.task_arn or "")
        event = _lost(job, now_ms, GONE_REASON)
        if task is not None:
            described = event_of_description(task, job.fence, now_ms)
            if described is None or not is_overdue_end(described, now_ms):
                continue
            event = described
        yield _report(job, event, cluster)


def _overdue(jobs: Iterable[Job], now_ms: int) -> Iterable[Report]:
    for job in jobs:
        if job.deadline_ms is not None and job.deadline_ms <= now_ms and job.stop_cause is None:
            event = Event(kind=EventKind.DEADLINE, at_ms=now_ms, fence=job.fence)
            yield _report(job, event, None)


def _lost(job: Job, now_ms: int, reason: str) -> Event:
    return Event(kind=EventKind.TASK_LOST, at_ms=now_ms, fence=job.fence, reason=reason)


def _report(job: Job, event: Event, cluster: str | None) -> Report:
    return Report(message_id=job.key.public_id, event=event, key=job.key, cluster=cluster)


def _explain_head(queue: str, ports: Ports) -> None:
    """Wake a queue that has jobs to place; record in each blocked head why it waits."""
    snapshot = read_snapshot(queue, ports)
    if not any(heads and lane.queue == queue for lane, heads in snapshot.lanes.items()):
        return
    plan = make_plan(
        snapshot, starting_window=ports.settings.starting_window, placements_limit=10_000
    )
    served = {placement.ready.lane for placement in plan.placements}
    blocked = {lane: head for lane, head in plan.blocked.items() if lane.queue == queue}
    if not blocked or any(lane.queue == queue for lane in served):
        # Some of its jobs can be placed, but were not: the wake for them was lost.
        ports.messages.send_wakes([queue], f"sweep.{ports.now_ms() // 60_000}")
    for lane, head in blocked.items():
        if lane not in served:
            _record_block(queue, head, ports)


def _record_block(queue: str, blocked: Blocked, ports: Ports) -> None:
    job = ports.jobs.find_job(blocked.ready.key)
    if job is None:
        return
    now_ms = ports.now_ms()
    event = block_event(blocked, now_ms)
    if _limit_exceeded(queue, job, blocked, now_ms, ports):
        reason = TIME_LIMIT_REASON.format(why=blocked.why)
        event = Event(kind=EventKind.CANCEL, at_ms=now_ms, reason=reason)
    commit_decision(job, decide(job, event), ports)


def _limit_exceeded(queue: str, job: Job, blocked: Blocked, now_ms: int, ports: Ports) -> bool:
    """Return whether a jobStateTimeLimitAction of the queue applies to its head."""
    if job.blocked_why != str(blocked.why) or job.blocked_since_ms is None:
        return False
    resource = ports.catalog.find(JOB_QUEUE, queue)
    limits = JobQueue.from_resource(resource).time_limits if resource else ()
    waited_seconds = (now_ms - job.blocked_since_ms) / 1000
    return any(
        limit.reason == str(blocked.why) and waited_seconds >= limit.limit_seconds
        for limit in limits
    )


def _correct_capacities(placed: Sequence[Job], ports: Ports) -> None:
    """Set figures right that differ from the rows they count, if nothing moves meanwhile.

    The count comes from the index, which lags: a difference counts only if both figures stand
    still for a while, and is written only if they still do.
    """
    queues = all_queues(ports)
    names = sorted({name for queue in queues for name in queue.environments})
    seen = ports.lanes.capacities(names)
    drifted = [name for name in names if _figures(seen.get(name), name) != _count(placed, name)]
    if not drifted:
        return
    ports.rest(RECOUNT_DELAY_SECONDS)
    again = [job for queue in queues for job in _placed_jobs(queue.name, ports)]
    now = ports.lanes.capacities(drifted)
    for name in drifted:
        counted = _count(again, name)
        if counted != _count(placed, name) or now.get(name) != seen.get(name):
            continue
        logger.warning("capacity drifted", action="sweep.drift", environment=name)
        ports.lanes.correct_capacity(seen.get(name), counted)


def _figures(capacity: Capacity | None, environment: str) -> Capacity:
    return capacity or Capacity(environment=environment)


def _count(jobs: Iterable[Job], environment: str) -> Capacity:
    total = CapacityChange(environment=environment)
    for job in jobs:
        change = capacity_change_of(None, job)
        if change is not None and change.environment == environment:
            total = total.plus(change)
    return Capacity(
        environment=environment,
        cpu_units=total.cpu_units,
        tasks=total.tasks,
        starting=total.starting,
    )
