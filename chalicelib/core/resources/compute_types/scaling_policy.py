"""`scalingPolicy` of the types whose instances are scaled."""

from chalicelib.core.errors import ClientError
from chalicelib.core.resources.compute_types.compute_type import ComputeResources

_SCALE_DOWN_DELAY_MINUTES = range(20, 10080 + 1)


def validate_scaling_policy(resources: ComputeResources) -> None:
    """Refuse a delay that is out of range; 0 means no delay."""
    minutes = resources.get("scalingPolicy", {}).get("minScaleDownDelayMinutes", 0)
    if minutes != 0 and minutes not in _SCALE_DOWN_DELAY_MINUTES:
        raise ClientError(
            f"minScaleDownDelayMinutes must be 0 or between 20 and 10080, got {minutes}."
        )
