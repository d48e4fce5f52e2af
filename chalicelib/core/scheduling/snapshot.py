"""The snapshot that a plan is made from: queues, environments, heads of lanes, and capacity.

Its values are immutable and read once for each plan. A plan may be out of date when it is written;
the conditions of the transaction that writes it detect that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from chalicelib.core.ids import JobKey
from chalicelib.core.lane import FIFO_SHARE, Lane
from chalicelib.core.ready import Ready
from chalicelib.core.scheduling.cooling import Cooling
from chalicelib.core.scheduling.launch_permits import LaunchPermits
from chalicelib.core.scheduling.order import FIFO, LaneOrder
from chalicelib.core.task_size import TaskSize


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What a plan needs to know of a compute environment.

    None stands for no limit: of what its jobs can use together, and of how many of its tasks ECS
    allows to be PROVISIONING. `holds` are the largest tasks that it can run, none of which includes
    another; it is empty where that is not known.
    """

    name: str
    usable: bool  # ENABLED and VALID (or being updated)
    limit_cpu_units: int | None
    is_changing: bool = False  # being created or updated, so that its limits may change
    provisioning_limit: int | None = None
    is_on_instances: bool = False  # which its owner or an Auto Scaling group provides
    is_spot: bool = False  # on capacity that may be reclaimed
    holds: tuple[TaskSize, ...] = ()
    runs_nodes: bool = True  # those of multi-node parallel jobs

    def starting_window(self, chosen: int) -> int:
        """Return how many of its tasks may be STARTING; `chosen` is the stack's own bound."""
        if self.provisioning_limit is None:
            return chosen
        return min(chosen, self.provisioning_limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What is in use in one environment: the tasks of STARTING and RUNNING jobs.

    `starting` counts only the STARTING ones, without those of which it is recorded that their task
    has an instance. `cooling` is no figure, so equal figures are equal
    whatever it is.
    """

    environment: str
    cpu_units: int = 0
    tasks: int = 0
    starting: int = 0
    cooling: Cooling | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What a plan needs to know of a job queue. `environments` are in the order of preference."""

    name: str
    priority: int
    usable: bool  # VALID; a DISABLED queue still lets its queued jobs finish
    environments: tuple[str, ...]
    shares: tuple[str, ...] = (FIFO_SHARE,)
    order: LaneOrder = FIFO

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """The lanes that hold the ready rows of this queue, one for each share."""
        return tuple(Lane(self.name, share) for share in self.shares)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that a plan is made from.

    `lanes` holds the first ready rows of each lane in rank order. `children` holds, for each array
    among them, how many children it has to dispatch. Without `permits` launches are not limited.
    """

    queues: tuple[Queue, ...]
    environments: Mapping[str, Environment]
    capacities: Mapping[str, Capacity]
    lanes: Mapping[Lane, tuple[Ready, ...]]
    children: Mapping[JobKey, int] = field(default_factory=dict)
    permits: LaunchPermits | None = None
    now_ms: int = 0
