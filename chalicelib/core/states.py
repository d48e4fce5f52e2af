"""The seven statuses of a job, and what moves a job out of each.

This module holds the vocabulary of the lifecycle and nothing else; what an event does to a job in a
status is the table of `lifecycle.py`. The documentation's status table is generated from here.
"""

from enum import StrEnum


class JobStatus(StrEnum):
    """The statuses of AWS Batch, in the order in which a job passes through them."""

    SUBMITTED = "SUBMITTED"
    PENDING = "PENDING"
    RUNNABLE = "RUNNABLE"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


TERMINAL = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED})

# A job in one of these statuses holds vCPUs of its compute environment.
PLACED = frozenset({JobStatus.STARTING, JobStatus.RUNNING})

# Meaning, what moves a job out, and the ECS task's status meanwhile; the source of the table.
STATUS_NOTES: dict[JobStatus, tuple[str, str, str]] = {
    JobStatus.SUBMITTED: (
        "accepted, not yet evaluated; SubmitJob evaluates at once, so no row ever rests here",
        "SubmitJob",
        "-",
    ),
    JobStatus.PENDING: (
        "waits for what it depends on; an array's parent, until all its children have ended",
        "the end of its last dependency, or of its last child",
        "-",
    ),
    JobStatus.RUNNABLE: (
        "has a ready row in its queue's lane: the right to be dispatched",
        "the dispatcher, a cancel, a terminate",
        "-",
    ),
    JobStatus.STARTING: (
        "holds capacity; its task is being launched",
        "ECS: task RUNNING or STOPPED; the launch machine giving it back; the sweeper",
        "no task, PROVISIONING, PENDING, ACTIVATING",
    ),
    JobStatus.RUNNING: (
        "its container runs; the attempt's timeout counts",
        "ECS: task STOPPED; the sweeper for a task that is gone",
        "RUNNING, DEACTIVATING, STOPPING",
    ),
    JobStatus.SUCCEEDED: ("ended with exit code 0", "nobody; the row expires", "STOPPED"),
    JobStatus.FAILED: ("ended otherwise", "nobody; the row expires", "STOPPED or no task"),
}
