"""The rules of CreateJobQueue and UpdateJobQueue, and the stored result.

The caller passes the environments that the request names, in the request's order, None for one that
does not exist. Without them only the request is validated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.core.errors import ClientError, NotSupportedError
from chalicelib.core.resources.compute_environment import ComputeEnvironment
from chalicelib.core.resources.compute_types.table import SUPPORTED_QUEUE_TYPES
from chalicelib.core.validation.names import NamedResource, validate_name, validate_tags

_MOST_ENVIRONMENTS = 3
_POLICY_ARN = re.compile(
    r"arn:[a-z0-9-]+:batch:[a-z0-9-]+:[0-9]{12}:scheduling-policy/[\w-]{1,128}"
)
# What an update may change, in the words of AWS's refusal of an environment's empty update.
_CHANGES = {
    "state": "state",
    "schedulingPolicyArn": "scheduling-policy-arn",
    "priority": "priority",
    "computeEnvironmentOrder": "compute-environment-order",
    "serviceEnvironmentOrder": "service-environment-order",
    "jobStateTimeLimitActions": "job-state-time-limit-actions",
}
_TIME_LIMIT_SECONDS = range(600, 86400 + 1)
_TIME_LIMIT_REASONS = (
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
)


def validate_create(
    request: Mapping[str, Any], environments: Sequence[ComputeEnvironment | None] | None = None
) -> dict[str, Any]:
    """Return the queue to store: environments in order, defaults filled in.

    Raises ClientError for what AWS refuses, NotSupportedError for types not supported yet.
    """
    validate_name(NamedResource.JOB_QUEUE, request["jobQueueName"])
    validate_tags(request.get("tags", {}))
    _validate_kind(request)
    order = request.get("computeEnvironmentOrder", [])
    _validate_order(order)
    _validate_policy_arn(request.get("schedulingPolicyArn"))
    _validate_time_limits(request.get("jobStateTimeLimitActions", []))
    if environments is not None:
        _validate_environments(environments, request.get("jobQueueType"))
    defaults = {"state": "ENABLED", "jobStateTimeLimitActions": [], "tags": {}}
    return {**defaults, **request, "computeEnvironmentOrder": _ascending(order)}


def validate_update(
    queue: Mapping[str, Any],
    request: Mapping[str, Any],
    environments: Sequence[ComputeEnvironment | None] | None = None,
) -> dict[str, Any]:
    """Return the queue to store after an update.

    `queue` is the current one, in the shape that `validate_create` returns; `environments` are
    those that the request names. Raises ClientError for what AWS refuses to change.
    """
    if not any(member in request for member in _CHANGES):
        raise ClientError(f"One of [{' | '.join(_CHANGES.values())}] is required.", bare=True)
    updated = dict(queue)
    for member in ("state", "priority", "jobStateTimeLimitActions", "schedulingPolicyArn"):
        if member in request:
            updated[member] = request[member]
    if request.get("serviceEnvironmentOrder"):
        raise ClientError("serviceEnvironmentOrder is not applicable for container job queues.")
    if "computeEnvironmentOrder" in request:
        order = request["computeEnvironmentOrder"]
        _validate_order(order)
        updated["computeEnvironmentOrder"] = _ascending(order)
        if environments is not None:
            _validate_environments(environments, queue.get("jobQueueType"))
    if "schedulingPolicyArn" in request:
        _validate_policy_change(queue.get("schedulingPolicyArn"), request["schedulingPolicyArn"])
    _validate_time_limits(request.get("jobStateTimeLimitActions", []))
    return updated


def _ascending(order: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(order, key=lambda entry: entry["order"])


def _validate_kind(request: Mapping[str, Any]) -> None:
    kind = request.get("jobQueueType")
    services = request.get("serviceEnvironmentOrder")
    if services and request.get("computeEnvironmentOrder"):
        raise ClientError("Cannot use both computeEnvironmentOrder and serviceEnvironmentOrder.")
    if kind == "SAGEMAKER_TRAINING" and not services:
        raise ClientError(
            "Job queues of type SAGEMAKER_TRAINING must have serviceEnvironmentOrder."
        )
    if services and kind != "SAGEMAKER_TRAINING":
        raise ClientError(
            f"The jobQueueType provided is {kind or 'null'}, which is incompatible with the "
            "provided serviceEnvironmentOrder."
        )
    if services and len(services) > 1:
        raise ClientError("Job queue can only have 1 service environment.")
    if kind is not None and kind not in SUPPORTED_QUEUE_TYPES:
        raise NotSupportedError(f"A job queue of type {kind}")


def _validate_order(order: Sequence[Mapping[str, Any]]) -> None:
    if not order:
        raise ClientError("computeEnvironmentOrder is required.")
    if len(order) > _MOST_ENVIRONMENTS:
        raise ClientError(
            f"Only {_MOST_ENVIRONMENTS} environments are allowed in job queue request."
        )
    # The same environment may appear by its name and by its ARN, which ends in the name.
    names = {entry["computeEnvironment"].rpartition("/")[2] for entry in order}
    if len(names) != len(order):
        raise ClientError("Duplicate ComputeEnvironments within order list.")
    if len({entry["order"] for entry in order}) != len(order):
        raise ClientError("Duplicate ComputeEnvironment order values.")


def _validate_environments(
    environments: Sequence[ComputeEnvironment | None], queue_type: str | None
) -> None:
    found = [environment for environment in environments if environment is not None]
    if len(found) < len(environments) or any(one.status != "VALID" for one in found):
        raise ClientError(
            "Compute Environments must be created and valid before attaching them to a job queue"
        )
    if len({one.compute_type.platform for one in found}) > 1:
        raise ClientError("Fargate and EC2 compute environments can not be mixed.")
    if queue_type is not None and any(one.compute_type.queue_type != queue_type for one in found):
        raise ClientError(f"Compute environments do not match the job queue type {queue_type}.")


def _validate_policy_arn(arn: str | None) -> None:
    if arn and _POLICY_ARN.fullmatch(arn) is None:
        raise ClientError("Only scheduling policy Arn can be allowed.")


def _validate_policy_change(current: str | None, wanted: str) -> None:
    if current and not wanted:
        raise ClientError("schedulingPolicyArn can be replaced but not removed.")
    if wanted and not current:
        raise ClientError("schedulingPolicyArn cannot be added to a FIFO job queue.")
    _validate_policy_arn(wanted)


def _validate_time_limits(actions: Sequence[Mapping[str, Any]]) -> None:
    seen = set()
    for action in actions:
        if action["action"] != "CANCEL":
            raise ClientError("Invalid job action. Valid job actions: [CANCEL]")
        if action["reason"] not in _TIME_LIMIT_REASONS:
            raise ClientError(
                f"Reason {action['reason']} is not valid for jobStateTimeLimitActions. "
                f"Valid reasons: [{', '.join(_TIME_LIMIT_REASONS)}]"
            )
        if action["maxTimeSeconds"] not in _TIME_LIMIT_SECONDS:
            raise ClientError(
                f"maxTimeSeconds must be between 600 and 86400, got {action['maxTimeSeconds']}."
            )
        seen.add((action["state"], action["reason"]))
    if len(seen) != len(actions):
        raise ClientError("Duplicate job state limit actions are not allowed.")
