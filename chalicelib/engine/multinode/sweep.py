"""The sweeper's examination of a multi-node job: nodes whose events or launches were lost.

A node that was never launched, or whose launch was refused, is launched again: its row is written,
and the reactor launches what the row asks for. One whose task ended without an event gets its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from chalicelib.core.job import Job
from chalicelib.core.moves import Move
from chalicelib.core.multinode import as_task, node_of, nodes_of, others_of
from chalicelib.core.node_reports import launch_again
from chalicelib.core.states import JobStatus
from chalicelib.engine.multinode.reports import apply_node_reports
from chalicelib.engine.multinode.rows import LOOKED_FOR_LIMIT, current_nodes, find_nodes
from chalicelib.engine.multinode.stop import stop_nodes
from chalicelib.engine.tasks.grace_periods import (
    LAUNCH_GRACE_MS,
    LAUNCH_REACH_MS,
    RUNNING_GRACE_MS,
)
from chalicelib.engine.tasks.lost import look_up, report_running_tasks, report_tasks
from chalicelib.observe import logger

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import Clock, HasEcs, HasJobs, HasLanes, HasSettings, Parallel

    class MultinodeSweepPorts(Clock, HasEcs, HasJobs, HasLanes, HasSettings, Parallel, Protocol):
        """What this module asks of the outside world."""


def sweep_nodes(job: Job, now_ms: int, ports: MultinodeSweepPorts) -> None:
    """Examine the other nodes of a placed job."""
    if job.stop_cause is not None:
        stop_nodes(job, ports)  # the first stop may have had no effect
        return
    if job.status is not JobStatus.RUNNING or now_ms - job.changed_at_ms < LAUNCH_GRACE_MS:
        return
    rows = find_nodes(job, ports)
    current = current_nodes(rows, job)
    cluster = ports.settings.cluster_of(job.environment or "")
    reports = list(report_running_tasks(cluster, current.values(), now_ms, ports))
    due = [index for index in others_of(job) if _lacks_task(current.get(index), now_ms)]
    unlaunched: list[int] = []
    fences = {index: as_task(job, index).fence for index in due[:LOOKED_FOR_LIMIT]}
    found = look_up(cluster, fences.values(), ports) if fences else {}
    for index, fence in fences.items():
        reports.extend(report_tasks(found.get(fence, ()), fence, cluster, now_ms))
        if not found.get(fence):
            unlaunched.append(index)
    apply_node_reports(reports, ports)
    _launch_again(job, {index: rows.get(index) for index in unlaunched}, now_ms, ports)


def _lacks_task(row: Job | None, now_ms: int) -> bool:
    """Return whether the node should have a task by now and none was reported.

    A launch that was neither refused nor reported may still be under way, and another one would
    have another client token.
    """
    if row is None:
        return True
    grace_ms = LAUNCH_REACH_MS if row.status_reason is None else RUNNING_GRACE_MS
    return row.status is JobStatus.STARTING and now_ms - row.changed_at_ms >= grace_ms


def _launch_again(job: Job, rows: Mapping[int, Job | None], now_ms: int, ports: HasJobs) -> None:
    """Write the rows of these nodes, so that the reactor launches each of them."""
    if not rows:
        return
    if nodes_of(job).address is None:
        # Only the multi-node machine looks the address up, and it has failed: its alarm says so.
        logger.error("a main node has no address", action="nodes.stuck", job=job.job_id)
        return
    logger.warning("nodes are launched again", action="nodes.again", job=job.job_id)
    # Not repeated: a lost condition means that something was reported of the node meanwhile.
    ports.jobs.commit(
        [
            Move(
                old=row or node_of(job, index).at_version(0),
                new=launch_again(job, row, index, now_ms),
            )
            for index, row in rows.items()
        ]
    )
