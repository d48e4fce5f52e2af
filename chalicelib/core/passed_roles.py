"""The IAM roles that a job hands to ECS: where they are named, and which the stack may pass.

Pure: whether the caller may pass a role is asked of IAM, in `jobs/pass_role.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from chalicelib.core.errors import ClientError
from chalicelib.core.iam import account_of_role, matches
from chalicelib.core.ids import Scope

TO_TASKS = "ecs-tasks.amazonaws.com"
TO_ECS = "ecs.amazonaws.com"
TO_EC2 = "ec2.amazonaws.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRoles:
    """The roles that a compute environment hands to AWS, each None where it hands over none.

    `instance_profile` is the name of the instance profile whose role its instances run under.
    `spotIamFleetRole` is not among them: Auto Scaling starts Spot Instances under a role of its
    own, so nothing is passed.
    """

    infrastructure: str | None
    instance_profile: str | None


def roles_in_environment(resources: Mapping[str, Any]) -> EnvironmentRoles:
    """Return the roles in the `computeResources` of an environment."""
    provider = resources.get("managedInstancesProvider") or {}
    template = provider.get("instanceLaunchTemplate") or {}
    profile = resources.get("instanceRole") or template.get("ec2InstanceProfileArn")
    return EnvironmentRoles(
        infrastructure=provider.get("infrastructureRoleArn"),
        instance_profile=None if profile is None else profile.rpartition("/")[2],
    )


def refuse_environment_role(arn: str, pattern: str, parameter: str, scope: Scope) -> None:
    """Raise ClientError for a role that the stack may not pass; `parameter` has its pattern."""
    whole = f"arn:{scope.partition}:iam::{scope.account}:role/{pattern}"
    if not matches(whole, arn):
        raise ClientError(
            f"Role {arn[:200]} can not be passed to instances. This stack passes roles that match "
            f"{whole} (stack parameter {parameter})."
        )


class PassedRole(NamedTuple):
    """A role that a payload names: what its containers act as, or what ECS itself acts as."""

    arn: str
    is_execution: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PassableRoles:
    """The roles that the stack's own policies let it pass: those of `pattern`, and its own.

    `pattern` is the stack parameter JobRolePattern: a role's path and name, with wildcards.
    """

    scope: Scope
    pattern: str
    execution_role_arn: str

    @property
    def arn_pattern(self) -> str:
        return f"arn:{self.scope.partition}:iam::{self.scope.account}:role/{self.pattern}"


def roles_in(members: Mapping[str, Any]) -> list[PassedRole]:
    """Return the roles in a definition or in a job's document, of every kind of payload."""
    return list(dict.fromkeys(_roles_in(members)))


def refuse_unpassable(roles: Sequence[PassedRole], passable: PassableRoles) -> None:
    """Raise ClientError for a role that the stack may not pass, and that ECS would refuse later."""
    for role in roles:
        if role.arn == passable.execution_role_arn:
            continue
        account = account_of_role(role.arn)
        if account is None:
            raise ClientError(f"Role {role.arn[:200]} is not the ARN of an IAM role.")
        if account != passable.scope.account:
            raise ClientError(
                f"Cross-account pass role is not allowed: role {role.arn} is not in account "
                f"{passable.scope.account}. {_allowed(passable)}"
            )
        if not matches(passable.arn_pattern, role.arn):
            raise ClientError(f"Role {role.arn} can not be passed to jobs. {_allowed(passable)}")


def _allowed(passable: PassableRoles) -> str:
    return (
        f"This stack passes roles that match {passable.arn_pattern} "
        "(stack parameter JobRolePattern)."
    )


def _roles_in(payload: Mapping[str, Any]) -> Iterator[PassedRole]:
    for member in ("container", "containerProperties"):
        container = payload.get(member) or {}
        yield from _named(container.get("jobRoleArn"), container.get("executionRoleArn"))
    for task in (payload.get("ecsProperties") or {}).get("taskProperties") or ():
        yield from _named(task.get("taskRoleArn"), task.get("executionRoleArn"))
    for nodes in (payload.get("nodeProperties") or {}).get("nodeRangeProperties") or ():
        yield from _roles_in(nodes)


def _named(job_role: str | None, execution_role: str | None) -> Iterator[PassedRole]:
    if job_role:
        yield PassedRole(job_role, is_execution=False)
    if execution_role:
        yield PassedRole(execution_role, is_execution=True)
