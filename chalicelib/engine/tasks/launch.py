"""Launches: jobs that became STARTING are passed to the launch state machine, many per execution.

Jobs whose task definition is known are launched at once. The others wait for its registration
(`task_definitions.py`), a few seconds at most, and are then given back to their queue with the
reason. A job whose request cannot be made fails its attempt; the others are launched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
from chalicelib.core.messages import NOT_REGISTERED
from chalicelib.core.multinode import task_document
from chalicelib.core.resources.compute_environment import ComputeEnvironment
from chalicelib.core.resources.resource import COMPUTE_ENVIRONMENT, Resource
from chalicelib.core.spec import Spec
from chalicelib.core.validation.node_overrides import payload_needs
from chalicelib.engine.tasks.still_current import launch_window, still_current
from chalicelib.engine.tasks.task_definitions import NotRegisteredError, find_or_register
from chalicelib.observe import logger

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.engine.tasks.task_definitions import TaskDefinitionsPorts
    from chalicelib.ports import Clock, HasJobs, HasMessages, HasSettings, HasWorkflows

    class TasksLaunchPorts(TaskDefinitionsPorts, HasMessages, HasSettings, HasWorkflows, Protocol):
        """What this module asks of the outside world to make launches."""

    class LaunchPorts(TasksLaunchPorts, Clock, HasJobs, Protocol):
        """What this module and what it calls ask of the outside world."""


# How long launches wait for the registration of their task definitions, between two looks.
REGISTRATION_WAITS_SECONDS = (0.5, 1.0, 2.0, 4.0, 4.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    """A launch that lacks the ARN of its task definition, which `name` names by content."""

    job: Job
    payload: Mapping[str, Any]
    settings: LaunchSettings
    baked: bool
    tags: Mapping[str, str]
    name: str

    def request(self, arn: str) -> dict[str, Any]:
        """Return the launch machine's input for it."""
        request = run_task(
            self.payload,
            self.job,
            self.settings,
            task_definition_arn=arn,
            baked=self.baked,
            tags=self.tags,
        )
        return {"startedBy": str(self.job.fence), "runTask": request}


def launch(jobs: Sequence[Job], specs: Mapping[str, Spec], ports: LaunchPorts) -> None:
    """Start the launch state machine for those of the STARTING `jobs` that are still current.

    `specs` are theirs, by id. For a multi-node job it launches the main node. A state machine of
    its own, started first so that no main node is without one, launches the others when the main
    node runs. A launch may be asked for again: ECS makes one task of each client token.
    """
    jobs = still_current(jobs, ports)
    if not jobs:
        return
    environments = ports.catalog.find_many(
        COMPUTE_ENVIRONMENT, (job.environment or "" for job in jobs)
    )
    for made in make_launches(jobs, specs, environments, ports):
        for job, _ in made:
            if job.nodes is not None:
                ports.workflows.start_multinode(job.fence)
        if made:
            ports.workflows.start_launch(
                [request | launch_window(job, ports) for job, request in made]
            )


def make_launches(
    jobs: Iterable[Job],
    specs: Mapping[str, Spec],
    environments: Mapping[str, Resource],
    ports: TasksLaunchPorts,
) -> Iterator[list[tuple[Job, dict[str, Any]]]]:
    """Yield jobs or nodes with their input of the launch machine, as soon as it can be made.

    An error with one job must not delay the others: it is handled like any failed launch, which
    gives the job back or fails it by the name of the error.
    """
    definitions: dict[str, Mapping[str, Any]] = {}
    waiting = _plan(jobs, specs, environments, definitions, ports)
    for seconds in (*REGISTRATION_WAITS_SECONDS, None):
        wanted = {plan.name: definitions[plan.name] for plan in waiting}
        answers = find_or_register(wanted, ports)
        yield from _ready(waiting, answers, ports)
        waiting = [plan for plan in waiting if isinstance(answers[plan.name], NotRegisteredError)]
        if not waiting:
            return
        if seconds is not None:
            ports.rest(seconds)
    for plan in waiting:
        reason = f"The job waits for its ECS task definition: {answers[plan.name]}"
        ports.messages.send_launch_failure(plan.job.fence, NOT_REGISTERED, reason)


def _ready(
    waiting: Iterable[_Planned],
    answers: Mapping[str, str | Exception],
    ports: TasksLaunchPorts,
) -> Iterator[list[tuple[Job, dict[str, Any]]]]:
    """Yield what can be launched now; report what never can."""
    made = []
    for plan in waiting:
        answer = answers[plan.name]
        if isinstance(answer, NotRegisteredError):
            continue
        try:
            if isinstance(answer, Exception):
                raise answer
            made.append((plan.job, plan.request(answer)))
        except Exception as error:
            _report(plan.job, error, ports)
    if made:
        yield made


def _plan(
    jobs: Iterable[Job],
    specs: Mapping[str, Spec],
    environments: Mapping[str, Resource],
    definitions: dict[str, Mapping[str, Any]],
    ports: TasksLaunchPorts,
) -> list[_Planned]:
    """Return a plan for each job that can have one; add its task definition to `definitions`."""
    plans: list[_Planned] = []
    shared: dict[tuple[str, str], str] = {}
    for job in jobs:
        try:
            environment = ComputeEnvironment.from_resource(environments[job.environment or ""])
            plan = _plan_of(job, specs[job.job_id], environment, shared, definitions, ports)
        except Exception as error:
            _report(job, error, ports)
        else:
            plans.append(plan)
    return plans


def _report(job: Job, error: Exception, ports: TasksLaunchPorts) -> None:
    """Report a launch that cannot be made, from the handler of its error."""
    logger.exception("a launch cannot be made", action="launch.unmade", job=str(job.fence))
    ports.messages.send_launch_failure(job.fence, ports.ecs.error_name(error), str(error))


def _plan_of(
    job: Job,
    spec: Spec,
    environment: ComputeEnvironment,
    shared: dict[tuple[str, str], str],
    definitions: dict[str, Mapping[str, Any]],
    ports: HasSettings,
) -> _Planned:
    """Return the plan of a launch.

    `shared` keeps the name of the task definition that the children of one array have in common.
    """
    payload = task_document(job, spec.document)
    if job.nodes is not None:
        # The job's own size is the sum over its nodes; this request is for one of them.
        needs = payload_needs(payload)
        job = replace(job, cpu_units=round(needs.vcpus * 1024), memory_mib=needs.memory_mib)
    settings = _settings_of(environment, ports)
    bake = not overrides_fit(container_overrides(payload, job))
    # Children of one array in one environment differ only by what is in their overrides.
    array = (job.job_id, environment.name) if job.key.is_child and not bake else None
    name = shared.get(array) if array else None
    if name is None:
        definition = task_definition(payload, job, settings, bake=bake)
        name = f"{job.definition}/{variant_of(definition)}"
        definitions[name] = definition
        if array:
            shared[array] = name
    return _Planned(
        job=job,
        payload=payload,
        settings=settings,
        baked=bake,
        tags=spec.document.get("taskTags") or {},
        name=name,
    )


def _settings_of(environment: ComputeEnvironment, ports: HasSettings) -> LaunchSettings:
    return LaunchSettings(
        compute_type=environment.compute_type,
        target=environment.target(ports.settings.cluster_of(environment.name)),
        log_group=ports.settings.log_group,
        region=ports.settings.scope.region,
        execution_role_arn=ports.settings.execution_role_arn,
    )
