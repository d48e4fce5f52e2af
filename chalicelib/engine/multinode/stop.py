"""Stopping the other nodes of a job that has ended, is retried or is being stopped."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from chalicelib.core.job import Job
from chalicelib.core.multinode import as_task, others_of
from chalicelib.core.states import JobStatus
from chalicelib.engine.multinode.rows import LOOKED_FOR_LIMIT, current_nodes, find_nodes

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import HasEcs, HasJobs, HasSettings, Parallel

    class MultinodeStopPorts(HasEcs, HasJobs, HasSettings, Parallel, Protocol):
        """What this module asks of the outside world."""


ENDED_REASON = "The main node has ended"


def stop_nodes(job: Job, ports: MultinodeStopPorts) -> None:
    """Stop the tasks of the other nodes of this placement; doing so twice is the same as once.

    Of a large job, ECS is asked for some of the tasks that were never reported, not for all. Those
    that remain, and those yet to be launched, are orphan tasks: each is stopped when it runs.
    """
    cluster = ports.settings.cluster_of(job.environment or "")
    reason = job.stop_reason or ENDED_REASON
    current = current_nodes(find_nodes(job, ports), job)
    arns = [row.task_arn for row in current.values() if not row.is_terminal and row.task_arn]
    if job.status is JobStatus.RUNNING:
        unreported = [index for index in others_of(job) if _has_no_task(current.get(index))]
        for index in unreported[:LOOKED_FOR_LIMIT]:
            arns += ports.ecs.find_tasks(cluster, str(as_task(job, index).fence))
    ports.run_all([partial(ports.ecs.stop_task, cluster, arn, reason) for arn in arns])


def _has_no_task(row: Job | None) -> bool:
    return row is None or not (row.is_terminal or row.task_arn)
