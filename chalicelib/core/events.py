"""Everything that can happen to a job, as values. What it does to a job is in `lifecycle.py`."""

from dataclasses import dataclass
from enum import StrEnum

from chalicelib.core.ids import Fence
from chalicelib.core.launch_failures import LaunchFailure
from chalicelib.core.spot import SpotPolicy


class EventKind(StrEnum):
    """The kinds of event in the life of a job."""

    DEPENDENCY_MET = "DEPENDENCY_MET"
    DEPENDENCY_FAILED = "DEPENDENCY_FAILED"
    DEPENDENCY_UNNEEDED = "DEPENDENCY_UNNEEDED"  # it runs only after a failure that did not occur
    CHILDREN_ENDED = "CHILDREN_ENDED"  # all children of an array have ended
    BLOCKED = "BLOCKED"  # it is the head of its queue and cannot be placed
    DISPATCHED = "DISPATCHED"
    LAUNCH_REFUSED = "LAUNCH_REFUSED"  # no task was started; a later launch may succeed
    LAUNCH_FAILED = "LAUNCH_FAILED"  # no task was started, and no launch can succeed
    TASK_PENDING = "TASK_PENDING"  # it has an instance, on which it is about to start
    TASK_RUNNING = "TASK_RUNNING"
    TASK_STOPPED = "TASK_STOPPED"
    LAUNCH_CLOSED = "LAUNCH_CLOSED"  # no task was found; nobody may launch this placement any more
    TASK_LOST = "TASK_LOST"  # the sweeper found no task where one must be
    DEADLINE = "DEADLINE"
    CANCEL = "CANCEL"
    TERMINATE = "TERMINATE"
    DISCARD = "DISCARD"  # the job's queue is being deleted


class HostLoss(StrEnum):
    """How the host of a task was lost, in ECS's words for why the task stopped."""

    SPOT_INTERRUPTION = "SpotInterruption"
    TERMINATED = "TerminationNotice"  # of any instance; on Spot, most often an interruption


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerEnd:
    """How one container of a task ended; a container without an exit code never ran."""

    name: str
    exit_code: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskHost:
    """Where a task runs: on a container instance, or with a network interface of its own.

    A task in awsvpc mode on an instance has both, one on Fargate has no instance.
    """

    container_instance_arn: str | None = None
    attachment_id: str | None = None  # of the network interface
    ipv4_address: str | None = None
    ipv6_address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a job at `at_ms`; ECS reports carry their task's fencing token."""

    kind: EventKind
    at_ms: int
    fence: Fence | None = None
    reason: str = ""
    label: str | None = None
    environment: str | None = None
    probe: bool = False  # DISPATCHED: the launch that tries a cooling environment
    failure: LaunchFailure | None = None  # LAUNCH_REFUSED: of which kind
    task_arn: str | None = None
    started_at_ms: int | None = None
    stopped_at_ms: int | None = None
    exit_code: int | None = None
    container_reason: str | None = None
    dependencies: frozenset[int] | None = None  # the numbers of those met; None for all
    container_ends: tuple[ContainerEnd, ...] = ()
    essential_exited: bool = False  # an essential container's end stopped it, not a request
    host: TaskHost | None = None  # where ECS reports it
    host_loss: HostLoss | None = None  # TASK_STOPPED: because its host was lost
    spot_policy: SpotPolicy | None = None  # TASK_STOPPED: a Spot loss, and what it changes
    is_free: bool = False  # TASK_STOPPED: by Batchyard itself, so it uses up no attempt

    @property
    def address(self) -> str | None:
        """Return the task's private IPv4 address, where ECS reports it."""
        return self.host.ipv4_address if self.host else None
