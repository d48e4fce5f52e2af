"""Stopping tasks: that of a job which is being stopped, and one that no job wants any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.job import Job

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import HasEcs, HasSettings

    class TasksStopPorts(HasEcs, HasSettings, Protocol):
        """What this module asks of the outside world."""


ORPHAN_REASON = "Task stopped by Batchyard: its job has ended or has moved on to another attempt"


def stop(job: Job, ports: TasksStopPorts) -> None:
    """Stop the task of the job's current placement: the one in its row, or all that ECS finds.

    A job that is stopped during its launch has no task yet. When the task's first event arrives,
    the job's row says that it is stopping; the write of that event leads here again.
    """
    cluster = ports.settings.cluster_of(job.environment or "")
    arns = [job.task_arn] if job.task_arn else ports.ecs.find_tasks(cluster, str(job.fence))
    for arn in arns:
        ports.ecs.stop_task(cluster, arn, job.stop_reason or "")


def stop_orphan(cluster: str | None, task_arn: str | None, ports: HasEcs) -> None:
    """Stop a reported task that runs for a placement which its job has left."""
    if cluster and task_arn:
        ports.ecs.stop_task(cluster, task_arn, ORPHAN_REASON)
