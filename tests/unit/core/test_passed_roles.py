"""The roles that payloads name, and those that a stack may pass."""

from typing import Any

import pytest

from chalicelib.core.errors import ClientError
from chalicelib.core.ids import Scope
from chalicelib.core.passed_roles import PassableRoles, PassedRole, refuse_unpassable, roles_in

IAM = "arn:aws:iam::123456789012:role"
OWN = f"{IAM}/yard-execution"
PASSABLE = PassableRoles(
    scope=Scope(partition="aws", region="us-east-1", account="123456789012"),
    pattern="*batchyard-job*",
    execution_role_arn=OWN,
)
CONTAINER = {"jobRoleArn": f"{IAM}/job", "executionRoleArn": f"{IAM}/execution"}
TASK = {"taskRoleArn": f"{IAM}/job", "executionRoleArn": f"{IAM}/execution", "containers": []}
BOTH = [
    PassedRole(f"{IAM}/job", is_execution=False),
    PassedRole(f"{IAM}/execution", is_execution=True),
]


@pytest.mark.parametrize(
    "members",
    [
        {"containerProperties": CONTAINER},
        {"container": CONTAINER},
        {"ecsProperties": {"taskProperties": [TASK]}, "container": {}},
        {"nodeProperties": {"nodeRangeProperties": [{"container": CONTAINER}]}},
        {
            "nodeProperties": {
                "nodeRangeProperties": [
                    {"targetNodes": "0"},
                    {"ecsProperties": {"taskProperties": [TASK]}},
                ]
            }
        },
    ],
)
def test_roles_are_found_in_every_kind_of_payload(members: dict[str, Any]) -> None:
    assert roles_in(members) == BOTH


def test_each_role_is_found_once_and_in_every_node_range() -> None:
    other = CONTAINER | {"jobRoleArn": f"{IAM}/other"}
    ranges = [{"container": CONTAINER}, {"container": other}, {"container": CONTAINER}]
    found = roles_in({"nodeProperties": {"nodeRangeProperties": ranges}})
    assert found == [*BOTH, PassedRole(f"{IAM}/other", is_execution=False)]


@pytest.mark.parametrize(
    "members",
    [{}, {"eksProperties": {"podProperties": {}}}, {"container": {"jobRoleArn": ""}}],
)
def test_a_payload_may_have_no_role(members: dict[str, Any]) -> None:
    assert roles_in(members) == []


def test_what_is_no_member_for_a_role_is_none() -> None:
    named = {"jobRoleArn": "x", "executionRoleArn": "x"}
    container = {"environment": [{"name": "jobRoleArn", "value": "x"}], "logConfiguration": named}
    assert roles_in({"container": container, "parameters": named}) == []


@pytest.mark.parametrize("name", ["batchyard-job", "a/path/my-batchyard-jobs", "yard-execution"])
def test_roles_of_the_pattern_and_the_stack_s_own_may_be_passed(name: str) -> None:
    refuse_unpassable([PassedRole(f"{IAM}/{name}", is_execution=False)], PASSABLE)


@pytest.mark.parametrize(
    ("arn", "reason"),
    [
        (f"{IAM}/admin", "can not be passed to jobs"),
        (f"{IAM}/Batchyard-Job", "can not be passed to jobs"),
        (
            "arn:aws:iam::999999999999:role/batchyard-job",
            "Cross-account pass role is not allowed",
        ),
        ("arn:aws-cn:iam::123456789012:role/batchyard-job", "can not be passed to jobs"),
    ],
)
def test_the_refusal_of_another_role_has_the_pattern(arn: str, reason: str) -> None:
    with pytest.raises(ClientError) as refusal:
        refuse_unpassable([PassedRole(arn, is_execution=True)], PASSABLE)
    assert reason in refusal.value.message
    assert arn in refusal.value.message
    assert f"{IAM}/*batchyard-job* (stack parameter JobRolePattern)" in refusal.value.message


@pytest.mark.parametrize("arn", ["batchyard-job", "arn:aws:iam::123456789012:user/batchyard-job"])
def test_what_is_no_role_cannot_be_passed(arn: str) -> None:
    with pytest.raises(ClientError, match="is not the ARN of an IAM role"):
        refuse_unpassable([PassedRole(arn, is_execution=True)], PASSABLE)
