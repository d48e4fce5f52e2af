"""INVALID says what a person must do: the errors of AWS, and the advice that follows them."""

import pytest

from chalicelib.core.instances.advice import ADVICE, with_advice

ERRORS = [
    (
        "An error occurred (AccessDenied) when calling the CreateAutoScalingGroup operation: User: "
        "arn:aws:sts::1:assumed-role/x is not authorized to perform: iam:PassRole on resource: r",
        "InstanceRolePattern",
    ),
    (
        "User: x is not authorized to perform: iam:CreateServiceLinkedRole on resource: y",
        "create-service-linked-role",
    ),
    (
        "ECS could not create the capacity provider p: The infrastructure role cannot be assumed.",
        "AmazonECSInfrastructureRolePolicyForManagedInstances",
    ),
    (
        "Invalid IamInstanceProfile: The instance profile ecsInstanceRole does not exist",
        "Create the instance profile",
    ),
    ("The subnet ID 'subnet-1' does not exist (InvalidSubnetID.NotFound)", "Name subnets"),
    ("The security group 'sg-1' does not exist", "Name security groups"),
    (
        "The image ami-1 has the architecture arm64, and the instance types have x86_64",
        "one architecture",
    ),
    ("The image id '[ami-1]' does not exist (InvalidAMIID.NotFound)", "Name an image"),
    ("The key pair 'mine' does not exist (InvalidKeyPair.NotFound)", "Create the key pair"),
    ("The Placement Group 'pg' is unknown.", "Create the placement group"),
    ("The specified launch template, with template ID lt-1, does not exist.", "Name a launch temp"),
    (
        "You have requested more vCPU capacity than your current vCPU limit of 32 allows "
        "(VcpuLimitExceeded)",
        "Service Quotas",
    ),
    ("You are not authorized to perform this operation. UnauthorizedOperation", "provision-step"),
]


@pytest.mark.parametrize(("error", "advice"), ERRORS)
def test_an_error_is_followed_by_what_to_do(error: str, advice: str) -> None:
    said = with_advice(error)
    assert said.startswith(error.rstrip("."))
    assert advice in said.removeprefix(error.rstrip("."))
    assert said.endswith("update the compute environment to try again.")


def test_an_error_that_nobody_can_say_more_about_stays_as_it_is() -> None:
    assert with_advice("too strange") == "too strange"


def test_every_advice_is_given_for_one_of_these_errors() -> None:
    used = {
        next(number for number, one in enumerate(ADVICE) if one.pattern.search(error))
        for error, _ in ERRORS
    }
    assert used == set(range(len(ADVICE)))
