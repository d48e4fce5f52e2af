"""What a decision about a job says: the next job, a closed label, and the sentence behind it."""

from dataclasses import dataclass
from enum import StrEnum

from chalicelib.core.job import Job


class Label(StrEnum):
    """What was decided: a closed set, for metrics and tests."""

    RELEASED = "RELEASED"
    WAITING = "WAITING"  # one dependency is met, others are not
    CLOSED = "CLOSED"  # an array makes no more children
    DISPATCHED = "DISPATCHED"
    GIVEN_BACK = "GIVEN_BACK"
    STARTED = "STARTED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    RETRIED = "RETRIED"
    BLOCKED = "BLOCKED"
    STOPPING = "STOPPING"
    STOP_STORED = "STOP_STORED"
    IGNORED = "IGNORED"
    STALE = "STALE"
    ORPHAN_TASK = "STRAY_TASK"  # the task runs for a placement that has been given up: stop it


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The next state of the job (the very same object when nothing changes) and why."""

    job: Job
    label: Label
    sentence: str
