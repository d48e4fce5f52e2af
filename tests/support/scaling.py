"""Events of Auto Scaling about instances that it could not launch."""

import json
from datetime import UTC, datetime
from typing import Any

from tests.support import stack
from tests.support.world import World

NO_SPOT = (
    "Could not launch Spot Instances. UnfulfillableCapacity - Unable to fulfill capacity due to "
    "your request configuration. Launching EC2 instance failed."
)


def report_failed_scaling(world: World, environment: str, message: str = NO_SPOT) -> None:
    """Let Auto Scaling report that a launch failed which begins now; nothing is delivered."""
    event = failed_scaling(world.settings.cluster_of(environment), message, world.now_ms)
    if stack.matches(stack.properties("FailedScaling")["EventPattern"], event):
        world.sqs.put(world.sqs.task_events, {"MessageBody": json.dumps(event)})


def failed_scaling(group: str, message: str, began_at_ms: int) -> dict[str, Any]:
    """Return the event in the shape of the user guide of Amazon EC2 Auto Scaling."""
    began = datetime.fromtimestamp(began_at_ms / 1000, UTC).isoformat().replace("+00:00", "Z")
    return {
        "version": "0",
        "id": "12345678-1234-1234-1234-123456789012",
        "detail-type": "EC2 Instance Launch Unsuccessful",
        "source": "aws.autoscaling",
        "account": stack.ACCOUNT,
        "time": began,
        "region": stack.REGION,
        "resources": ["auto-scaling-group-arn"],
        "detail": {
            "StatusCode": "Failed",
            "AutoScalingGroupName": group,
            "ActivityId": "87654321-4321-4321-4321-210987654321",
            "Details": {"Availability Zone": "us-east-1a", "Subnet ID": "subnet-1"},
            "RequestId": "12345678-1234-1234-1234-123456789012",
            "StatusMessage": message,
            "StartTime": began,
            "EndTime": began,
            "EC2InstanceId": "",
            "Cause": "An instance was started in response to a difference between desired and "
            "actual capacity, increasing the capacity from 0 to 1.",
        },
    }
