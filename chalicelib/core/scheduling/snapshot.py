"""What the dispatcher sees: queues that share environments, their lanes' heads, and capacity.

Immutable values, read once per plan. The plan is made of them alone; whether it still holds is
found out by the conditions of the transaction that carries it out.
"""

from dataclasses import dataclass, field

from chalicelib.core.ids import JobKey
from chalicelib.core.job import Ready


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """A compute environment as placement sees it; `limit_cpu_units` None means no limit."""

    name: str
    usable: bool  # ENABLED and VALID (or being updated)
    limit_cpu_units: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What is in use in one environment: jobs STARTING or RUNNING, and how many are STARTING."""

    environment: str
    cpu_units: int = 0
    tasks: int = 0
    starting: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A job queue as placement sees it; `environments` in the order in which they are tried."""

    name: str
    priority: int
    usable: bool  # VALID; a DISABLED queue still lets its queued jobs finish
    environments: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that a plan is made of. `lanes` holds the heads of each queue's lane in rank order.

    `children` tells how many children each array among them has to dispatch.
    """

    queues: tuple[Queue, ...]
    environments: dict[str, Environment]
    capacities: dict[str, Capacity]
    lanes: dict[str, tuple[Ready, ...]]
    children: dict[JobKey, int] = field(default_factory=dict)
