"""Whether roles of jobs and environments may be passed: by this stack, and by who asks for it.

AWS Batch checks iam:PassRole with the caller's credentials. The stack passes roles with its own, so
it asks IAM what the caller's policies say (SimulatePrincipalPolicy). A job without a role, or with
the stack's execution role only, costs nothing: every job may have that one.

Who submits without an identity (a rule, a topic, a state machine, a trigger) was given that way in
by an administrator, and uses the roles that the registrants of the definitions could pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chalicelib.core.errors import AccessDeniedError, ClientError, TooManyRequestsError
from chalicelib.core.iam import Principal, PrincipalKind, principal_from_arn
from chalicelib.core.passed_roles import (
    TO_EC2,
    TO_ECS,
    TO_TASKS,
    PassableRoles,
    refuse_environment_role,
    refuse_unpassable,
    roles_in,
    roles_in_environment,
)
from chalicelib.ports import RefusedError, ThrottledError

if TYPE_CHECKING:
    from chalicelib.jobs.caller import Call

ALLOWED_FOR_MS = 300_000
DENIED_FOR_MS = 15_000  # short: an administrator who corrects a policy tries again
KNOWN_LIMIT = 1000  # answers that a process keeps


def check_roles(members: Mapping[str, Any], call: Call) -> None:
    """Refuse the roles in a definition or a job's document that may not be passed.

    Raises ClientError for one that the stack may not pass, AccessDeniedError for one that the
    caller may not pass, and TooManyRequestsError when IAM is too busy to be asked.
    """
    roles = roles_in(members)
    if not roles:
        return
    settings = call.ports.settings
    execution_role = settings.execution_role_arn
    passable = PassableRoles(
        scope=settings.scope,
        pattern=settings.job_role_pattern,
        execution_role_arn=execution_role,
    )
    refuse_unpassable(roles, passable)
    if not (call.is_principal and settings.check_pass_role):
        return
    asked = {one.arn for one in roles if not (one.is_execution and one.arn == execution_role)}
    for arn in sorted(asked):
        _check_caller(arn, TO_TASKS, call)


def check_environment_roles(resources: Mapping[str, Any], call: Call) -> None:
    """Refuse the roles in `computeResources` that may not be passed to EC2 or ECS.

    Raises as `check_roles` does, and ClientError for an instance profile that does not exist. Only
    where callers are checked: else provisioning finds that out.
    """
    roles, settings = roles_in_environment(resources), call.ports.settings
    checks = call.is_principal and settings.check_pass_role
    if roles.infrastructure is not None:
        pattern = settings.infrastructure_role_pattern
        refuse_environment_role(
            roles.infrastructure, pattern, "InfrastructureRolePattern", settings.scope
        )
        if checks:
            _check_caller(roles.infrastructure, TO_ECS, call)
    principal = principal_from_arn(call.caller)
    is_root = principal is not None and principal.kind is PrincipalKind.ROOT
    if roles.instance_profile is None or not checks or is_root:
        return
    role = _role_of_profile(roles.instance_profile, call)
    pattern = settings.instance_role_pattern
    refuse_environment_role(role, pattern, "InstanceRolePattern", settings.scope)
    _check_caller(role, TO_EC2, call)


def _role_of_profile(name: str, call: Call) -> str:
    try:
        role = call.ports.permissions.role_of_profile(name)
    except ThrottledError:
        raise TooManyRequestsError from None
    except RefusedError as error:
        raise ClientError(f"Instance profile {name[:200]} can not be checked: {error}") from None
    if role is None:
        raise ClientError(f"Instance profile {name[:200]} does not exist, or has no role.")
    return role


def _check_caller(role_arn: str, service: str, call: Call) -> None:
    """Raise AccessDeniedError unless the caller may pass the role to the service."""
    settings = call.ports.settings
    principal = principal_from_arn(call.caller)
    if principal is None:
        raise _denied(call.caller, role_arn, "only roles and users of IAM can be checked")
    if principal.account != settings.scope.account:
        # Its policies cannot be read from here.
        if principal.account not in settings.pass_role_accounts:
            why = f"account {principal.account} is not in the stack parameter PassRoleAccounts"
            raise _denied(call.caller, role_arn, why)
    elif principal.kind is not PrincipalKind.ROOT and not _may_pass(
        principal, role_arn, service, call
    ):
        raise _denied(call.caller, role_arn)


def _denied(caller: str, role_arn: str, why: str = "") -> AccessDeniedError:
    reason = f" because {why}" if why else ""
    return AccessDeniedError(
        f"User: {caller} is not authorized to perform: iam:PassRole on resource: {role_arn}{reason}"
    )


def _may_pass(principal: Principal, role_arn: str, service: str, call: Call) -> bool:
    """Return IAM's answer, which is kept for a while."""
    known, now_ms = call.ports.known_permissions, call.ports.now_ms()
    key = (principal.source, role_arn if service == TO_TASKS else f"{role_arn} {service}")
    allowed, until_ms = known.get(key, (False, 0))
    if now_ms < until_ms:
        return allowed
    try:
        allowed = _ask(principal, role_arn, service, call)
    except ThrottledError:
        raise TooManyRequestsError from None
    except RefusedError as error:
        raise ClientError(
            f"Whether {call.caller} may pass role {role_arn} can not be checked: {error}"
        ) from None
    if len(known) >= KNOWN_LIMIT:
        known.clear()
    known[key] = (allowed, now_ms + (ALLOWED_FOR_MS if allowed else DENIED_FOR_MS))
    return allowed


def _ask(principal: Principal, role_arn: str, service: str, call: Call) -> bool:
    permissions = call.ports.permissions
    if principal.kind is PrincipalKind.USER:
        return permissions.may_pass(principal.arn, role_arn, service)
    # A session's ARN lacks the path of its role.
    source = permissions.find_role(principal.name)
    return source is not None and permissions.may_pass(source, role_arn, service)
