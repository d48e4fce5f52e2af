"""The client of IAM: whether a user or a role may pass a role to a service."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.ports import RefusedError, ThrottledError

# Errors that pass by themselves. IAM throttles SimulatePrincipalPolicy at a few calls a second.
_PASSING = frozenset(
    {
        "InternalFailure",
        "RequestLimitExceeded",
        "ServiceFailure",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
    }
)
_GONE = "NoSuchEntity"


class BotoPermissions:
    def __init__(self, client: Any) -> None:
        self._client = client

    def find_role(self, name: str) -> str | None:
        answer = _asked(self._client.get_role, RoleName=name)
        return None if answer is None else str(answer["Role"]["Arn"])

    def has_instance_profile(self, name: str) -> bool:
        return _asked(self._client.get_instance_profile, InstanceProfileName=name) is not None

    def role_of_profile(self, name: str) -> str | None:
        answer = _asked(self._client.get_instance_profile, InstanceProfileName=name)
        roles = [] if answer is None else answer["InstanceProfile"]["Roles"]
        return str(roles[0]["Arn"]) if roles else None

    def may_pass(self, source_arn: str, role_arn: str, service: str) -> bool:
        answer = _asked(
            self._client.simulate_principal_policy,
            PolicySourceArn=source_arn,
            ActionNames=["iam:PassRole"],
            ResourceArns=[role_arn],
            ContextEntries=[
                {
                    "ContextKeyName": "iam:PassedToService",
                    "ContextKeyValues": [service],
                    "ContextKeyType": "string",
                }
            ],
        )
        decisions = [] if answer is None else answer["EvaluationResults"]
        return bool(decisions) and all(one["EvalDecision"] == "allowed" for one in decisions)


def _asked(call: Callable[..., Any], **members: Any) -> Any:
    """Return IAM's answer; None for a user or role that does not exist."""
    try:
        return call(**members)
    except ClientError as error:
        code = str(error.response["Error"]["Code"])
        if code == _GONE:
            return None
        if code in _PASSING:
            raise ThrottledError(str(error)) from error
        raise RefusedError(str(error)) from error
    except BotoCoreError as error:  # no connection, or no answer in time
        raise ThrottledError(str(error)) from error
