"""What `batchyard local fleet` shows: each instance, what runs on it, and what waits for one.

Pure. The values are plain ones, to be sent as JSON.
"""

from typing import Any

from batchyard.cloud.fleet.fleet import Fleet
from batchyard.cloud.fleet.packing import first_that_holds
from batchyard.cloud.fleet.values import Instance, Pool, State, Waiting


def report(fleet: Fleet, pools: dict[str, Pool], now: float) -> dict[str, Any]:
    """Return the instances and the tasks that wait; `pools` by the name of their id."""
    return {
        "instances": [_instance(one, now) for one in fleet.instances.values()],
        "waiting": [
            {
                "task": one.arn,
                "cluster": one.cluster,
                "seconds": round(now - one.since, 1),
                "why": why_it_waits(fleet, one, pools.get(one.pool.name), now),
            }
            for one in fleet.waiting.values()
        ],
        "closed": {
            cluster: round(until - now)
            for cluster, until in fleet.no_capacity_until.items()
            if until > now
        },
    }


def why_it_waits(fleet: Fleet, waiting: Waiting, pool: Pool | None, now: float) -> str:
    """Return a sentence on what a task that is PROVISIONING waits for."""
    if pool is None:
        return "Its capacity provider has no Auto Scaling group."
    if pool.cluster is None:
        return "The user data of the group's launch template names no ECS_CLUSTER to join."
    if pool.cluster != waiting.cluster:
        return f"The group's instances join the cluster {pool.cluster}."
    if first_that_holds(pool.types)(waiting.need, 1) is None:
        need = waiting.need
        return (
            f"No instance type of the group holds {need.cpu_units} CPU units, {need.memory_mib} "
            f"MiB and {need.gpus} GPUs for {need.architecture or 'any architecture'}."
        )
    if fleet.no_capacity_until.get(waiting.cluster, 0.0) > now:
        return "There is no capacity: `batchyard local no-capacity` is in force."
    instances = fleet.of_pool(pool.id)
    if any(one.state is State.BOOTING for one in instances):
        return "An instance is booting."
    if len(instances) >= pool.maximum:
        return f"The group has its maximum of {pool.maximum} instances, and none has space."
    return "An instance is to be launched."


def _instance(one: Instance, now: float) -> dict[str, Any]:
    state, why = one.state.value, one.why
    if one.reclaimed_at is not None:
        state, why = "INTERRUPTED", f"goes in {max(0.0, one.reclaimed_at - now):.0f} s"
    elif one.state is State.ACTIVE and not one.tasks:
        why = f"idle for {now - one.idle_since:.0f} s"
    return {
        "id": one.id,
        "type": one.type.name,
        "cluster": one.cluster,
        "pool": one.pool.name,
        "spot": one.is_spot,
        "state": state,
        "tasks": list(one.tasks),
        "why": why,
        "age": round(now - one.launched_at, 1),
    }
