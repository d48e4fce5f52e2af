"""Everything that can happen to a job, as values. What it does to one is in `lifecycle.py`."""

from dataclasses import dataclass
from enum import StrEnum

from chalicelib.core.ids import Fence


class EventKind(StrEnum):
    """Everything that can happen to a job."""

    DEPENDENCY_MET = "DEPENDENCY_MET"
    DEPENDENCY_FAILED = "DEPENDENCY_FAILED"
    DEPENDENCY_UNNEEDED = "DEPENDENCY_UNNEEDED"  # it was to run after a failure, and there is none
    CHILDREN_ENDED = "CHILDREN_ENDED"  # of an array
    BLOCKED = "BLOCKED"  # it is the head of its queue and cannot be placed
    DISPATCHED = "DISPATCHED"
    LAUNCH_REFUSED = "LAUNCH_REFUSED"  # no task was made, for a reason that may pass
    LAUNCH_FAILED = "LAUNCH_FAILED"  # no task was made, and none ever will be
    TASK_RUNNING = "TASK_RUNNING"
    TASK_STOPPED = "TASK_STOPPED"
    TASK_LOST = "TASK_LOST"  # the sweeper looked for the task and there is none
    DEADLINE = "DEADLINE"
    CANCEL = "CANCEL"
    TERMINATE = "TERMINATE"
    DISCARD = "DISCARD"  # its queue is deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerEnd:
    """How one container of a task ended; without an exit code it never ran."""

    name: str
    exit_code: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened at `at_ms`. Reports from ECS carry the fence of their task."""

    kind: EventKind
    at_ms: int
    fence: Fence | None = None
    reason: str = ""
    label: str | None = None
    environment: str | None = None
    task_arn: str | None = None
    started_at_ms: int | None = None
    stopped_at_ms: int | None = None
    exit_code: int | None = None
    container_reason: str | None = None
    dependencies: frozenset[int] | None = None  # the numbers of those met; None is all
    container_ends: tuple[ContainerEnd, ...] = ()
    essential_exited: bool = False  # an essential container's end stopped the task, and no request
    address: str | None = None  # the private IPv4 address of the task, where ECS tells it
