"""SubmitJob: what a submission may ask for, and the job's own copy of its definition.

`merge_submission` is the entry point: it makes of definition and request the job's own copy of
everything, so that a later change to the definition does not affect a submitted job.

Queues, the states of dependencies and ids are not known here. How one override changes one
container is in `overrides`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from chalicelib.core.dependencies import DependencyType
from chalicelib.core.errors import ClientError, NotSupportedError
from chalicelib.core.resources.platforms import platform_of
from chalicelib.core.validation.consumables import validate_consumables
from chalicelib.core.validation.names import merge_tags, validate_job_name, validate_tags
from chalicelib.core.validation.node_overrides import all_nodes_needs, merge_nodes
from chalicelib.core.validation.overrides import merge_container, merge_task
from chalicelib.core.validation.resources import ResourceNeeds, total_needs
from chalicelib.core.validation.resources import resource_needs as _container_needs
from chalicelib.core.validation.retry import (
    DEFAULT_STRATEGY,
    validate_retry_strategy,
    validate_scheduling_priority,
    validate_timeout,
)

SMALLEST_ARRAY = 2
_JOB_LIMIT_BYTES = 128 * 1024
_MOST_DEPENDENCIES = 20
_SHARE_IDENTIFIER = re.compile(r"[a-zA-Z0-9_-]{1,255}")
# The payload members of a definition, with the override member for each.
_OVERRIDES: Mapping[str, str] = {
    "containerProperties": "containerOverrides",
    "ecsProperties": "ecsPropertiesOverride",
    "eksProperties": "eksPropertiesOverride",
    "nodeProperties": "nodeOverrides",
}


def merge_submission(definition: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the job's effective settings, in the members of DescribeJobs.

    Always there: `container` (empty for a definition of another kind), `parameters`,
    `retryStrategy`, `tags` (the job's), `taskTags` (those that its tasks get), `propagateTags`,
    `platformCapabilities`. There when they apply: `ecsProperties`, `nodeProperties`, `timeout`,
    `schedulingPriority`. The arguments are not changed. Raises ClientError for what AWS refuses.
    """
    validate_submission(request)
    _refuse_foreign_overrides(definition, request)
    _refuse_unsupported(definition, request)
    parameters = {**definition.get("parameters", {}), **request.get("parameters", {})}
    platform = platform_of(definition.get("platformCapabilities", []))
    job: dict[str, Any] = {
        "container": {},
        "parameters": parameters,
        "retryStrategy": _effective_strategy(definition, request),
        "platformCapabilities": [platform.value],
        **_effective_tags(definition, request),
    }
    if "nodeProperties" in definition:
        job["nodeProperties"] = merge_nodes(
            definition["nodeProperties"], request.get("nodeOverrides", {}), parameters
        )
    elif "containerProperties" in definition:
        job["container"] = merge_container(
            definition["containerProperties"],
            request.get("containerOverrides", {}),
            parameters,
            platform,
        )
    else:
        job["ecsProperties"] = merge_task(
            definition["ecsProperties"],
            request.get("ecsPropertiesOverride", {}),
            parameters,
            platform,
        )
    timeout = request.get("timeout") or definition.get("timeout")
    if timeout:
        job["timeout"] = timeout
    priority = request.get("schedulingPriorityOverride", definition.get("schedulingPriority"))
    if priority is not None:
        job["schedulingPriority"] = priority
    _refuse_large(job)
    return job


def validate_submission(request: Mapping[str, Any]) -> None:
    """Refuse what is wrong with a submission whatever its definition and its queue are."""
    validate_job_name(request["jobName"])
    validate_tags(request.get("tags", {}))
    if "retryStrategy" in request:
        validate_retry_strategy(request["retryStrategy"])
    validate_timeout(request.get("timeout", {}))
    if "schedulingPriorityOverride" in request:
        validate_scheduling_priority(request["schedulingPriorityOverride"])
    share = request.get("shareIdentifier")
    if share is not None and _SHARE_IDENTIFIER.fullmatch(share) is None:
        raise ClientError("ShareIdentifier name should match a valid pattern.")
    _validate_dependencies(request)
    validate_consumables(request.get("consumableResourcePropertiesOverride", {}))


def validate_array_size(
    request: Mapping[str, Any], largest: int, smallest: int = SMALLEST_ARRAY
) -> int | None:
    """Return the size of the array that is asked for, None for a single job."""
    size = request.get("arrayProperties", {}).get("size")
    if size is None:
        return None
    if not smallest <= size <= largest:
        raise ClientError(f"Array size must be between {smallest} and {largest}, got {size}.")
    return int(size)


def validate_share(request: Mapping[str, Any], *, fair_share: bool) -> None:
    """Refuse a share or priority in a FIFO queue, and no share in a queue with a policy."""
    asks = "shareIdentifier" in request or "schedulingPriorityOverride" in request
    if asks and not fair_share:
        # The message is AWS's own, including the missing space: clients match it.
        raise ClientError(
            "Job with shareIdentifier or schedulingPriority can onlybe submitted to job queue "
            "with fair share scheduling policy.",
            bare=True,
        )
    if fair_share and "shareIdentifier" not in request:
        raise ClientError(
            "shareIdentifier is required for a job queue with fair share scheduling policy."
        )


def resource_needs(job: Mapping[str, Any]) -> ResourceNeeds:
    """Return what a merged job takes: its container, all of `ecsProperties`, or all its nodes.

    A bare container, as in the member `container`, is accepted as well.
    """
    if "nodeProperties" in job:
        return all_nodes_needs(job["nodeProperties"])
    if "ecsProperties" in job:
        return total_needs(job["ecsProperties"]["taskProperties"][0]["containers"])
    container: Mapping[str, Any] = job.get("container", job)
    return _container_needs(container)


def _validate_dependencies(request: Mapping[str, Any]) -> None:
    dependencies = request.get("dependsOn", [])
    if len(dependencies) > _MOST_DEPENDENCIES:
        raise ClientError(f"Job cannot have more than {_MOST_DEPENDENCIES} dependencies")
    is_array = "size" in request.get("arrayProperties", {})
    kinds = [_dependency_type(dependency) for dependency in dependencies]
    for kind, dependency in zip(kinds, dependencies, strict=True):
        _validate_dependency(kind, dependency.get("jobId"), is_array=is_array)
    if is_array and sum(kind.is_sequential for kind in kinds) > 1:
        raise ClientError("Only one sequential dependency is allowed.")


def _validate_dependency(kind: DependencyType, job_id: str | None, *, is_array: bool) -> None:
    """Refuse a dependency by child of a job without children, and one without its jobId.

    A SEQUENTIAL one with a jobId is an ordinary dependency for a job that is no array.
    """
    if not is_array and (kind.is_n_to_n or (kind.is_sequential and not job_id)):
        raise ClientError(f"Dependency type {kind} is only applicable for array jobs.")
    if is_array and kind.is_sequential and job_id:
        raise ClientError(f"Dependency type {kind} does not take a jobId.")
    if not kind.is_sequential and not job_id:
        raise ClientError("jobId of a dependency is required.")


def _dependency_type(dependency: Mapping[str, Any]) -> DependencyType:
    given = dependency.get("type", "")
    known = [str(kind) for kind in DependencyType]
    if given not in known:
        names = ", ".join(filter(None, known))
        raise ClientError(f"Dependency type {given} is not valid. Valid values: [{names}]")
    return DependencyType(given)


def _refuse_large(job: Mapping[str, Any]) -> None:
    """Refuse a job that its parameters make larger than request and definition may be together.

    A parameter can be named many times, and what is stored of a job has a limit.
    """
    size = len(json.dumps(job, ensure_ascii=False).encode())
    if size >= _JOB_LIMIT_BYTES:
        raise ClientError(
            f"Job size with its parameters must be less than {_JOB_LIMIT_BYTES // 1024} KiB, "
            f"got {math.ceil(size / 1024)} KiB"
        )


def _refuse_foreign_overrides(definition: Mapping[str, Any], request: Mapping[str, Any]) -> None:
    for payload, override in _OVERRIDES.items():
        # Clients send empty overrides by default; these ask for nothing.
        if request.get(override) and payload not in definition:
            kind = next(name for name in _OVERRIDES if name in definition)
            raise ClientError(f"{override} is not applicable for a job definition with {kind}.")


def _refuse_unsupported(definition: Mapping[str, Any], request: Mapping[str, Any]) -> None:
    if "nodeProperties" in definition and request.get("arrayProperties", {}).get("size"):
        raise ClientError("arrayProperties is not applicable for multi-node parallel jobs.")
    if "eksProperties" in definition:
        raise NotSupportedError("Submitting a job for Amazon EKS")
    consumables = request.get(
        "consumableResourcePropertiesOverride", definition.get("consumableResourceProperties", {})
    )
    if consumables.get("consumableResourceList"):
        raise NotSupportedError("Submitting a job with consumable resources")


def _effective_strategy(
    definition: Mapping[str, Any], request: Mapping[str, Any]
) -> dict[str, Any]:
    return validate_retry_strategy(
        request.get("retryStrategy") or definition.get("retryStrategy") or DEFAULT_STRATEGY
    )


def _effective_tags(definition: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    tags = request.get("tags", {})
    propagate = request.get("propagateTags", definition.get("propagateTags", False))
    task_tags = merge_tags(definition.get("tags", {}), tags) if propagate else {}
    return {"tags": tags, "taskTags": task_tags, "propagateTags": propagate}
