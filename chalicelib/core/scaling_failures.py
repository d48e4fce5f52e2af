"""Instances that an Auto Scaling group could not launch: what its event says, for the user.

The event is "EC2 Instance Launch Unsuccessful" (Amazon EC2 Auto Scaling user guide, event
reference); its message has the form `Could not launch Spot Instances. <code> - <EC2's words>.
Launching EC2 instance failed.`
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

LAUNCH_UNSUCCESSFUL = "EC2 Instance Launch Unsuccessful"

_MESSAGE = re.compile(
    r"(?:Could not launch [\w-]+ Instances\. )?(.*?)\s*(?:Launching EC2 instance failed\.?)?",
    re.DOTALL,
)
# What a user can do, by EC2's error code. The others pass by themselves, or say it.
_ADVICE = {
    "VcpuLimitExceeded": "the account's EC2 quota of vCPUs for these instance types is reached; "
    "ask for a higher one in Service Quotas",
    "InstanceLimitExceeded": "the account's EC2 quota of instances is reached; ask for a higher "
    "one in Service Quotas",
    "MaxSpotInstanceCountExceeded": "the account's EC2 quota of Spot vCPUs is reached; ask for a "
    "higher one in Service Quotas",
    "SpotMaxPriceTooLow": "the Spot price is above the compute environment's bidPercentage; raise "
    "it or leave it out",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedScaling:
    """A launch of instances that failed, of the group of that name; when it began, and why."""

    group: str
    began_at_ms: int
    reason: str


def failed_scaling_from_message(message: Mapping[str, Any], now_ms: int) -> FailedScaling | None:
    """Return what an event of Auto Scaling reports; None for any other message."""
    detail = message.get("detail")
    if message.get("detail-type") != LAUNCH_UNSUCCESSFUL or not isinstance(detail, Mapping):
        return None
    return FailedScaling(
        group=str(detail.get("AutoScalingGroupName") or ""),
        began_at_ms=_ms(detail.get("StartTime") or message.get("time"), now_ms),
        reason=reason_from_status(str(detail.get("StatusMessage") or detail.get("Cause") or "")),
    )


def reason_from_status(status: str) -> str:
    """Return why no instance was launched: EC2's words, or what to do where a user can do it."""
    found = _MESSAGE.fullmatch(status.strip())
    text = (found[1] if found is not None else status).strip()
    code = text.partition(" ")[0].rstrip(".")
    if code in _ADVICE:
        return f"{code} - {_ADVICE[code]}"
    return text or "No instance could be launched"


def _ms(moment: Any, now_ms: int) -> int:
    """Return a time of the event in ms; now where it has none that can be read."""
    try:
        return int(datetime.fromisoformat(str(moment)).timestamp() * 1000)
    except ValueError:
        return now_ms
