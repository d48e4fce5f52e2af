"""Job queues: what the API answers, and the row that each change writes.

A queue needs no provisioning: it is VALID when its row is written, linked to its environments in
the same transaction. Deletion drains it first (`engine/provision`).
"""

from collections.abc import Sequence
from typing import Any

from chalicelib.api.catalog_pages import find_by_reference, find_referenced_or_page, name_and_arn
from chalicelib.core.errors import ClientError
from chalicelib.core.resources.compute_environment import ComputeEnvironment
from chalicelib.core.resources.job_queue import JobQueue
from chalicelib.core.resources.platforms import Platform
from chalicelib.core.resources.resource import COMPUTE_ENVIRONMENT, JOB_QUEUE
from chalicelib.core.validation.job_queue import validate_create, validate_update
from chalicelib.jobs.caller import Call

HEALTHY = "JobQueue Healthy"
_CHANGED_MEANWHILE = (
    "Compute Environments must be created and valid before attaching them to a job queue"
)


def create_job_queue(request: dict[str, Any], call: Call) -> dict[str, Any]:
    validate_create(request)  # before the environments are read, so a wrong request costs no read
    _refuse_policy(request)
    environments = _environments_of(request, call)
    members = _with_names(validate_create(request, environments), call)
    queue = JobQueue.from_members(
        members | {"platform": _platform_of(environments).value},
        status="VALID",
        status_reason=HEALTHY,
    )
    row = queue.to_resource()
    if not call.ports.catalog.put_linked(row, replacing=None, link=queue.environments):
        if call.ports.catalog.find(JOB_QUEUE, queue.name):
            raise ClientError("Object already exists")
        raise ClientError(_CHANGED_MEANWHILE)
    return name_and_arn(JOB_QUEUE, queue.name, call)


def describe_job_queues(request: dict[str, Any], call: Call) -> dict[str, Any]:
    found, next_token = find_referenced_or_page(JOB_QUEUE, request.get("jobQueues"), request, call)
    details = [_detail(JobQueue.from_resource(resource), call) for resource in found]
    return {"jobQueues": details, "nextToken": next_token}


def update_job_queue(request: dict[str, Any], call: Call) -> dict[str, Any]:
    found = find_by_reference(JOB_QUEUE, request["jobQueue"], call)
    if found is None:
        # Clients that delete a queue twice match it.
        raise ClientError(f"{request['jobQueue']} does not exist.", bare=True)
    current = JobQueue.from_resource(found)
    if current.status == "DELETING":
        raise ClientError("Cannot update, resource is being modified.")
    _refuse_policy(request)
    validate_update(current.members(), request)
    environments = _environments_of(request, call)
    members = validate_update(
        current.members(),
        request,
        environments if "computeEnvironmentOrder" in request else None,
    )
    if environments:
        members["platform"] = _platform_of(environments).value
    updated = JobQueue.from_members(
        _with_names(members, call),
        status=current.status,
        status_reason=current.status_reason,
        version=current.version + 1,
    )
    before, after = set(current.environments), set(updated.environments)
    written = call.ports.catalog.put_linked(
        updated.to_resource(),
        replacing=current.to_resource(),
        link=sorted(after - before),
        unlink=sorted(before - after),
    )
    if not written:
        raise ClientError("Cannot update, resource is being modified.")
    return name_and_arn(JOB_QUEUE, updated.name, call)


def delete_job_queue(request: dict[str, Any], call: Call) -> dict[str, Any]:
    """Delete a queue; one that is not there is a success, as in AWS, so is a retry."""
    current = find_by_reference(JOB_QUEUE, request["jobQueue"], call)
    if current is None or current.status == "DELETING":
        return {}
    if current.state != "DISABLED":
        raise ClientError("Cannot delete, Job Queue must be DISABLED.")
    going = current.changed(status="DELETING", status_reason="")
    # Closes the race with an update, which may enable the queue again.
    if not call.ports.catalog.put(going, replacing=current):
        raise ClientError("Cannot delete, resource is being modified.")
    return {}


def _refuse_policy(request: dict[str, Any]) -> None:
    arn = request.get("schedulingPolicyArn")
    if arn:
        raise ClientError(f"SchedulingPolicy {arn} not found.")


def _environments_of(request: dict[str, Any], call: Call) -> list[ComputeEnvironment | None]:
    """Return the environments that the request names, in its order, None for a missing one."""
    scope = call.ports.settings.scope
    order = request.get("computeEnvironmentOrder", [])
    names = [scope.name_in(entry["computeEnvironment"], COMPUTE_ENVIRONMENT) for entry in order]
    found = call.ports.catalog.find_many(COMPUTE_ENVIRONMENT, (name for name in names if name))
    environments = {name: ComputeEnvironment.from_resource(row) for name, row in found.items()}
    return [environments.get(name) if name else None for name in names]


def _platform_of(environments: Sequence[ComputeEnvironment | None]) -> Platform:
    """Return the platform that all environments of a queue have."""
    first = next(environment for environment in environments if environment is not None)
    return first.compute_type.platform


def _with_names(members: dict[str, Any], call: Call) -> dict[str, Any]:
    """Return the members of a queue with names where a request may have ARNs of environments."""
    scope = call.ports.settings.scope
    order = [
        {
            **entry,
            "computeEnvironment": scope.name_in(entry["computeEnvironment"], COMPUTE_ENVIRONMENT),
        }
        for entry in members["computeEnvironmentOrder"]
    ]
    return members | {"computeEnvironmentOrder": order}


def _detail(queue: JobQueue, call: Call) -> dict[str, Any]:
    scope = call.ports.settings.scope
    order = [
        {
            "order": entry.order,
            "computeEnvironment": scope.arn(COMPUTE_ENVIRONMENT, entry.environment),
        }
        for entry in queue.environment_order
    ]
    return {
        **queue.members(),
        **name_and_arn(JOB_QUEUE, queue.name, call),
        "computeEnvironmentOrder": order,
        "status": queue.status,
        "statusReason": queue.status_reason,
    }
