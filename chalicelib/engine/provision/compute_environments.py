"""Provision compute environments: each has an ECS cluster of its own.

What a compute type makes beside it is in `capacity_table.py`; its capacity providers are attached
after that, and detached before it is removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from chalicelib.core.cluster import Cluster, ClusterChanges, ClusterPlan, changes_between
from chalicelib.core.resources.compute_environment import ComputeEnvironment
from chalicelib.core.resources.resource import Resource
from chalicelib.engine.provision.capacity_table import (
    drain_capacity,
    make_capacity,
    remove_capacity,
)
from chalicelib.engine.provision.common import Step, accept, remove
from chalicelib.ports import PassingError

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import HasEcs, HasSettings

    class ComputeEnvironmentsPorts(HasEcs, HasSettings, Protocol):
        """What this module asks of the outside world."""


HEALTHY = "ComputeEnvironment Healthy"


class ClusterFailedError(Exception):
    """ECS could not attach the cluster's capacity providers; the message says what it shows."""


def make_cluster(resource: Resource, ports: ComputeEnvironmentsPorts) -> None:
    """Create the cluster, or change what differs, and see that its capacity providers are attached.

    Those that are made for it are attached later, by `attach_providers`. Raises PassingError while
    ECS carries out a change, and ClusterFailedError when it has failed to: the machine runs this
    step again.
    """
    plan = _plan_of(resource, ports)
    if _makes_capacity(resource):
        plan = replace(plan, providers=None)
    found = ports.ecs.find_cluster(plan.name)
    if found is None:
        ports.ecs.create_cluster(plan)
    else:
        _require_steady(found, plan)
        changes = changes_between(found, plan)
        ports.ecs.update_cluster(found, changes)
        if found.has_failed and plan.providers is not None:
            # The next try sees whether attaching them once more has helped.
            raise ClusterFailedError(_failure(plan, found))
        if changes.providers is None:
            return
    # Attaching takes a while; meanwhile RunTask refuses the capacity providers.
    _require_steady(ports.ecs.find_cluster(plan.name), plan)


def attach_providers(resource: Resource, ports: ComputeEnvironmentsPorts) -> None:
    """Attach the capacity providers that were made for the cluster, and see that they are.

    Raises as `make_cluster` does.
    """
    if _makes_capacity(resource):
        plan = _plan_of(resource, ports)
        _put_providers(plan, ports)


def detach_providers(resource: Resource, ports: ComputeEnvironmentsPorts) -> None:
    """Detach the capacity providers that were made for the cluster; PassingError until they are.

    A cluster that is gone has none.
    """
    if _makes_capacity(resource):
        plan = replace(_plan_of(resource, ports), providers=())
        if ports.ecs.find_cluster(plan.name) is not None:
            _put_providers(plan, ports)


def _put_providers(plan: ClusterPlan, ports: HasEcs) -> None:
    found = _require_steady(ports.ecs.find_cluster(plan.name), plan)
    changes = ClusterChanges(providers=changes_between(found, plan).providers)
    if changes.providers is None:
        return
    ports.ecs.update_cluster(found, changes)
    if found.has_failed:
        raise ClusterFailedError(_failure(plan, found))
    _require_steady(ports.ecs.find_cluster(plan.name), plan)


def _failure(plan: ClusterPlan, found: Cluster) -> str:
    done = "attach" if plan.providers else "detach"
    return f"ECS could not {done} {', '.join(plan.providers or found.providers)}"


def _require_steady(found: Cluster | None, plan: ClusterPlan) -> Cluster:
    if found is None:
        raise PassingError(f"ECS does not show the cluster {plan.name} yet")
    if found.is_changing:
        raise PassingError(f"ECS is still changing the cluster {plan.name}")
    return found


def _makes_capacity(resource: Resource) -> bool:
    compute_type = ComputeEnvironment.from_resource(resource).compute_type
    return compute_type.require_ecs().makes_capacity


def _plan_of(resource: Resource, ports: HasSettings) -> ClusterPlan:
    environment = ComputeEnvironment.from_resource(resource)
    cluster = ports.settings.cluster_of(environment.name)
    ecs = environment.compute_type.require_ecs()
    providers = ecs.capacity_providers(environment.target(cluster))
    return ClusterPlan(
        name=cluster,
        container_insights=environment.container_insights,
        tags=environment.cluster_tags,
        providers=None if providers is None else tuple(providers),
    )


def remove_cluster(resource: Resource, ports: ComputeEnvironmentsPorts) -> None:
    """Delete the cluster. Raises ClusterInUseError while tasks or instances are in it."""
    ports.ecs.delete_cluster(ports.settings.cluster_of(resource.name))


STEPS: Mapping[str, Step] = {
    "make_cluster": make_cluster,
    "make_capacity": make_capacity,
    "attach_providers": attach_providers,
    "accept": partial(accept, reason=HEALTHY),
    "drain_capacity": drain_capacity,
    "detach_providers": detach_providers,
    "remove_capacity": remove_capacity,
    "remove_cluster": remove_cluster,
    "remove": remove,
}
