"""The sweeper's part in multi-node jobs: nodes of which no event tells, though the main one runs.

A node that was never launched, or whose launch was refused, is launched again: its row is written,
and the reactor does what the row asks for. One whose task has ended unseen is given its end.
"""

from collections.abc import Iterable

from chalicelib.core.events import Event, EventKind
from chalicelib.core.ids import Fence, JobKey
from chalicelib.core.job import Job
from chalicelib.core.moves import Move
from chalicelib.core.multinode import as_task, is_present, node_of, nodes_of, others_of
from chalicelib.core.node_reports import launch_again
from chalicelib.core.states import JobStatus
from chalicelib.engine.multinode.nodes import (
    LOOKED_FOR_LIMIT,
    apply_node_reports,
    find_nodes,
    stop_nodes,
)
from chalicelib.engine.tasks.ecs_events import event_of_description
from chalicelib.engine.tasks.grace_periods import (
    GONE_REASON,
    LAUNCH_GRACE_MS,
    RUNNING_GRACE_MS,
    is_overdue_end,
)
from chalicelib.engine.tasks.reports import Report
from chalicelib.observe import logger
from chalicelib.wiring import Ports


def sweep_nodes(job: Job, now_ms: int, ports: Ports) -> None:
    """Examine the other nodes of a job that is placed."""
    if job.stop_cause is not None:
        stop_nodes(job, ports)  # the first stop may have come to nothing
        return
    if job.status is not JobStatus.RUNNING or now_ms - job.changed_at_ms < LAUNCH_GRACE_MS:
        return
    rows = find_nodes(job, ports)
    present = {index: row for index, row in rows.items() if is_present(row, job)}
    cluster = ports.settings.cluster_of(job.environment or "")
    reports = list(_lost_tasks(cluster, present.values(), now_ms, ports))
    due = [index for index in others_of(job) if _is_due(present.get(index), now_ms)]
    unlaunched: list[int] = []
    for index in due[:LOOKED_FOR_LIMIT]:
        found = _found(cluster, as_task(job, index).fence, now_ms, ports)
        reports.extend(found or ())
        if found is None:
            unlaunched.append(index)
    apply_node_reports(reports, ports)
    _launch_again(job, {index: rows.get(index) for index in unlaunched}, now_ms, ports)


def _is_due(row: Job | None, now_ms: int) -> bool:
    """Whether the node should have a task by now, and none is known."""
    if row is None:
        return True
    return row.status is JobStatus.STARTING and now_ms - row.changed_at_ms >= RUNNING_GRACE_MS


def _lost_tasks(cluster: str, rows: Iterable[Job], now_ms: int, ports: Ports) -> Iterable[Report]:
    due = {
        row.task_arn: row
        for row in rows
        if row.status is JobStatus.RUNNING
        and row.task_arn is not None
        and now_ms - row.changed_at_ms >= RUNNING_GRACE_MS
    }
    tasks = ports.ecs.describe_tasks(cluster, list(due)) if due else {}
    for arn, row in due.items():
        event = Event(kind=EventKind.TASK_LOST, at_ms=now_ms, fence=row.fence, reason=GONE_REASON)
        if arn in tasks:
            described = event_of_description(tasks[arn], row.fence, now_ms)
            if described is None or not is_overdue_end(described, now_ms):
                continue
            event = described
        yield _report(row.fence, event, cluster)


def _found(cluster: str, fence: Fence, now_ms: int, ports: Ports) -> list[Report] | None:
    """What the node's tasks tell that nobody has heard; None when there is no task."""
    arns = ports.ecs.find_tasks(cluster, str(fence))
    if not arns:
        return None
    reports = []
    for task in ports.ecs.describe_tasks(cluster, arns).values():
        event = event_of_description(task, fence, now_ms)
        if event is not None and (
            event.kind is EventKind.TASK_RUNNING or is_overdue_end(event, now_ms)
        ):
            reports.append(_report(fence, event, cluster))
    return reports


def _launch_again(job: Job, rows: dict[int, Job | None], now_ms: int, ports: Ports) -> None:
    if not rows:
        return
    if nodes_of(job).address is None:
        # Only the multi-node machine can find it, and it has failed: its alarm says so.
        logger.error("a main node without address", action="nodes.stuck", job=job.job_id)
        return
    logger.warning("nodes are launched again", action="nodes.again", job=job.job_id)
    # A lost condition means that somebody has heard of the node meanwhile.
    ports.jobs.commit(
        [
            Move(
                old=row or node_of(job, index).at_version(0),
                new=launch_again(job, row, index, now_ms),
            )
            for index, row in rows.items()
        ]
    )


def _report(fence: Fence, event: Event, cluster: str) -> Report:
    key = JobKey(fence.job_id, fence.part)
    return Report(message_id=key.public_id, event=event, key=key, cluster=cluster)
