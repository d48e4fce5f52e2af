"""Launches: jobs that became STARTING are passed to the launch state machine, many per execution.

A task definition is registered once for each definition revision and variant, and found again by
its content. A job whose request cannot be made fails its attempt; the others are launched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chalicelib.core.ecs_requests import (
    LaunchSettings,
    container_overrides,
    overrides_fit,
    run_task,
    task_definition,
    variant_of,
)
from chalicelib.core.job import Job
from chalicelib.core.multinode import task_document
from chalicelib.core.resources.compute_environment import ComputeEnvironment
from chalicelib.core.resources.resource import COMPUTE_ENVIRONMENT, TASK_DEFINITION, Resource
from chalicelib.core.resources.task_definition import TaskDefinition
from chalicelib.core.spec import Spec
from chalicelib.core.validation.node_overrides import payload_needs
from chalicelib.engine.tasks.still_current import launch_window, still_current
from chalicelib.observe import logger

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import (
        Clock,
        HasCatalog,
        HasEcs,
        HasJobs,
        HasKnownTaskDefinitions,
        HasMessages,
        HasSettings,
        HasWorkflows,
    )

    class TasksLaunchPorts(
        HasCatalog,
        HasEcs,
        HasKnownTaskDefinitions,
        HasMessages,
        HasSettings,
        HasWorkflows,
        Protocol,
    ):
        """What this module asks of the outside world for one launch."""

    class LaunchPorts(
        Clock,
        HasCatalog,
        HasEcs,
        HasJobs,
        HasKnownTaskDefinitions,
        HasMessages,
        HasSettings,
        HasWorkflows,
        Protocol,
    ):
        """What this module and what it calls ask of the outside world."""


def launch(
    jobs: Sequence[Job],
    specs: Mapping[str, Spec],
    ports: LaunchPorts,
    *,
    again: bool = False,
) -> None:
    """Start the launch state machine for those of the STARTING `jobs` that are still current.

    `specs` are theirs, by id. A multi-node job goes to a state machine of its own, which launches
    its main node first. That machine runs once for each placement; `again` launches the main node
    without it too, which is safe because ECS makes one task of each client token.
    """
    jobs = still_current(jobs, ports)
    if not jobs:
        return
    window = launch_window(ports)
    environments = ports.catalog.find_many(
        COMPUTE_ENVIRONMENT, (job.environment or "" for job in jobs)
    )
    launches: list[Mapping[str, Any]] = []
    shared: dict[tuple[str, str], str] = {}
    for job in jobs:
        made = make_launch(job, specs, environments, shared, ports)
        if made is None:
            continue
        made |= window
        if job.nodes is not None:
            ports.workflows.start_multinode(job.fence, made)
        if job.nodes is None or again:
            launches.append(made)
    if launches:
        ports.workflows.start_launch(launches)


def make_launch(
    job: Job,
    specs: Mapping[str, Spec],
    environments: Mapping[str, Resource],
    shared: dict[tuple[str, str], str],
    ports: TasksLaunchPorts,
) -> dict[str, Any] | None:
    """Return the state machine's input for this job or node; None where none can be made.

    An error with one job must not delay the others: it is handled like any failed launch, which
    gives the job back or fails it by the name of the error. `shared` keeps the task definitions
    that the children of one array have in common.
    """
    try:
        environment = ComputeEnvironment.from_resource(environments[job.environment or ""])
        request = _request_of(job, specs[job.job_id], environment, shared, ports)
    except Exception as error:
        logger.exception("a launch cannot be made", action="launch.unmade", job=str(job.fence))
        ports.messages.send_launch_failure(job.fence, ports.ecs.error_name(error), str(error))
        return None
    return {"startedBy": str(job.fence), "runTask": request}


def _request_of(
    job: Job,
    spec: Spec,
    environment: ComputeEnvironment,
    shared: dict[tuple[str, str], str],
    ports: TasksLaunchPorts,
) -> dict[str, Any]:
    payload = task_document(job, spec.document)
    if job.nodes is not None:
        # The job's own size is the sum over its nodes; this request is for one of them.
        needs = payload_needs(payload)
        job = replace(job, cpu_units=round(needs.vcpus * 1024), memory_mib=needs.memory_mib)
    settings = _settings_of(environment, ports)
    bake = not overrides_fit(container_overrides(payload, job))
    # Children of one array in one environment differ only by what is in their overrides.
    array = (job.job_id, environment.name) if job.key.is_child and not bake else None
    arn = shared.get(array) if array else None
    if arn is None:
        arn = _registered(task_definition(payload, job, settings, bake=bake), job, ports)
        if array:
            shared[array] = arn
    return run_task(
        payload,
        job,
        settings,
        task_definition_arn=arn,
        baked=bake,
        tags=spec.document.get("taskTags") or {},
    )


def _settings_of(environment: ComputeEnvironment, ports: HasSettings) -> LaunchSettings:
    return LaunchSettings(
        compute_type=environment.compute_type,
        target=environment.target(ports.settings.cluster_of(environment.name)),
        log_group=ports.settings.log_group,
        region=ports.settings.scope.region,
        execution_role_arn=ports.settings.execution_role_arn,
    )


def _registered(definition: Mapping[str, Any], job: Job, ports: TasksLaunchPorts) -> str:
    """Return the ARN of the task definition with this content; register it on first use."""
    name = f"{job.definition}/{variant_of(definition)}"
    known = ports.known_task_definitions
    if name not in known:
        found = ports.catalog.find(TASK_DEFINITION, name)
        known[name] = _arn_in(found) if found else _register(name, definition, ports)
    return known[name]


def _register(name: str, definition: Mapping[str, Any], ports: TasksLaunchPorts) -> str:
    arn = ports.ecs.register_task_definition(definition)
    registered = TaskDefinition(name=name, arn=arn)
    if ports.catalog.put(registered.to_resource(), replacing=None):
        return arn
    # Another process registered the same content first; its revision is kept.
    ports.ecs.deregister_task_definition(arn)
    kept = ports.catalog.find(TASK_DEFINITION, name)
    return _arn_in(kept) if kept else arn


def _arn_in(resource: Resource) -> str:
    return TaskDefinition.from_resource(resource).arn
