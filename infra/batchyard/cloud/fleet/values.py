"""What the fleet knows: pools of capacity, instances, and tasks that wait for one."""

from dataclasses import dataclass, field
from enum import Enum

from batchyard.cloud.fleet.instance_types import InstanceType
from batchyard.cloud.fleet.packing import Capacity, TaskNeed, registered


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class PoolId:
    """Names a pool: an Auto Scaling group, or a provider of managed instances (`is_managed`)."""

    account: str
    region: str
    name: str
    is_managed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Where instances come from, as it is described in the emulator now.

    `types` are in the order in which they are launched. Of `desired` instances, `on_demand_base`
    and then `on_demand_percent` of the others are On-Demand, the rest Spot. `cluster` is the one
    that the instances join, if they join any. Without managed scaling (`scales`) the fleet never
    moves `desired`. A refresh replaces instances that were launched before `refreshed_at`.
    """

    id: PoolId
    types: tuple[InstanceType, ...]
    minimum: int
    maximum: int
    desired: int
    cluster: str | None
    provider: str | None
    scales: bool
    drains: bool = True
    protects_new: bool = False
    unprotects_idle: bool = False
    on_demand_base: int = 0
    on_demand_percent: int = 100
    idle_seconds: float | None = None  # None: the fleet's setting; infinite: never
    zones: tuple[str, ...] = ("us-east-1a",)
    template: str = ""
    refreshed_at: float | None = None


class State(Enum):
    """The life of an instance. The lifecycle states of Auto Scaling are derived from it."""

    BOOTING = "BOOTING"
    ACTIVE = "ACTIVE"
    DRAINING = "DRAINING"  # takes no new task, and leaves when the last one has ended


@dataclass(slots=True, kw_only=True)
class Instance:
    """One pretended instance, and the tasks on it. Times are seconds since the epoch."""

    id: str
    type: InstanceType
    pool: PoolId
    cluster: str | None
    is_spot: bool
    zone: str
    launched_at: float
    why: str
    is_protected: bool
    template: str = ""
    state: State = State.BOOTING
    ready_at: float = 0.0
    idle_since: float = 0.0
    reclaimed_at: float | None = None  # when an interrupted Spot instance goes
    accepts: bool = True  # False: ECS was asked to drain it
    tasks: dict[str, TaskNeed] = field(default_factory=dict)

    @property
    def container_instance_id(self) -> str:
        """Return the id that ECS knows it by, from which the agent derives the instance's id."""
        return (self.id.removeprefix("i-") + "0" * 32)[:32]

    @property
    def left(self) -> Capacity:
        """Return what the instance has left for further tasks."""
        capacity = registered(self.type)
        for need in self.tasks.values():
            capacity = capacity.without(need)
        return capacity

    @property
    def is_open(self) -> bool:
        """Return whether tasks can be placed on it."""
        return self.state is State.ACTIVE and self.accepts and self.cluster is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A task that is PROVISIONING. `arn` names it, `provider` says whose instances it waits for."""

    arn: str
    pool: PoolId
    cluster: str
    need: TaskNeed
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """A scaling activity of a group, as DescribeScalingActivities shows it."""

    id: str
    group: PoolId
    description: str
    cause: str
    at: float
    failure: str | None = None
