"""A name of a stack that AWS would refuse half-way is refused before anything is made."""

from typing import Any

import pytest

from batchyard.cloud.names import LIMITS, artifacts_bucket, check_stack_name, derived_names
from batchyard.cloud.package import make_template
from batchyard.cloud.stacks import DeployError

ACCOUNT, REGION = "123456789012", "ap-southeast-1"
# The bucket of packages has the longest name: 63 characters, of which the rest has 38.
LONGEST = 25


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return make_template(tmp_path_factory.mktemp("template"))


def test_the_longest_name_that_aws_takes_is_taken(template: dict[str, Any]) -> None:
    check_stack_name(template, "y" * LONGEST, ACCOUNT, REGION)
    assert len(artifacts_bucket("y" * LONGEST, ACCOUNT, REGION)) == 63
    with pytest.raises(DeployError, match=f"Choose a name of at most {LONGEST}\\.$"):
        check_stack_name(template, "y" * (LONGEST + 1), ACCOUNT, REGION)


def test_a_shorter_region_leaves_more_to_the_name(template: dict[str, Any]) -> None:
    check_stack_name(template, "y" * (LONGEST + 5), ACCOUNT, "us-east-1")


@pytest.mark.parametrize("name", ["Yard", "yard_one", "1yard", "-yard", "yard.one", "", "hof\n"])
def test_a_name_that_no_bucket_may_have_is_refused(template: dict[str, Any], name: str) -> None:
    with pytest.raises(DeployError, match="lower-case letters, digits and hyphens only"):
        check_stack_name(template, name, ACCOUNT, REGION)


def test_a_name_that_s3_reserves_is_refused(template: dict[str, Any]) -> None:
    with pytest.raises(DeployError, match="S3 reserves sthree-"):
        check_stack_name(template, "sthree-yard", ACCOUNT, REGION)


def test_the_name_that_is_too_long_is_shown(template: dict[str, Any]) -> None:
    made = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Fn::Sub": LONG_NAME}}}
    longer = {"Resources": template["Resources"] | {"Longer": made}}
    with pytest.raises(
        DeployError, match=r"yard-x{90} would have 95 characters, and AWS allows 80"
    ):
        check_stack_name(longer, "yard", ACCOUNT, REGION)


LONG_NAME = "${AWS::StackName}-" + "x" * 90


def test_the_limit_of_every_name_that_is_made_from_the_stacks_is_known(
    template: dict[str, Any],
) -> None:
    """A new resource whose name begins with the stack's is checked too, or this test fails."""
    known = {(kind, name) for (kind, _), name in derived_names(template)}
    for resource in template["Resources"].values():
        for key, value in resource.get("Properties", {}).items():
            text = value.get("Fn::Sub", "") if isinstance(value, dict) else ""
            if key.endswith("Name") and "${AWS::StackName}" in str(text):
                assert (resource["Type"], text) in known, f"{resource['Type']} {key}: {LIMITS}"
    assert ("AWS::Serverless::Function", "${AWS::StackName}-provision-step") in known
