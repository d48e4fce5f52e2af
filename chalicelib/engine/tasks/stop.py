"""Stopping a job's task: the one that is known, or any that its fence started."""

from chalicelib.core.job import Job
from chalicelib.wiring import Ports


def stop(job: Job, ports: Ports) -> None:
    """Have ECS stop the task of this placement; one that is yet to start is met when it runs.

    A job that is stopping while its launch is under way has no task yet: its first event finds the
    stop in the row, and the write that records it comes back here.
    """
    cluster = ports.settings.cluster_of(job.environment or "")
    arns = [job.task_arn] if job.task_arn else ports.ecs.find_tasks(cluster, str(job.fence))
    for arn in arns:
        ports.ecs.stop_task(cluster, arn, job.stop_reason or "")
