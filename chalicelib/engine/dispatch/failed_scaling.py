"""Environments whose instances cannot be had: set aside, and their waiting tasks given back.

A task on instances waits PROVISIONING until one has space for it, so a lack of instances is no
refusal of its launch. The event of the failed scaling activity is: it begins the environment's
cooling, and tasks that still wait are stopped, as far as another environment has capacity for their
jobs now. ECS's event about such a stop gives the job back in the same attempt
(`engine/tasks/ecs_events.py`). Only jobs that were placed before the cooling began are given back,
so that an event that comes again does not stop the probe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from chalicelib.core.ids import Fence
from chalicelib.core.instances.names import cluster_of_group, group_name, provider_of_group
from chalicelib.core.job import Job
from chalicelib.core.messages import NO_INSTANCE_CAME
from chalicelib.core.resources.resource import COMPUTE_ENVIRONMENT
from chalicelib.core.scaling_failures import FailedScaling
from chalicelib.core.scheduling.cooling import Cooling
from chalicelib.core.scheduling.elsewhere import has_elsewhere, jobs_for_elsewhere
from chalicelib.core.scheduling.snapshot import Capacity, Environment, Queue
from chalicelib.core.states import JobStatus
from chalicelib.engine.continuation import Continuation, ContinuationKind
from chalicelib.engine.dispatch.cooling import CapacityRefusal, cool_down
from chalicelib.engine.dispatch.read_snapshot import environment_from_resource
from chalicelib.engine.dispatch.scheduling_domain import all_queues
from chalicelib.observe import logger

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import (
        Clock,
        HasCatalog,
        HasEcs,
        HasJobs,
        HasLanes,
        HasMessages,
        HasSettings,
    )

    class FailedScalingPorts(
        Clock, HasCatalog, HasEcs, HasJobs, HasLanes, HasMessages, HasSettings, Protocol
    ):
        """What this module asks of the outside world."""


def on_failed_scaling(failed: FailedScaling, ports: FailedScalingPorts) -> None:
    """Set the group's environment aside, and give back what others can take; may be repeated."""
    environment = _environment_of(failed.group, all_queues(ports), ports)
    if environment is None:
        return
    refusal = CapacityRefusal(
        environment=environment, launched_at_ms=failed.began_at_ms, reason=failed.reason
    )
    cool_down([refusal], ports)
    give_back_waiting(failed.group, None, ports)


def give_back_waiting(group: str, after: str | None, ports: FailedScalingPorts) -> None:
    """Stop tasks of a page of the cluster that wait for the group; send for the next page.

    Makes no call of ECS where the environment does not cool, or nothing could go elsewhere.
    """
    every = all_queues(ports)
    environment = _environment_of(group, every, ports)
    if environment is None:
        return
    queues = {one.name: one for one in every if environment in one.environments}
    names = {environment, *(name for one in queues.values() for name in one.environments)}
    capacities = ports.lanes.capacities(sorted(names))
    used = capacities.get(environment)
    if used is None or used.cooling is None or used.starting <= 0:
        return
    environments = {
        name: environment_from_resource(row)
        for name, row in ports.catalog.find_many(COMPUTE_ENVIRONMENT, sorted(names)).items()
    }
    if not has_elsewhere(environment, queues.values(), environments, capacities, ports.now_ms()):
        return
    cluster = ports.settings.cluster_of(environment)
    arns, following = ports.ecs.list_tasks_page(cluster, after)
    tasks = ports.ecs.describe_tasks(cluster, arns)
    provider = provider_of_group(group, cluster)
    waiting = {
        fence: arn
        for arn, task in tasks.items()
        if _is_waiting(task, provider) and (fence := _fence_of_job(task)) is not None
    }
    jobs = _placed_before(waiting, environment, used.cooling, ports)
    for job in _chosen(jobs, queues, environments, capacities, ports):
        reason = f"{NO_INSTANCE_CAME}: {used.cooling.reason}"
        ports.ecs.stop_task(cluster, waiting[job.fence], reason)
        logger.info("a job is given back", action="scaling.given_back", job=str(job.fence))
    if following is not None:
        rest = Continuation(kind=ContinuationKind.WAITING, job_id=group, after=following)
        ports.messages.send_continuation(rest.detail())


def _environment_of(group: str, queues: Iterable[Queue], ports: FailedScalingPorts) -> str | None:
    """Return whose group it is; None where no queue uses it, so that no job waits there."""
    names = sorted({name for queue in queues for name in queue.environments})
    cluster = cluster_of_group(group)
    return next(
        (name for name in names if group_name(ports.settings.cluster_of(name)) == cluster), None
    )


def _is_waiting(task: Mapping[str, Any], provider: str) -> bool:
    """Return whether a task, as ECS describes it, waits for an instance of this provider.

    Tasks on instances that a user attaches may name none.
    """
    if task.get("lastStatus") != "PROVISIONING" or task.get("containerInstanceArn"):
        return False
    return task.get("capacityProviderName") in (None, provider)


def _fence_of_job(task: Mapping[str, Any]) -> Fence | None:
    """Return the fencing token of a job's task; None for a node's, which follows its job."""
    fence = Fence.parse(str(task.get("startedBy") or ""))
    return None if fence is None or fence.key.is_node else fence


def _placed_before(
    waiting: Mapping[Fence, str], environment: str, cooling: Cooling, ports: HasJobs
) -> list[Job]:
    """Return the jobs whose current placement, in this environment, is older than the cooling."""
    rows = ports.jobs.find_jobs(fence.key for fence in waiting) if waiting else {}
    return [
        job
        for job in rows.values()
        if job.fence in waiting
        and job.status is JobStatus.STARTING
        and job.environment == environment
        and job.stop_cause is None
        and job.changed_at_ms <= cooling.since_ms
    ]


def _chosen(
    jobs: list[Job],
    queues: Mapping[str, Queue],
    environments: Mapping[str, Environment],
    capacities: Mapping[str, Capacity],
    ports: FailedScalingPorts,
) -> list[Job]:
    return jobs_for_elsewhere(
        jobs,
        queues,
        environments,
        capacities,
        starting_window=ports.settings.starting_window,
        now_ms=ports.now_ms(),
    )
