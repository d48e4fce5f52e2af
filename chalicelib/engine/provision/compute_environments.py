"""Provision compute environments: each has an ECS cluster of its own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from chalicelib.core.resources.compute_environment import ComputeEnvironment
from chalicelib.core.resources.resource import Resource
from chalicelib.engine.provision.common import Step, accept, remove

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import HasEcs, HasSettings

    class ComputeEnvironmentsPorts(HasEcs, HasSettings, Protocol):
        """What this module asks of the outside world."""


HEALTHY = "ComputeEnvironment Healthy"


def make_cluster(resource: Resource, ports: ComputeEnvironmentsPorts) -> None:
    """Create the cluster, or update it, with its capacity providers and settings."""
    environment = ComputeEnvironment.from_resource(resource)
    cluster = ports.settings.cluster_of(environment.name)
    ecs = environment.compute_type.require_ecs()
    ports.ecs.make_cluster(
        cluster,
        capacity_providers=list(ecs.capacity_providers(environment.target(cluster))),
        container_insights=environment.container_insights,
        tags=environment.cluster_tags,
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
