"""Events in AWS Batch's own form, as this service publishes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

JOB_STATE_CHANGE = "Batch Job State Change"
JOB_QUEUE_BLOCKED = "Batch Job Queue Blocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """An event in AWS Batch's form: `detail` is a JobDetail, `resources` are ARNs."""

    at_ms: int
    detail_type: str
    resources: tuple[str, ...]
    detail: Mapping[str, Any]
