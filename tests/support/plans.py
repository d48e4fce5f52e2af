"""Short forms for plans: ready rows, environments and queues, and what a plan says of them."""

from typing import Any

from chalicelib.core.lane import FIFO_SHARE, Lane
from chalicelib.core.ready import Ready
from chalicelib.core.scheduling.blocked import Why
from chalicelib.core.scheduling.cooling import Cooling
from chalicelib.core.scheduling.launch_permits import LaunchPermits
from chalicelib.core.scheduling.order import FIFO, LaneOrder
from chalicelib.core.scheduling.plan import Plan, make_plan
from chalicelib.core.scheduling.snapshot import (
    Capacity,
    Environment,
    Queue,
    Snapshot,
)
from chalicelib.core.task_size import TaskSize

VCPU = 1024


def ready(
    job_id: str,
    *,
    queue: str = "queue",
    share: str = FIFO_SHARE,
    vcpus: float = 1,
    age: int = 0,
    **members: Any,
) -> Ready:
    """Return the ready row of a waiting job; a greater `age` is an older job."""
    return Ready(
        queue=queue,
        share=share,
        rank=f"1#9999#{10_000 - age:013d}#{job_id}",
        job_id=job_id,
        cpu_units=round(vcpus * VCPU),
        created_at_ms=10_000 - age,
        **{"memory_mib": 2048, **members},
    )


def environment(
    name: str = "one",
    *,
    vcpus: int | None = 4,
    usable: bool = True,
    changing: bool = False,
    provisioning: int | None = None,
    instances: bool = False,
    holds: tuple[TaskSize, ...] = (),
    nodes: bool = True,
    spot: bool = False,
) -> Environment:
    return Environment(
        name=name,
        usable=usable,
        limit_cpu_units=None if vcpus is None else vcpus * VCPU,
        is_changing=changing,
        provisioning_limit=provisioning,
        is_on_instances=instances,
        holds=holds,
        runs_nodes=nodes,
        is_spot=spot,
    )


def queue(
    name: str = "queue",
    *,
    priority: int = 1,
    usable: bool = True,
    on: tuple[str, ...] = ("one",),
    shares: tuple[str, ...] = (FIFO_SHARE,),
    order: LaneOrder = FIFO,
) -> Queue:
    return Queue(
        name=name, priority=priority, usable=usable, environments=on, shares=shares, order=order
    )


def planned(
    *waiting: Ready,
    queues: tuple[Queue, ...] = (queue(),),
    environments: tuple[Environment, ...] = (environment(),),
    used: tuple[Capacity, ...] = (),
    window: int = 200,
    most: int = 100,
    permits: LaunchPermits | None = None,
    now_ms: int = 0,
) -> Plan:
    lanes = {
        lane: tuple(sorted((w for w in waiting if w.lane == lane), key=lambda w: w.rank))
        for one in queues
        for lane in one.lanes
    }
    snapshot = Snapshot(
        queues=queues,
        environments={one.name: one for one in environments},
        capacities={one.environment: one for one in used},
        lanes=lanes,
        permits=permits,
        now_ms=now_ms,
    )
    return make_plan(snapshot, starting_window=window, placements_limit=most)


def placed(plan: Plan) -> list[tuple[str, str]]:
    return [(one.ready.job_id, one.environment) for one in plan.placements]


def why(plan: Plan, name: str = "queue", share: str = FIFO_SHARE) -> tuple[str, Why]:
    blocked = plan.blocked[Lane(name, share)]
    assert blocked.sentence
    return blocked.ready.job_id, blocked.why


def sentence(plan: Plan) -> str:
    """Return what the user reads about the blocked head of the queue."""
    return plan.blocked[Lane.fifo("queue")].sentence


def in_use(
    name: str = "one", *, vcpus: float = 0, starting: int = 0, cooling: Cooling | None = None
) -> Capacity:
    return Capacity(
        environment=name,
        cpu_units=round(vcpus * VCPU),
        tasks=1,
        starting=starting,
        cooling=cooling,
    )
