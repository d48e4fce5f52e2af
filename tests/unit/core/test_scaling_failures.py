"""Events about instances that could not be launched, and what users read about them."""

import pytest

from chalicelib.core.scaling_failures import (
    LAUNCH_UNSUCCESSFUL,
    FailedScaling,
    failed_scaling_from_message,
    reason_from_status,
)

SUFFICIENT = (
    "We currently do not have sufficient m6i.large capacity in the Availability Zone you requested "
    "(us-east-1a)."
)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        pytest.param(
            "Could not launch On-Demand Instances. InsufficientInstanceCapacity - "
            f"{SUFFICIENT} Launching EC2 instance failed.",
            f"InsufficientInstanceCapacity - {SUFFICIENT}",
            id="On-Demand capacity",
        ),
        pytest.param(
            "Could not launch Spot Instances. UnfulfillableCapacity - Unable to fulfill capacity "
            "due to your request configuration. Please adjust your request and try again. "
            "Launching EC2 instance failed.",
            "UnfulfillableCapacity - Unable to fulfill capacity due to your request "
            "configuration. Please adjust your request and try again.",
            id="Spot capacity",
        ),
        pytest.param(
            "Could not launch On-Demand Instances. VcpuLimitExceeded - You have requested more "
            "vCPU capacity than your current vCPU limit of 8 allows. Launching EC2 instance "
            "failed.",
            "VcpuLimitExceeded - the account's EC2 quota of vCPUs for these instance types is "
            "reached; ask for a higher one in Service Quotas",
            id="a quota says what to do",
        ),
        pytest.param(
            "Could not launch Spot Instances. MaxSpotInstanceCountExceeded",
            "MaxSpotInstanceCountExceeded - the account's EC2 quota of Spot vCPUs is reached; ask "
            "for a higher one in Service Quotas",
            id="a code without words",
        ),
        pytest.param(SUFFICIENT, SUFFICIENT, id="without a launch template"),
        pytest.param("", "No instance could be launched", id="nothing said"),
    ],
)
def test_a_user_reads_ec2s_words_or_what_to_do(status: str, reason: str) -> None:
    assert reason_from_status(status) == reason


def test_the_event_of_auto_scaling_names_its_group_and_when_the_launch_began() -> None:
    event = {
        "detail-type": LAUNCH_UNSUCCESSFUL,
        "source": "aws.autoscaling",
        "time": "2027-01-15T08:00:09Z",
        "detail": {
            "StatusCode": "Failed",
            "AutoScalingGroupName": "yard_spot",
            "StatusMessage": "Could not launch Spot Instances. UnfulfillableCapacity - Why.",
            "StartTime": "2027-01-15T08:00:00.250Z",
        },
    }
    assert failed_scaling_from_message(event, 5) == FailedScaling(
        group="yard_spot", began_at_ms=1_800_000_000_250, reason="UnfulfillableCapacity - Why."
    )


def test_a_time_that_cannot_be_read_is_that_of_the_message() -> None:
    event = {"detail-type": LAUNCH_UNSUCCESSFUL, "detail": {"AutoScalingGroupName": "yard_spot"}}
    failed = failed_scaling_from_message(event, 5)
    assert failed is not None
    assert failed.began_at_ms == 5


@pytest.mark.parametrize(
    "message", [{}, {"detail-type": "Wake", "detail": {}}, {"detail-type": LAUNCH_UNSUCCESSFUL}]
)
def test_any_other_message_is_none(message: dict[str, object]) -> None:
    assert failed_scaling_from_message(message, 5) is None
