"""Provision ECS_MANAGED_INSTANCES environments: a capacity provider of the cluster's own.

ECS starts, replaces and ends the instances. AWS actions:
    ec2: DescribeInstanceTypes
    ecs: CreateCapacityProvider DeleteCapacityProvider DescribeCapacityProviders DescribeClusters
        ListTasks TagResource UpdateCapacityProvider
    iam: PassRole (the infrastructure role to ECS, the role of the instance profile to EC2)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.instances.managed import (
    create_managed_provider,
    largest_tasks,
    missing_tags,
    named_types,
    update_managed_provider,
)
from chalicelib.core.instances.names import provider_name
from chalicelib.core.resources.compute_environment import ComputeEnvironment
from chalicelib.engine.provision.capacity import remember, require_no_tasks
from chalicelib.engine.provision.instance_types import known_types
from chalicelib.ports import PassingError

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.core.instances.providers import Provider
    from chalicelib.core.resources.resource import Resource
    from chalicelib.ports import Clock, HasCatalog, HasEc2, HasEcs, HasSettings

    class ManagedInstancesPorts(Clock, HasCatalog, HasEc2, HasEcs, HasSettings, Protocol):
        """What this module asks of the outside world."""


class ProviderFailedError(Exception):
    """ECS could not create, change or delete the capacity provider; the message says why."""


def make_managed(resource: Resource, ports: ManagedInstancesPorts) -> None:
    """Create the capacity provider, or change what differs; PassingError until it is active.

    Raises ProviderFailedError where ECS could not do it, after it was asked once more: the next run
    sees whether that has helped.
    """
    environment = ComputeEnvironment.from_resource(resource)
    cluster = ports.settings.cluster_of(environment.name)
    name = provider_name(cluster)
    given = environment.resources["managedInstancesProvider"]
    names = named_types(given)
    types = known_types(names, ports) if names else ()
    remember(resource, ports, holds=largest_tasks(names, types))
    tags = {**environment.cluster_tags, **(environment.resources.get("capacityTags") or {})}
    found = _find(name, ports)
    if found is None:
        ports.ecs.create_provider(create_managed_provider(name, cluster, given, tags))
        found = _require_active(_find(name, ports), name)
        if found.update_status == "CREATE_FAILED":
            raise ProviderFailedError(_failure("create", found))
        return
    if found.update_status == "CREATE_FAILED":
        ports.ecs.delete_provider(name, cluster)
        raise ProviderFailedError(_failure("create", found))
    _require_active(found, name)
    request = update_managed_provider(found, cluster, given)
    if request is not None:
        ports.ecs.update_provider(request)
    missing = missing_tags(found, tags)
    if missing:
        ports.ecs.tag(found.arn, missing)
    if request is not None:
        changed = _require_active(_find(name, ports), name)
        if "UPDATE_FAILED" in (found.update_status, changed.update_status):
            raise ProviderFailedError(_failure("change", changed))


def drain_managed(resource: Resource, ports: ManagedInstancesPorts) -> None:
    """Wait until no task is left in the cluster; PassingError until then."""
    require_no_tasks(ports.settings.cluster_of(resource.name), ports)


def remove_managed(resource: Resource, ports: ManagedInstancesPorts) -> None:
    """Delete the capacity provider; PassingError until it and its instances are gone."""
    cluster = ports.settings.cluster_of(resource.name)
    name = provider_name(cluster)
    found = _find(name, ports)
    if found is None:
        return
    if not found.is_changing:
        ports.ecs.delete_provider(name, cluster)
        if found.update_status == "DELETE_FAILED":
            raise ProviderFailedError(_failure("delete", found))
        found = _find(name, ports)
    if found is not None:
        raise PassingError(f"ECS is still ending the instances of the capacity provider {name}")


def _find(name: str, ports: HasEcs) -> Provider | None:
    return ports.ecs.find_providers([name]).get(name)


def _require_active(found: Provider | None, name: str) -> Provider:
    if found is None:
        raise PassingError(f"ECS does not show the capacity provider {name} yet")
    if found.is_changing:
        raise PassingError(f"ECS is still changing the capacity provider {name}")
    return found


def _failure(what: str, found: Provider) -> str:
    return f"ECS could not {what} the capacity provider {found.name}: {found.reason}"
