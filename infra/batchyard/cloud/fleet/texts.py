"""What AWS writes when instances do not come, or go."""

from batchyard.cloud.fleet.instance_types import InstanceType

SPOT_INTERRUPTION, TERMINATION_NOTICE = "SpotInterruption", "TerminationNotice"
SPOT_TASK_INTERRUPTED = "Your Spot Task was interrupted."  # on Fargate
FAILED_TO_START = "TaskFailedToStart"
NO_INSTANCE_CAME = "TaskFailedToStart: EMPTY CAPACITY PROVIDER"
CAPACITY_IS_UNAVAILABLE = (
    "Capacity is unavailable at this time. Please try again later or in a different availability "
    "zone"
)


def host_terminated(instance_id: str) -> str:
    """Return ECS's reason for the end of a task whose instance is gone."""
    return f"Host EC2 (instance {instance_id}) terminated."


def no_capacity(one: InstanceType, zone: str, *, is_spot: bool) -> str:
    """Return the message of a scaling activity that found no instances."""
    if is_spot:
        return (
            "Could not launch Spot Instances. UnfulfillableCapacity - Unable to fulfill capacity "
            "due to your request configuration. Please adjust your request and try again. "
            "Launching EC2 instance failed."
        )
    return (
        "Could not launch On-Demand Instances. InsufficientInstanceCapacity - We currently do not "
        f"have sufficient {one.name} capacity in the Availability Zone you requested ({zone}). Our "
        "system will be working on provisioning additional capacity. Launching EC2 instance failed."
    )
