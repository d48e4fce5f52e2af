"""The client of IAM."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from chalicelib.aws.iam import BotoPermissions
from chalicelib.core.passed_roles import TO_TASKS as TASKS
from chalicelib.ports import RefusedError, ThrottledError

ROLE, USER = "arn:aws:iam::123456789012:role/a/job", "arn:aws:iam::123456789012:user/dev"


class Client:
    """Answers every call with one answer, or its error."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.given: dict[str, Any] = {}

    def _call(self, **members: Any) -> Any:
        self.given = members
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    get_role = get_instance_profile = simulate_principal_policy = _call


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "SimulatePrincipalPolicy")


def decided(*decisions: str) -> dict[str, Any]:
    return {"EvaluationResults": [{"EvalDecision": one} for one in decisions]}


@pytest.mark.parametrize(
    ("decisions", "allowed"),
    [(("allowed",), True), (("implicitDeny",), False), (("explicitDeny",), False), ((), False)],
)
def test_only_an_allowed_role_may_be_passed(decisions: tuple[str, ...], allowed: bool) -> None:
    assert BotoPermissions(Client(decided(*decisions))).may_pass(USER, ROLE, TASKS) is allowed


def test_iam_is_asked_for_passing_the_role_to_tasks_of_ecs() -> None:
    client = Client(decided("allowed"))
    BotoPermissions(client).may_pass(USER, ROLE, TASKS)
    assert client.given["PolicySourceArn"] == USER
    assert (client.given["ActionNames"], client.given["ResourceArns"]) == (["iam:PassRole"], [ROLE])
    (context,) = client.given["ContextEntries"]
    assert context["ContextKeyName"] == "iam:PassedToService"
    assert context["ContextKeyValues"] == ["ecs-tasks.amazonaws.com"]


def test_a_role_is_found_with_its_path() -> None:
    assert BotoPermissions(Client({"Role": {"Arn": ROLE}})).find_role("job") == ROLE


def test_who_does_not_exist_may_nothing() -> None:
    gone = BotoPermissions(Client(refusal("NoSuchEntity")))
    assert gone.find_role("job") is None
    assert gone.may_pass(USER, ROLE, TASKS) is False


@pytest.mark.parametrize(
    "error",
    [
        refusal("Throttling"),
        refusal("ServiceFailure"),
        refusal("RequestLimitExceeded"),
        ReadTimeoutError(endpoint_url="https://iam"),
        ConnectTimeoutError(endpoint_url="https://iam"),
    ],
)
def test_what_passes_by_itself_may_be_tried_again(error: Exception) -> None:
    with pytest.raises(ThrottledError):
        BotoPermissions(Client(error)).may_pass(USER, ROLE, TASKS)


@pytest.mark.parametrize("code", ["AccessDenied", "InvalidInput", "PolicyEvaluation"])
def test_what_is_refused_says_why(code: str) -> None:
    with pytest.raises(RefusedError, match="no"):
        BotoPermissions(Client(refusal(code))).find_role("job")


@pytest.mark.parametrize(("roles", "arn"), [([{"Arn": ROLE}], ROLE), ([], None)])
def test_the_role_of_an_instance_profile_is_found(
    roles: list[dict[str, str]], arn: str | None
) -> None:
    client = Client({"InstanceProfile": {"Roles": roles}})
    assert BotoPermissions(client).role_of_profile("profile") == arn
    assert client.given == {"InstanceProfileName": "profile"}


def test_an_instance_profile_that_does_not_exist_has_no_role() -> None:
    assert BotoPermissions(Client(refusal("NoSuchEntity"))).role_of_profile("profile") is None
