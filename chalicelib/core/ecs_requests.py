"""Requests to ECS made from a job's payload: the task definition, and the RunTask that uses it.

A payload has one container or several (`core/payload.py`); here all are named containers of a task.
It is passed apart from the job, because each node of a multi-node job has its own.

A task definition holds all that a job definition's revision and size determine. Command and
environment are passed with each RunTask, so jobs share one task definition; only where ECS would
refuse overrides of that length (8192 characters) a job gets a definition of its own.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from chalicelib.core.canonical import with_value
from chalicelib.core.job import Job
from chalicelib.core.multinode import node_variables
from chalicelib.core.payload import TaskPayload, name_of, task_of
from chalicelib.core.resources.compute_types.compute_type import ComputeType, EcsSupport, Target
from chalicelib.core.task_size import TaskSize
from chalicelib.core.validation.resources import resource_needs, total_needs

OVERRIDES_LIMIT_CHARACTERS = 8192
_STREAM_PREFIX_LIMIT = 200  # AWS Batch cuts the definition's name at this length

# Members of a Batch container that ECS knows by the same name and meaning.
_SAME_IN_ECS = (
    "dependsOn",
    "firelensConfiguration",
    "mountPoints",
    "privileged",
    "readonlyRootFilesystem",
    "repositoryCredentials",
    "secrets",
    "startTimeout",
    "stopTimeout",
    "ulimits",
    "user",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSettings:
    """What the stack and the environment add to a job's own settings."""

    compute_type: ComputeType
    target: Target
    log_group: str
    region: str
    execution_role_arn: str


def stream_prefix_of(container: Mapping[str, Any], definition_name: str) -> str:
    """Return the log stream prefix of a container: its own option, else the definition's name."""
    options = (container.get("logConfiguration") or {}).get("options") or {}
    return options.get("awslogs-stream-prefix") or definition_name[:_STREAM_PREFIX_LIMIT]


def log_stream_of(container: Mapping[str, Any], definition_name: str, task_arn: str) -> str:
    """Return the log stream of a container in a task, named as AWS Batch names it."""
    task_id = task_arn.rsplit("/", 1)[-1]
    return f"{stream_prefix_of(container, definition_name)}/{name_of(container)}/{task_id}"


def batch_environment(payload: Mapping[str, Any], job: Job) -> dict[str, str]:
    """Return the variables that AWS Batch adds to every container (its user guide lists them)."""
    variables = {
        "AWS_BATCH_JOB_ID": job.key.public_id,
        "AWS_BATCH_JQ_NAME": job.queue,
        "AWS_BATCH_CE_NAME": job.environment or "",
        "AWS_BATCH_JOB_ATTEMPT": str(job.attempt),
        **node_variables(job),
    }
    if job.key.is_child:
        variables["AWS_BATCH_JOB_ARRAY_INDEX"] = str(job.key.number)
        variables["AWS_BATCH_JOB_ARRAY_SIZE"] = str(payload["arraySize"])
    return variables


def container_overrides(
    payload: Mapping[str, Any], job: Job, *, baked: bool = False
) -> list[dict[str, Any]]:
    """Return what RunTask overrides in each container of the shared task definition.

    With `baked` only what AWS Batch adds: the rest is in a definition of the job's own.
    """
    return [
        _overrides_of(container, batch_environment(payload, job), baked=baked)
        for container in task_of(payload).containers
    ]


def _overrides_of(
    container: Mapping[str, Any], batch: Mapping[str, str], *, baked: bool
) -> dict[str, Any]:
    own = [] if baked else with_value(container.get("environment") or [])
    overrides: dict[str, Any] = {
        "name": container["name"],
        "environment": [*own, *({"name": name, "value": value} for name, value in batch.items())],
    }
    if container.get("command") and not baked:
        overrides["command"] = list(container["command"])
    return overrides


def overrides_fit(overrides: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether ECS accepts overrides of this size: the JSON of all containers counts."""
    return len(json.dumps({"containerOverrides": overrides})) <= OVERRIDES_LIMIT_CHARACTERS


def task_definition(
    payload: Mapping[str, Any], job: Job, settings: LaunchSettings, *, bake: bool
) -> dict[str, Any]:
    """Return the RegisterTaskDefinition request for this job's definition, size and compute type.

    `bake` puts command and environment into it, for a job whose overrides ECS would refuse.
    """
    task = task_of(payload)
    definition_name = job.definition.rpartition(":")[0]
    given = {name: value for name, value in task.settings.items() if value}
    ecs = settings.compute_type.require_ecs()
    request: dict[str, Any] = {
        "family": f"batchyard-{definition_name}"[:255],
        "executionRoleArn": given.get("executionRoleArn") or settings.execution_role_arn,
        "containerDefinitions": [
            _container_definition(container, settings, definition_name, bake=bake)
            for container in task.containers
        ],
        "volumes": _volumes(given.get("volumes") or ()),
        "networkMode": _network_mode(job, ecs),
        "requiresCompatibilities": [settings.compute_type.platform.value],
        **_present(given, "taskRoleArn", "ipcMode", "pidMode", *ecs.task_members),
    }
    if ecs.has_task_size:
        request |= {"cpu": str(job.cpu_units), "memory": str(job.memory_mib)}
    return request


def _network_mode(job: Job, ecs: EcsSupport) -> str:
    own = ecs.node_network if job.nodes is not None else None
    return own.mode if own is not None else ecs.network_mode


def _present(members: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: members[name] for name in names if members.get(name)}


def variant_of(request: Mapping[str, Any]) -> str:
    """Return a name derived from the content, so that equal requests share one registration."""
    canonical = json.dumps(request, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:24]


def in_own_family(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request with a family of its own, named by definition and content.

    ECS refuses concurrent registrations in one family, and the variants of a definition (its sizes,
    its compute types) are registered by whichever reactors need them first.
    """
    variant = variant_of(request)
    return {**request, "family": f"{request['family'][: 254 - len(variant)]}-{variant}"}


def _container_definition(
    container: Mapping[str, Any], settings: LaunchSettings, definition_name: str, *, bake: bool
) -> dict[str, Any]:
    needs = resource_needs(container)
    definition: dict[str, Any] = {
        "name": container["name"],
        "image": container["image"],
        "essential": container.get("essential", True),
        # Rounded down: ECS refuses containers that are together bigger than their task.
        "cpu": int(needs.vcpus * 1024),
        "memory": needs.memory_mib,
        "logConfiguration": _log_configuration(container, settings, definition_name),
        **_present(container, *_SAME_IN_ECS),
    }
    if linux_parameters := _linux_parameters(container.get("linuxParameters") or {}):
        definition["linuxParameters"] = linux_parameters
    gpus = [r for r in container.get("resourceRequirements") or [] if r["type"] == "GPU"]
    if gpus:
        definition["resourceRequirements"] = gpus
    if bake:
        definition["command"] = list(container.get("command") or [])
        definition["environment"] = with_value(container.get("environment") or [])
    return definition


def _linux_parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return them without empty lists, and with permissions as ECS spells them: READ is read."""
    shaped = {name: value for name, value in given.items() if value != []}
    if "devices" in shaped:
        shaped["devices"] = [
            {name: value for name, value in device.items() if name != "permissions"}
            | _lowered(device.get("permissions"))
            for device in shaped["devices"]
        ]
    return shaped


def _lowered(permissions: Sequence[str] | None) -> dict[str, list[str]]:
    """Return the member of a device; without it, ECS gives a container all three."""
    return {"permissions": [one.lower() for one in permissions]} if permissions else {}


def _log_configuration(
    container: Mapping[str, Any], settings: LaunchSettings, definition_name: str
) -> dict[str, Any]:
    given = container.get("logConfiguration") or {}
    if given.get("logDriver", "awslogs") != "awslogs":
        return dict(given)
    return {
        **given,
        "logDriver": "awslogs",
        "options": {
            "awslogs-group": settings.log_group,
            "awslogs-region": settings.region,
            **(given.get("options") or {}),
            "awslogs-stream-prefix": stream_prefix_of(container, definition_name),
        },
    }


def _volumes(given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    volumes = []
    for volume in given:
        shaped = dict(volume)
        efs = shaped.get("efsVolumeConfiguration")
        if efs:
            # ECS requires the value that Batch leaves to its default.
            shaped["efsVolumeConfiguration"] = {"transitEncryption": "DISABLED", **efs}
        volumes.append(shaped)
    return volumes


def run_task(
    payload: Mapping[str, Any],
    job: Job,
    settings: LaunchSettings,
    *,
    task_definition_arn: str,
    baked: bool,
    tags: Mapping[str, str],
) -> dict[str, Any]:
    """Return the RunTask request of one placement, in the PascalCase of Step Functions' SDK calls.

    `startedBy` and `clientToken` are the fencing token, so that a repeated launch starts no second
    task.
    """
    task = task_of(payload)
    ecs = settings.compute_type.require_ecs()
    target = replace(settings.target, task=_size_of(task))
    request: dict[str, Any] = {
        "cluster": settings.target.cluster,
        "taskDefinition": task_definition_arn,
        "count": 1,
        "startedBy": str(job.fence),
        "clientToken": str(job.fence),
        "overrides": {"containerOverrides": container_overrides(payload, job, baked=baked)},
        **ecs.run_task(target, task.settings),
    }
    if job.nodes is not None and ecs.node_network is not None:
        request |= ecs.node_network.run_task(settings.target)
    if tags:
        request["tags"] = [{"key": key, "value": value} for key, value in tags.items()]
    if task.settings.get("enableExecuteCommand"):
        request["enableExecuteCommand"] = True
    return dict(_pascal(request))


def _size_of(task: TaskPayload) -> TaskSize:
    needs = total_needs(task.containers)
    return TaskSize(
        cpu_units=round(needs.vcpus * 1024), memory_mib=needs.memory_mib, gpus=needs.gpus
    )


def _pascal(value: Any) -> Any:
    """Return `value` with capitalised keys.

    RunTask has no free-form maps, so every key is a member name.
    """
    if isinstance(value, Mapping):
        return {key[0].upper() + key[1:]: _pascal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_pascal(item) for item in value]
    return value
