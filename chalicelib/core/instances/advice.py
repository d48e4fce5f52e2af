"""What a person is to do about an error of AWS for which an environment becomes INVALID.

AWS's own sentence says what is wrong and stays in the reason; this table adds what to do.
"""

import re
from typing import NamedTuple


class Advice(NamedTuple):
    """A sentence of what to do, for errors whose text has the pattern."""

    pattern: re.Pattern[str]
    sentence: str


def _advice(pattern: str, sentence: str) -> Advice:
    return Advice(re.compile(pattern, re.IGNORECASE | re.DOTALL), sentence)


_AGAIN = "then update the compute environment to try again."
# The first that fits counts, so the special ones come before the general ones.
ADVICE: tuple[Advice, ...] = (
    _advice(
        r"not authorized to perform: iam:PassRole|AccessDenied.*PassRole",
        "The stack may not pass this role: give it a name that fits the stack parameter "
        f"InstanceRolePattern or InfrastructureRolePattern, or widen the parameter; {_AGAIN}",
    ),
    _advice(
        r"iam:CreateServiceLinkedRole|service.linked role",
        "Create the service-linked role that AWS names (aws iam create-service-linked-role), "
        f"{_AGAIN}",
    ),
    _advice(
        r"infrastructure role|unable to assume|cannot be assumed|sts:AssumeRole",
        "Let the role trust ecs.amazonaws.com and attach the policy "
        f"AmazonECSInfrastructureRolePolicyForManagedInstances to it, {_AGAIN}",
    ),
    _advice(
        r"instance ?profile",
        "Create the instance profile with a role that EC2 may assume, or name another one; "
        f"{_AGAIN}",
    ),
    _advice(
        r"InvalidSubnet|subnet ID .*does not exist|subnet.*(not found|not valid|invalid)",
        f"Name subnets that exist in this Region, {_AGAIN}",
    ),
    _advice(
        r"InvalidGroup|security ?group.*(does not exist|not found|not valid|invalid)",
        f"Name security groups of the subnets' VPC, {_AGAIN}",
    ),
    _advice(
        r"architecture",
        "Name an image and instance types of one architecture (x86_64 or arm64), " + _AGAIN,
    ),
    _advice(
        r"InvalidAMIID|image id .*(does not exist|not found)|InvalidImage",
        f"Name an image that this account may use in this Region, {_AGAIN}",
    ),
    _advice(
        r"InvalidKeyPair|key ?pair.*does not exist",
        f"Create the key pair in this Region or remove ec2KeyPair, {_AGAIN}",
    ),
    _advice(
        r"InvalidPlacementGroup|placement group.*(unknown|does not exist)",
        f"Create the placement group or remove placementGroup, {_AGAIN}",
    ),
    _advice(
        r"InvalidLaunchTemplate|launch template.*(does not exist|not found)",
        f"Name a launch template and a version that exist, {_AGAIN}",
    ),
    _advice(
        r"VcpuLimitExceeded|MaxSpotInstanceCountExceeded|InstanceLimitExceeded|"
        r"LimitExceeded|quota|limit of \d+ .*exceeded",
        f"Ask for a higher quota in Service Quotas or delete what is not used, {_AGAIN}",
    ),
    _advice(
        r"AccessDenied|not authorized to perform|UnauthorizedOperation",
        "Let the role of the function provision-step of this stack do what AWS names; a policy of "
        f"the organization or a permissions boundary may forbid it; {_AGAIN}",
    ),
)


def with_advice(text: str) -> str:
    """Return the error's text, and what to do about it if the table knows."""
    for one in ADVICE:
        if one.pattern.search(text):
            return f"{text.rstrip('. ')}. {one.sentence}"
    return text
