"""From a job's effective container to ECS: the task definition, and the RunTask that uses it.

A task definition holds all that a job definition's revision and size fix; command and environment
are given with each RunTask, so jobs share one. Only where ECS would refuse overrides of that length
(8192 characters) are they part of a definition of their own. Pure mapping; no calls, no rules.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.core.job import Job
from chalicelib.core.nodes import node_variables
from chalicelib.core.scheduling.snapshot import ComputeType

CONTAINER_NAME = "default"
OVERRIDES_LIMIT_CHARACTERS = 8192
_STREAM_PREFIX_LIMIT = 200  # AWS Batch cuts the definition's name there

# Members of a Batch container that ECS knows by the same name and meaning.
_SAME_IN_ECS = (
    "mountPoints",
    "privileged",
    "readonlyRootFilesystem",
    "repositoryCredentials",
    "secrets",
    "ulimits",
    "user",
    "linuxParameters",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSettings:
    """What the stack and the environment add to a job's own wishes."""

    cluster: str
    compute_type: ComputeType
    subnets: Sequence[str]
    security_groups: Sequence[str]
    log_group: str
    region: str
    execution_role_arn: str


def stream_prefix_of(container: Mapping[str, Any], definition_name: str) -> str:
    """The log stream prefix of a job: its own option, else its definition's name, cut."""
    options = (container.get("logConfiguration") or {}).get("options") or {}
    return options.get("awslogs-stream-prefix") or definition_name[:_STREAM_PREFIX_LIMIT]


def log_stream_of(container: Mapping[str, Any], definition_name: str, task_arn: str) -> str:
    """The log stream of a job's task, named as AWS Batch names it."""
    task_id = task_arn.rsplit("/", 1)[-1]
    return f"{stream_prefix_of(container, definition_name)}/{CONTAINER_NAME}/{task_id}"


def batch_environment(job: Job) -> dict[str, str]:
    """The variables that AWS Batch adds to every container (its user guide lists them)."""
    return {
        "AWS_BATCH_JOB_ID": job.job_id,
        "AWS_BATCH_JQ_NAME": job.queue,
        "AWS_BATCH_CE_NAME": job.environment or "",
        "AWS_BATCH_JOB_ATTEMPT": str(job.attempt),
        **node_variables(job),
    }


def container_overrides(container: Mapping[str, Any], job: Job) -> dict[str, Any]:
    """What RunTask sets for this job in the shared task definition."""
    overrides: dict[str, Any] = {
        "name": CONTAINER_NAME,
        "environment": [
            *(container.get("environment") or []),
            *({"name": name, "value": value} for name, value in batch_environment(job).items()),
        ],
    }
    if container.get("command"):
        overrides["command"] = list(container["command"])
    return overrides


def overrides_fit(overrides: Mapping[str, Any]) -> bool:
    return len(json.dumps(overrides)) <= OVERRIDES_LIMIT_CHARACTERS


def task_definition(
    container: Mapping[str, Any], job: Job, settings: LaunchSettings, *, bake: bool
) -> dict[str, Any]:
    """The RegisterTaskDefinition request for this job's definition, size and compute type.

    `bake` makes command and environment part of it, for a job whose overrides ECS would refuse.
    """
    definition_name = job.definition.rpartition(":")[0]
    fargate = settings.compute_type is not ComputeType.UNMANAGED
    request: dict[str, Any] = {
        "family": f"batchyard-{definition_name}"[:255],
        "executionRoleArn": container.get("executionRoleArn") or settings.execution_role_arn,
        "containerDefinitions": [
            _container_definition(container, job, settings, definition_name, bake=bake)
        ],
        "volumes": _volumes(container),
        "networkMode": "awsvpc" if fargate else "host",
        "requiresCompatibilities": ["FARGATE" if fargate else "EC2"],
    }
    if container.get("jobRoleArn"):
        request["taskRoleArn"] = container["jobRoleArn"]
    if fargate:
        request |= {"cpu": str(job.cpu_units), "memory": str(job.memory_mib)}
        for name in ("ephemeralStorage", "runtimePlatform"):
            if container.get(name):
                request[name] = container[name]
    return request


def variant_of(request: Mapping[str, Any]) -> str:
    """The name of a task definition's content: equal requests share one registration."""
    canonical = json.dumps(request, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:24]


def _container_definition(
    container: Mapping[str, Any],
    job: Job,
    settings: LaunchSettings,
    definition_name: str,
    *,
    bake: bool,
) -> dict[str, Any]:
    definition: dict[str, Any] = {
        "name": CONTAINER_NAME,
        "image": container["image"],
        "essential": True,
        "cpu": job.cpu_units,
        "memory": job.memory_mib,
        "logConfiguration": _log_configuration(container, settings, definition_name),
    }
    for name in _SAME_IN_ECS:
        if container.get(name):
            definition[name] = container[name]
    gpus = [r for r in container.get("resourceRequirements") or [] if r["type"] == "GPU"]
    if gpus:
        definition["resourceRequirements"] = gpus
    if bake:
        definition["command"] = list(container.get("command") or [])
        definition["environment"] = list(container.get("environment") or [])
    return definition


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


def _volumes(container: Mapping[str, Any]) -> list[dict[str, Any]]:
    volumes = []
    for volume in container.get("volumes") or []:
        shaped = dict(volume)
        efs = shaped.get("efsVolumeConfiguration")
        if efs:
            # ECS wants the word that Batch leaves to its default.
            shaped["efsVolumeConfiguration"] = {"transitEncryption": "DISABLED", **efs}
        volumes.append(shaped)
    return volumes


def run_task(
    container: Mapping[str, Any],
    job: Job,
    settings: LaunchSettings,
    *,
    task_definition_arn: str,
    baked: bool,
    tags: Mapping[str, str],
    enable_execute_command: bool = False,
) -> dict[str, Any]:
    """The RunTask request of one placement, in the PascalCase of Step Functions' SDK calls.

    `startedBy` and `clientToken` are the fence, so a repeated launch makes no second task.
    """
    overrides = container_overrides(container, job)
    if baked:
        overrides = {
            "name": CONTAINER_NAME,
            "environment": [
                {"name": name, "value": value} for name, value in batch_environment(job).items()
            ],
        }
    request: dict[str, Any] = {
        "cluster": settings.cluster,
        "taskDefinition": task_definition_arn,
        "count": 1,
        "startedBy": str(job.fence),
        "clientToken": str(job.fence),
        "overrides": {"containerOverrides": [overrides]},
        **_where(container, settings),
    }
    if tags:
        request["tags"] = [{"key": key, "value": value} for key, value in tags.items()]
    if enable_execute_command:
        request["enableExecuteCommand"] = True
    return dict(_pascal(request))


def _where(container: Mapping[str, Any], settings: LaunchSettings) -> dict[str, Any]:
    if settings.compute_type is ComputeType.UNMANAGED:
        return {"launchType": "EC2"}
    network = container.get("networkConfiguration") or {}
    platform = container.get("fargatePlatformConfiguration") or {}
    return {
        "capacityProviderStrategy": [{"capacityProvider": str(settings.compute_type), "weight": 1}],
        "platformVersion": platform.get("platformVersion") or "LATEST",
        "networkConfiguration": {
            "awsvpcConfiguration": {
                "subnets": list(settings.subnets),
                "securityGroups": list(settings.security_groups),
                "assignPublicIp": network.get("assignPublicIp") or "DISABLED",
            }
        },
    }


def _pascal(value: Any) -> Any:
    """RunTask has no free-form maps, so every key is a member name and may be capitalised."""
    if isinstance(value, Mapping):
        return {key[0].upper() + key[1:]: _pascal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_pascal(item) for item in value]
    return value
