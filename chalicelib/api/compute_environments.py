"""Compute environments: what the API answers, and the row that each change writes.

A row in CREATING, UPDATING or DELETING starts provisioning (`engine/provision`); nothing here calls
ECS. The rules are in `core/validation/compute_environment`.
"""

from typing import Any

from chalicelib.api.catalog_pages import find_by_reference, find_referenced_or_page, name_and_arn
from chalicelib.api.desired_vcpus import desired_vcpus
from chalicelib.core.errors import ClientError
from chalicelib.core.ids import Scope
from chalicelib.core.passed_roles import roles_in_environment
from chalicelib.core.resources.compute_environment import ComputeEnvironment
from chalicelib.core.resources.resource import COMPUTE_ENVIRONMENT
from chalicelib.core.validation.compute_environment import validate_create, validate_update
from chalicelib.jobs.caller import Call
from chalicelib.jobs.pass_role import check_environment_roles

MODIFIED = "Cannot delete, resource is being modified."
BEING_UPDATED = "Cannot update, resource is being modified."

_SERVICE_LINKED_ROLE = "aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch"
_TRANSITIONAL = {"CREATING", "UPDATING", "DELETING"}


def create_compute_environment(request: dict[str, Any], call: Call) -> dict[str, Any]:
    members = validate_create(request) | {"uuid": call.ports.new_id()}
    environment = ComputeEnvironment.from_members(members, status="CREATING")
    check_environment_roles(environment.resources, call)
    # Closes the race of two creations under one name: the first takes it.
    if not call.ports.catalog.put(environment.to_resource(), replacing=None):
        raise ClientError("Object already exists")
    return name_and_arn(COMPUTE_ENVIRONMENT, environment.name, call)


def describe_compute_environments(request: dict[str, Any], call: Call) -> dict[str, Any]:
    found, next_token = find_referenced_or_page(
        COMPUTE_ENVIRONMENT, request.get("computeEnvironments"), request, call
    )
    environments = [ComputeEnvironment.from_resource(resource) for resource in found]
    desired = desired_vcpus(environments, call.ports)
    details = [_detail(one, desired.get(one.name), call) for one in environments]
    return {"computeEnvironments": details, "nextToken": next_token}


def update_compute_environment(request: dict[str, Any], call: Call) -> dict[str, Any]:
    current = find_environment(request["computeEnvironment"], call)
    if current.status in _TRANSITIONAL:
        raise ClientError(BEING_UPDATED)
    updated = current.updated(validate_update(_members(current, request, call), request))
    if roles_in_environment(updated.resources) != roles_in_environment(current.resources):
        check_environment_roles(updated.resources, call)
    # Closes the race with any other change, which raises the version.
    if not call.ports.catalog.put(updated.to_resource(), replacing=current.to_resource()):
        raise ClientError(BEING_UPDATED)
    return name_and_arn(COMPUTE_ENVIRONMENT, updated.name, call)


def _members(current: ComputeEnvironment, request: dict[str, Any], call: Call) -> dict[str, Any]:
    """Return the current members; desiredvCpus as they really are, if they are to be raised."""
    members = current.members()
    if "desiredvCpus" in request.get("computeResources", {}):
        desired = desired_vcpus([current], call.ports).get(current.name)
        if desired is not None:
            members["computeResources"] |= {"desiredvCpus": desired}
    return members


def delete_compute_environment(request: dict[str, Any], call: Call) -> dict[str, Any]:
    """Delete an environment; one that is not there is a success, as in AWS, so is a retry."""
    current = find_by_reference(COMPUTE_ENVIRONMENT, request["computeEnvironment"], call)
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


def find_environment(reference: str, call: Call) -> ComputeEnvironment:
    """Return the environment of that name or ARN; ClientError if there is none."""
    found = find_by_reference(COMPUTE_ENVIRONMENT, reference, call)
    if found is None:
        raise ClientError(f"{reference} does not exist.", bare=True)
    return ComputeEnvironment.from_resource(found)


def service_linked_role(scope: Scope) -> str:
    """Return the role that AWS Batch shows for an environment that names none."""
    return f"arn:{scope.partition}:iam::{scope.account}:role/{_SERVICE_LINKED_ROLE}"


def _detail(
    environment: ComputeEnvironment, desired_vcpus: int | None, call: Call
) -> dict[str, Any]:
    """Return the environment as it is described; without `desired_vcpus` with the stored value."""
    scope = call.ports.settings.scope
    members = environment.members()
    if desired_vcpus is not None:
        members["computeResources"] |= {"desiredvCpus": desired_vcpus}
    cluster = call.ports.settings.cluster_of(environment.name)
    return {
        **members,
        "serviceRole": members.get("serviceRole") or service_linked_role(scope),
        **name_and_arn(COMPUTE_ENVIRONMENT, environment.name, call),
        "ecsClusterArn": (
            f"arn:{scope.partition}:ecs:{scope.region}:{scope.account}:cluster/{cluster}"
        ),
        "status": environment.status,
        "statusReason": environment.status_reason,
        "containerOrchestrationType": "ECS",
    }
