"""The result of a decision about a job: the next job, a label from a closed set, and a sentence."""

from dataclasses import dataclass
from enum import StrEnum

from chalicelib.core.job import Job


class Label(StrEnum):
    """The kinds of decision, for metrics and tests."""

    RELEASED = "RELEASED"
    WAITING = "WAITING"  # one dependency is met, others are not
    CLOSED = "CLOSED"  # an array dispatches no further children
    DISPATCHED = "DISPATCHED"
    GIVEN_BACK = "GIVEN_BACK"
    LAUNCH_CLOSED = "LAUNCH_CLOSED"  # nobody may launch this placement any more
    ON_INSTANCE = "ON_INSTANCE"
    STARTED = "STARTED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    RETRIED = "RETRIED"
    BLOCKED = "BLOCKED"
    STOPPING = "STOPPING"
    STOP_STORED = "STOP_STORED"
    IGNORED = "IGNORED"
    STALE = "STALE"
    ORPHAN_TASK = "ORPHAN_TASK"  # the task runs for a placement that was given up: stop it


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The job after a decision, and why. When nothing changes it is the very same object."""

    job: Job
    label: Label
    sentence: str
