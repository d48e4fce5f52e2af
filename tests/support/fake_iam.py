"""IAM in memory: roles with paths, and what their policies let roles and users pass to ECS.

It throttles as IAM does, and simulates for users and roles by their whole ARN only: the ARN of a
role's session, or one without the role's path, names nobody.
"""

from collections.abc import Callable
from typing import Any

from chalicelib.core.iam import matches
from tests.support.clients import FakeClient, OnCall, client_error
from tests.support.stack import ACCOUNT


class FakeIam(FakeClient):
    service = "iam"

    def __init__(self, now_ms: Callable[[], int], on_call: OnCall) -> None:
        super().__init__(now_ms, on_call)
        self.passes: dict[str, list[str]] = {}  # patterns of the roles, by ARN of who may pass them
        self.profiles: dict[str, str] = {}  # ARNs of roles, by the names of instance profiles
        self.services: list[str] = []  # to which roles are passed, by the questions
        self.throttled = False
        self.refusal: str | None = None  # the code with which every call is refused

    def add_role(self, name: str, *, path: str = "/", passes: tuple[str, ...] = ()) -> str:
        return self._add(f"role{path}{name}", passes)

    def add_user(self, name: str, *, path: str = "/", passes: tuple[str, ...] = ()) -> str:
        return self._add(f"user{path}{name}", passes)

    def _add(self, resource: str, passes: tuple[str, ...]) -> str:
        arn = f"arn:aws:iam::{ACCOUNT}:{resource}"
        self.passes[arn] = list(passes)
        return arn

    def do_get_role(self, params: dict[str, Any]) -> dict[str, Any]:
        self._refuse("GetRole")
        for arn in self.passes:
            if ":role/" in arn and arn.rpartition("/")[2] == params["RoleName"]:
                return {"Role": {"RoleName": params["RoleName"], "Arn": arn}}
        raise client_error("NoSuchEntity", "The role cannot be found.", "GetRole")

    def do_get_instance_profile(self, params: dict[str, Any]) -> dict[str, Any]:
        self._refuse("GetInstanceProfile")
        name = params["InstanceProfileName"]
        if name not in self.profiles:
            raise client_error("NoSuchEntity", "cannot be found.", "GetInstanceProfile")
        arn = self.profiles[name]
        return {"InstanceProfile": {"Roles": [{"Arn": arn}] if arn else []}}

    def do_simulate_principal_policy(self, params: dict[str, Any]) -> dict[str, Any]:
        self._refuse("SimulatePrincipalPolicy")
        source = params["PolicySourceArn"]
        if source not in self.passes:
            raise client_error("NoSuchEntity", f"{source} was not found", "SimulatePrincipalPolicy")
        assert params["ActionNames"] == ["iam:PassRole"]
        (service,) = params["ContextEntries"]
        assert service["ContextKeyName"] == "iam:PassedToService"
        assert service["ContextKeyValues"][0].endswith(".amazonaws.com")
        self.services.append(service["ContextKeyValues"][0])
        results = [
            {
                "EvalActionName": "iam:PassRole",
                "EvalResourceName": arn,
                "EvalDecision": (
                    "allowed"
                    if any(matches(one, arn) for one in self.passes[source])
                    else "implicitDeny"
                ),
            }
            for arn in params["ResourceArns"]
        ]
        return {"EvaluationResults": results, "IsTruncated": False}

    def _refuse(self, operation: str) -> None:
        if self.throttled:
            raise client_error("Throttling", "Rate exceeded", operation)
        if self.refusal is not None:
            raise client_error(self.refusal, "is not authorized", operation)
