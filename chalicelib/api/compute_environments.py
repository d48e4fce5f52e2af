"""The operations on compute environments, and the row that each change writes.

Provisioning reacts to a row in CREATING, UPDATING or DELETING (`engine/provision`); nothing here
calls ECS. The rules are in `core/validation/compute_environment`.
"""

from typing import Any

from chalicelib.api.paging import name_in, results_limit, token_of
from chalicelib.core.errors import ClientError
from chalicelib.core.ids import Scope
from chalicelib.core.resources.resource import COMPUTE_ENVIRONMENT, Resource
from chalicelib.core.validation.compute_environment import validate_create, validate_update
from chalicelib.jobs.caller import Call

MODIFIED = "Cannot delete, resource is being modified."
BEING_UPDATED = "Cannot update, resource is being modified."

_TRANSITIONAL = {"CREATING", "UPDATING", "DELETING"}
_OWN_FIELDS = {"computeEnvironmentName", "state", "tags"}


def create_compute_environment(request: dict[str, Any], call: Call) -> dict[str, Any]:
    stored = validate_create(request)
    name = stored["computeEnvironmentName"]
    environment = Resource(
        kind=COMPUTE_ENVIRONMENT,
        name=name,
        document=_document(stored) | {"uuid": call.ports.new_id()},
        state=stored["state"],
        status="CREATING",
        status_reason="",
        tags=stored["tags"],
    )
    if not call.ports.catalog.put(environment, replacing=None):
        raise ClientError("Object already exists")
    return _named(environment, call.ports.settings.scope)


def describe_compute_environments(request: dict[str, Any], call: Call) -> dict[str, Any]:
    scope = call.ports.settings.scope
    references = request.get("computeEnvironments")
    if references:
        names = [scope.name_in(ref, COMPUTE_ENVIRONMENT) for ref in references]
        found = call.ports.catalog.find_many(COMPUTE_ENVIRONMENT, (n for n in names if n))
        resources, next_token = tuple(found.values()), None
    else:
        page = call.ports.catalog.list_kind(
            COMPUTE_ENVIRONMENT,
            after=name_in(request.get("nextToken")),
            limit=results_limit(request),
        )
        resources, next_token = page.resources, token_of(page.next_name)
    return {
        "computeEnvironments": [_detail(resource, call) for resource in resources],
        "nextToken": next_token,
    }


def update_compute_environment(request: dict[str, Any], call: Call) -> dict[str, Any]:
    current = find_environment(request["computeEnvironment"], call)
    if current.status in _TRANSITIONAL:
        raise ClientError(BEING_UPDATED)
    stored = validate_update(_request_shape(current), request)
    updated = current.changed(
        document=dict(current.document) | _document(stored),
        state=stored["state"],
        status="UPDATING",
        status_reason="",
    )
    if not call.ports.catalog.put(updated, replacing=current):
        raise ClientError(BEING_UPDATED)
    return _named(updated, call.ports.settings.scope)


def delete_compute_environment(request: dict[str, Any], call: Call) -> dict[str, Any]:
    """Delete an environment; a missing one is a success, as in AWS, so that retries are too."""
    scope = call.ports.settings.scope
    name = scope.name_in(request["computeEnvironment"], COMPUTE_ENVIRONMENT)
    current = call.ports.catalog.find(COMPUTE_ENVIRONMENT, name) if name else None
    if current is None or current.status == "DELETING":
        return {}
    if current.status in _TRANSITIONAL:
        raise ClientError(MODIFIED)
    if current.used_by:
        raise ClientError("Cannot delete, found existing JobQueue relationship")
    if current.state != "DISABLED":
        raise ClientError("Cannot delete, Compute Environment must be DISABLED.")
    going = current.changed(status="DELETING", status_reason="")
    # Closes the race with a queue that is being attached: attaching it raises the version.
    if not call.ports.catalog.put(going, replacing=current):
        raise ClientError(MODIFIED)
    return {}


def find_environment(reference: str, call: Call) -> Resource:
    """Return the environment of that name or ARN. Raises ClientError if there is none."""
    name = call.ports.settings.scope.name_in(reference, COMPUTE_ENVIRONMENT)
    found = call.ports.catalog.find(COMPUTE_ENVIRONMENT, name) if name else None
    if found is None:
        raise ClientError(f"{reference} does not exist")
    return found


def _document(stored: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in stored.items() if name not in _OWN_FIELDS}


def _request_shape(environment: Resource) -> dict[str, Any]:
    return {
        **environment.document,
        "computeEnvironmentName": environment.name,
        "state": environment.state,
        "tags": dict(environment.tags),
    }


def _named(environment: Resource, scope: Scope) -> dict[str, Any]:
    return {
        "computeEnvironmentName": environment.name,
        "computeEnvironmentArn": scope.arn(COMPUTE_ENVIRONMENT, environment.name),
    }


def _detail(environment: Resource, call: Call) -> dict[str, Any]:
    scope = call.ports.settings.scope
    cluster = call.ports.settings.cluster_of(environment.name)
    return {
        **_request_shape(environment),
        **_named(environment, scope),
        "ecsClusterArn": (
            f"arn:{scope.partition}:ecs:{scope.region}:{scope.account}:cluster/{cluster}"
        ),
        "status": environment.status,
        "statusReason": environment.status_reason,
        "containerOrchestrationType": "ECS",
    }
