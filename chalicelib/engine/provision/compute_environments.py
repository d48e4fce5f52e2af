"""Provision compute environments: each has an ECS cluster of its own."""

from collections.abc import Mapping
from functools import partial

from chalicelib.core.resources.resource import Resource
from chalicelib.engine.provision.common import Step, accept, remove
from chalicelib.wiring import Ports

HEALTHY = "ComputeEnvironment Healthy"


def make_cluster(resource: Resource, ports: Ports) -> None:
    """Create the cluster, or update it, with its capacity providers and settings."""
    compute = resource.document.get("computeResources") or {}
    insights = (resource.document.get("ecsSettings") or {}).get("containerInsights", "DISABLED")
    ports.ecs.make_cluster(
        ports.settings.cluster_of(resource.name),
        capacity_providers=[compute["type"]] if compute else [],
        container_insights=str(insights).lower(),
        tags={**resource.tags, **(compute.get("tags") or {})},
    )


def remove_cluster(resource: Resource, ports: Ports) -> None:
    """Delete the cluster. Raises ClusterInUseError while tasks or instances are in it."""
    ports.ecs.delete_cluster(ports.settings.cluster_of(resource.name))


STEPS: Mapping[str, Step] = {
    "make_cluster": make_cluster,
    "accept": partial(accept, reason=HEALTHY),
    "remove_cluster": remove_cluster,
    "remove": remove,
}
