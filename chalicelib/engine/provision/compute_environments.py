"""Provision compute environments: each has an ECS cluster of its own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from chalicelib.core.cluster import Cluster, ClusterPlan, changes_between
from chalicelib.core.resources.compute_environment import ComputeEnvironment
from chalicelib.core.resources.resource import Resource
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

    Raises PassingError while ECS carries out a change, and ClusterFailedError when it has failed
    to: the machine runs this step again.
    """
    plan = _plan_of(resource, ports)
    found = ports.ecs.find_cluster(plan.name)
    if found is None:
        ports.ecs.create_cluster(plan)
    else:
        _require_steady(found, plan)
        changes = changes_between(found, plan)
        ports.ecs.update_cluster(found, changes)
        if found.has_failed:
            # The next try sees whether attaching them once more has helped.
            raise ClusterFailedError(f"ECS could not attach {', '.join(found.providers)}")
        if changes.providers is None:
            return
    # Attaching takes a while; meanwhile RunTask refuses the capacity providers.
    _require_steady(ports.ecs.find_cluster(plan.name), plan)


def _require_steady(found: Cluster | None, plan: ClusterPlan) -> None:
    if found is None:
        raise PassingError(f"ECS does not show the cluster {plan.name} yet")
    if found.is_changing:
        raise PassingError(f"ECS is still changing the cluster {plan.name}")


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
    "accept": partial(accept, reason=HEALTHY),
    "remove_cluster": remove_cluster,
    "remove": remove,
}
