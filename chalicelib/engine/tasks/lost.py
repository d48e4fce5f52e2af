"""Reports made for the sweeper of tasks whose ECS event was lost: of jobs and of nodes alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from chalicelib.core.events import Event, EventKind
from chalicelib.core.ids import Fence
from chalicelib.core.job import Job
from chalicelib.core.states import JobStatus
from chalicelib.engine.tasks.ecs_events import event_from_description
from chalicelib.engine.tasks.grace_periods import RUNNING_GRACE_MS, is_overdue_end
from chalicelib.engine.tasks.reports import Report

if TYPE_CHECKING:
    from chalicelib.ports import HasEcs

GONE_REASON = "Task is gone: ECS no longer has a record of it"
LOOKUPS_LIMIT = 10  # placements of one cluster that are asked for one by one, two calls each


def report_running_tasks(
    cluster: str, jobs: Iterable[Job], now_ms: int, ports: HasEcs
) -> Iterator[Report]:
    """Yield the end of each task of these jobs or nodes that stopped, or is gone, without an event.

    Looked at are those that have been RUNNING for longer than the grace period, 100 in a call.
    """
    due = [
        (job, job.task_arn)
        for job in jobs
        if job.status is JobStatus.RUNNING
        and job.task_arn is not None
        and now_ms - job.changed_at_ms >= RUNNING_GRACE_MS
    ]
    if not due:
        return
    tasks = ports.ecs.describe_tasks(cluster, [task_arn for _, task_arn in due])
    for job, task_arn in due:
        if task_arn not in tasks:
            yield report_loss(job.fence, GONE_REASON, cluster, now_ms)
            continue
        event = event_from_description(tasks[task_arn], job.fence, now_ms)
        if event is not None and is_overdue_end(event, now_ms):
            yield report_from_event(event, job.fence, cluster)


def find_launched(
    cluster: str, fences: Sequence[Fence], ports: HasEcs
) -> dict[Fence, list[dict[str, Any]]]:
    """Return the tasks that run for these placements, as ECS describes them, by placement.

    A few are asked for one by one, and those that have stopped are found too. For more, the cluster
    is listed, 100 tasks a call, whatever their number: only tasks that should run are found then.
    """
    if len(fences) <= LOOKUPS_LIMIT:
        return look_up(cluster, fences, ports)
    by_token = {str(fence): fence for fence in fences}
    return _by_fence(ports.ecs.describe_tasks(cluster, ports.ecs.list_tasks(cluster)), by_token)


def look_up(
    cluster: str, fences: Iterable[Fence], ports: HasEcs
) -> dict[Fence, list[dict[str, Any]]]:
    """Return the tasks of these placements, stopped ones too, with two calls for each."""
    by_token = {str(fence): fence for fence in fences}
    arns = [arn for token in by_token for arn in ports.ecs.find_tasks(cluster, token)]
    return _by_fence(ports.ecs.describe_tasks(cluster, arns), by_token)


def _by_fence(
    tasks: dict[str, dict[str, Any]], by_token: dict[str, Fence]
) -> dict[Fence, list[dict[str, Any]]]:
    found: dict[Fence, list[dict[str, Any]]] = defaultdict(list)
    for task in tasks.values():
        fence = by_token.get(str(task.get("startedBy")))
        if fence is not None:
            found[fence].append(task)
    return found


def report_tasks(
    tasks: Iterable[dict[str, Any]], fence: Fence, cluster: str, now_ms: int
) -> list[Report]:
    """Return the unreported starts and ends of the tasks of a placement."""
    events = [event_from_description(task, fence, now_ms) for task in tasks]
    return [
        report_from_event(event, fence, cluster)
        for event in events
        if event is not None
        and (event.kind is EventKind.TASK_RUNNING or is_overdue_end(event, now_ms))
    ]


def report_loss(fence: Fence, reason: str, cluster: str, now_ms: int) -> Report:
    """Return the report that a placement has no task, for which `reason` is given."""
    event = Event(kind=EventKind.TASK_LOST, at_ms=now_ms, fence=fence, reason=reason)
    return report_from_event(event, fence, cluster)


def report_from_event(event: Event, fence: Fence, cluster: str | None) -> Report:
    """Return the report of an event that no message brought."""
    key = fence.key
    return Report(message_id=key.public_id, event=event, key=key, cluster=cluster)
