"""Spot losses among the ends of tasks: recognised, described as AWS Batch does, with their policy.

Only the end of a task whose host was lost leads here, so no other job pays for the reads. The loss
of a host is a Spot loss where ECS says so, or where the job's environment is Spot: ECS says of a
Spot instance that was reclaimed, as of any that was terminated, `Host EC2 (instance ...)
terminated.` It does not stop the standalone tasks of an instance that is drained (Amazon ECS
developer guide, container instance draining).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.core.events import Event, HostLoss
from chalicelib.core.job import Job
from chalicelib.core.resources.compute_environment import ComputeEnvironment
from chalicelib.core.resources.resource import COMPUTE_ENVIRONMENT, JOB_QUEUE, Resource
from chalicelib.core.spec import Spec
from chalicelib.core.spot import SpotPolicy, spot_policy

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import HasCatalog, HasEcs, HasJobs

    class SpotLossesPorts(HasCatalog, HasEcs, HasJobs, Protocol):
        """What this module asks of the outside world."""


_HOST_PREFIX = "Host EC2"  # what evaluateOnExit rules look for, as AWS's user guide has them


def with_spot_losses(
    ends: Iterable[tuple[Job, Event, str | None]], ports: SpotLossesPorts
) -> dict[Event, Event]:
    """Return, for each event among `ends` of a lost host, the event that is to be decided on.

    Each of `ends` is a job, an event about its current placement, and the cluster of its task.
    """
    lost = [(job, event, cluster) for job, event, cluster in ends if event.host_loss is not None]
    if not lost:
        return {}
    jobs = [job for job, _, _ in lost]
    environments = ports.catalog.find_many(
        COMPUTE_ENVIRONMENT, {one.environment or "" for one in jobs}
    )
    queues = ports.catalog.find_many(JOB_QUEUE, {one.queue for one in jobs})
    specs = ports.jobs.find_specs({one.job_id for one in jobs})
    changed = {}
    for job, event, cluster in lost:
        known = replace(event, reason=_reason(event, cluster, ports))
        if _is_on_spot(event, environments.get(job.environment or "")):
            known = replace(known, spot_policy=_policy(job, queues, specs))
        changed[event] = known
    return changed


def _is_on_spot(event: Event, environment: Resource | None) -> bool:
    if event.host_loss is HostLoss.SPOT_INTERRUPTION:
        return True
    return environment is not None and ComputeEnvironment.from_resource(environment).is_spot


def _policy(job: Job, queues: Mapping[str, Resource], specs: Mapping[str, Spec]) -> SpotPolicy:
    queue, spec = queues.get(job.queue), specs.get(job.job_id)
    return spot_policy(spec.tags if spec else {}, queue.tags if queue else {})


def _reason(event: Event, cluster: str | None, ports: HasEcs) -> str:
    """Return AWS Batch's words for the loss of an instance; on Fargate they are those of ECS."""
    instance_arn = event.host.container_instance_arn if event.host is not None else None
    if instance_arn is None or event.reason.startswith(_HOST_PREFIX):
        return event.reason
    instance_id = ports.ecs.find_instance(cluster, instance_arn) if cluster else None
    return f"{_HOST_PREFIX} (instance {instance_id or 'unknown'}) terminated."
