"""The operations on job queues, and the row that each change writes.

A queue needs no provisioning: it is VALID when its row is written, linked to its environments in
the same transaction. A deleted queue is drained first (`engine/provision`).
"""

from collections.abc import Sequence
from typing import Any

from chalicelib.api.paging import name_in, results_limit, token_of
from chalicelib.core.errors import ClientError
from chalicelib.core.resources.resource import COMPUTE_ENVIRONMENT, JOB_QUEUE, Resource
from chalicelib.core.validation.job_queue import validate_create, validate_update
from chalicelib.jobs.caller import Call
from chalicelib.jobs.lookup import find_queue

HEALTHY = "JobQueue Healthy"
_OWN_FIELDS = {"jobQueueName", "state", "tags", "status", "statusReason"}
_CHANGED_MEANWHILE = (
    "Compute Environments must be created and valid before attaching them to a job queue"
)


def create_job_queue(request: dict[str, Any], call: Call) -> dict[str, Any]:
    validate_create(request)  # before the environments are read, so a wrong request costs no read
    _refuse_policy(request)
    environments = _environments_of(request, call)
    stored = validate_create(request, _as_described(environments))
    names = _with_names(stored, call)
    queue = Resource(
        kind=JOB_QUEUE,
        name=stored["jobQueueName"],
        document=_document(stored) | {"platform": _platform_of(environments)},
        state=stored["state"],
        status="VALID",
        status_reason=HEALTHY,
        tags=stored["tags"],
    )
    if not call.ports.catalog.put_linked(queue, replacing=None, link=names):
        if call.ports.catalog.find(JOB_QUEUE, queue.name):
            raise ClientError("Object already exists")
        raise ClientError(_CHANGED_MEANWHILE)
    return _named(queue, call)


def describe_job_queues(request: dict[str, Any], call: Call) -> dict[str, Any]:
    references = request.get("jobQueues")
    if references:
        names = [call.ports.settings.scope.name_in(ref, JOB_QUEUE) for ref in references]
        found = call.ports.catalog.find_many(JOB_QUEUE, (name for name in names if name))
        resources, next_token = tuple(found.values()), None
    else:
        page = call.ports.catalog.list_kind(
            JOB_QUEUE, after=name_in(request.get("nextToken")), limit=results_limit(request)
        )
        resources, next_token = page.resources, token_of(page.next_name)
    return {
        "jobQueues": [_detail(resource, call) for resource in resources],
        "nextToken": next_token,
    }


def update_job_queue(request: dict[str, Any], call: Call) -> dict[str, Any]:
    current = find_queue(request["jobQueue"], call)
    if current.status == "DELETING":
        raise ClientError("Cannot update, resource is being modified.")
    _refuse_policy(request)
    validate_update(_request_shape(current), request)
    before = {entry["computeEnvironment"] for entry in current.document["computeEnvironmentOrder"]}
    environments = _environments_of(request, call)
    stored = validate_update(
        _request_shape(current),
        request,
        _as_described(environments) if "computeEnvironmentOrder" in request else None,
    )
    after = set(_with_names(stored, call))
    document = _document(stored)
    if environments:
        document["platform"] = _platform_of(environments)
    updated = current.changed(document=document, state=stored["state"])
    written = call.ports.catalog.put_linked(
        updated, replacing=current, link=sorted(after - before), unlink=sorted(before - after)
    )
    if not written:
        raise ClientError("Cannot update, resource is being modified.")
    return _named(updated, call)


def delete_job_queue(request: dict[str, Any], call: Call) -> dict[str, Any]:
    """Delete a queue; a missing one is a success, as in AWS, so that retries are too."""
    name = call.ports.settings.scope.name_in(request["jobQueue"], JOB_QUEUE)
    current = call.ports.catalog.find(JOB_QUEUE, name) if name else None
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


def _environments_of(request: dict[str, Any], call: Call) -> list[Resource | None]:
    """Return the environments that the request names, in its order; None for an unknown one."""
    scope = call.ports.settings.scope
    order = request.get("computeEnvironmentOrder", [])
    names = [scope.name_in(entry["computeEnvironment"], COMPUTE_ENVIRONMENT) for entry in order]
    found = call.ports.catalog.find_many(COMPUTE_ENVIRONMENT, (name for name in names if name))
    return [found.get(name) if name else None for name in names]


def _as_described(environments: Sequence[Resource | None]) -> list[dict[str, Any] | None]:
    return [
        {**environment.document, "status": environment.status} if environment else None
        for environment in environments
    ]


def _platform_of(environments: Sequence[Resource | None]) -> str:
    """Return the platform of all environments of a queue; kept with it, it saves submits a read."""
    first = next(environment for environment in environments if environment is not None)
    compute_type = (first.document.get("computeResources") or {}).get("type", "UNMANAGED")
    return "FARGATE" if compute_type.startswith("FARGATE") else "EC2"


def _with_names(stored: dict[str, Any], call: Call) -> list[str]:
    """Replace ARNs in the request's environment order by names, and return the names."""
    scope = call.ports.settings.scope
    stored["computeEnvironmentOrder"] = [
        {
            **entry,
            "computeEnvironment": scope.name_in(entry["computeEnvironment"], COMPUTE_ENVIRONMENT),
        }
        for entry in stored["computeEnvironmentOrder"]
    ]
    return [entry["computeEnvironment"] for entry in stored["computeEnvironmentOrder"]]


def _document(stored: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in stored.items() if name not in _OWN_FIELDS}


def _request_shape(queue: Resource) -> dict[str, Any]:
    return {
        **queue.document,
        "jobQueueName": queue.name,
        "state": queue.state,
        "tags": dict(queue.tags),
    }


def _named(queue: Resource, call: Call) -> dict[str, Any]:
    arn = call.ports.settings.scope.arn(JOB_QUEUE, queue.name)
    return {"jobQueueName": queue.name, "jobQueueArn": arn}


def _detail(queue: Resource, call: Call) -> dict[str, Any]:
    scope = call.ports.settings.scope
    order = [
        {
            "order": entry["order"],
            "computeEnvironment": scope.arn(COMPUTE_ENVIRONMENT, entry["computeEnvironment"]),
        }
        for entry in queue.document["computeEnvironmentOrder"]
    ]
    return {
        **_request_shape(queue),
        **_named(queue, call),
        "computeEnvironmentOrder": order,
        "status": queue.status,
        "statusReason": queue.status_reason,
    }
