"""Provision EC2 and SPOT environments: a group and a provider for each size, and their templates.

AWS actions; Auto Scaling checks RunInstances and PassRole when a group is given a template:
    autoscaling: CreateAutoScalingGroup CreateOrUpdateTags DeleteAutoScalingGroup SetDesiredCapacity
        DescribeAutoScalingGroups DescribeInstanceRefreshes SetInstanceProtection
        StartInstanceRefresh UpdateAutoScalingGroup
    ec2: CreateLaunchTemplate CreateLaunchTemplateVersion CreateTags DeleteLaunchTemplate
        DescribeImages DescribeInstanceTypes DescribeLaunchTemplateVersions DescribeLaunchTemplates
        DescribeSecurityGroups DescribeSubnets RunInstances TerminateInstances
    ecs: CreateCapacityProvider DeleteCapacityProvider DescribeCapacityProviders ListTasks StopTask
        TagResource UpdateCapacityProvider
    iam: GetInstanceProfile PassRole
    ssm: GetParameter
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chalicelib.core.instances.errors import UnusableResourcesError
from chalicelib.core.instances.groups import (
    ORDERED_STRATEGIES,
    Group,
    create_group_request,
    group_changes,
    group_members,
    group_size,
    outdated,
    tag_changes,
)
from chalicelib.core.instances.instance_types import InstanceType, resolve
from chalicelib.core.instances.launch_templates import TemplateVersion
from chalicelib.core.instances.managed import missing_tags
from chalicelib.core.instances.names import group_name, provider_name, template_name
from chalicelib.core.instances.providers import create_provider_request, update_provider_request
from chalicelib.core.instances.replacement import PREFERENCES, Next, next_of
from chalicelib.core.instances.size_classes import SizeClass, size_classes, within
from chalicelib.core.instances.sizes import registered_memory_mib
from chalicelib.core.instances.slots import (
    MOST_SLOTS,
    assign,
    largest,
    made_of,
    slot_of,
    slots_of,
)
from chalicelib.core.resources.compute_environment import ComputeEnvironment
from chalicelib.core.resources.updates import infrastructure_of
from chalicelib.core.task_size import TaskSize
from chalicelib.engine.provision.capacity import remember
from chalicelib.engine.provision.instance_types import known_types
from chalicelib.engine.provision.launch_templates import TemplateTask, ensure_templates
from chalicelib.ports import PassingError

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.core.resources.resource import Resource
    from chalicelib.ports import (
        Clock,
        HasAutoScaling,
        HasCatalog,
        HasEc2,
        HasEcs,
        HasParameters,
        HasPermissions,
        HasSettings,
    )

    class GroupsPorts(
        Clock,
        HasAutoScaling,
        HasCatalog,
        HasEc2,
        HasEcs,
        HasParameters,
        HasPermissions,
        HasSettings,
        Protocol,
    ):
        """What this module asks of the outside world."""


_TEMPLATE_NUMBERS = range(22)  # two for the default template and for each of ten overrides
_STOPPED = 100  # tasks that one run of `drain` stops
_DRAINED_REASON = "The compute environment is being deleted and has no instances."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What the groups of an environment are to be; `classes` by the number of the group."""

    environment: ComputeEnvironment
    cluster: str
    classes: tuple[SizeClass | None, ...]
    templates: Mapping[str, TemplateVersion]
    is_spot: bool

    @property
    def first(self) -> SizeClass | None:
        """The smallest class, which keeps minvCpus."""
        there = [one for one in self.classes if one is not None]
        return min(there, key=lambda one: (one.gpus, one.vcpus, one.memory_mib), default=None)


def make_groups(resource: Resource, ports: GroupsPorts, *, is_spot: bool) -> None:
    """Create or change templates, groups and providers, and replace instances that are outdated.

    Raises PassingError while instances are replaced, and UnusableResourcesError for what no try
    will make.
    """
    environment = ComputeEnvironment.from_resource(resource)
    cluster = ports.settings.cluster_of(environment.name)
    digest = _infrastructure_of(environment, is_spot=is_spot)
    latest = bool(environment.resources.get("updateToLatestImageVersion"))
    is_scaling = environment.made.get("of") == digest and not latest
    if not is_scaling:
        _require_what_is_named(environment.resources, ports)
    types = resolve(environment.resources["instanceTypes"], known_types(_names(environment), ports))
    classes = _classes_of(environment, types)
    # A launch needs to know the groups before it can choose one.
    made = {**environment.made, **made_of([slot_of(one) for one in classes])}
    resource = remember(resource, ports, holds=_holds(classes), made=made)
    task = TemplateTask(
        environment=environment,
        cluster=cluster,
        types=[each for one in classes if one is not None for each in one.types],
        is_spot=is_spot,
        images=environment.made.get("images") or {},
        keep=is_scaling,
    )
    templates = ensure_templates(task, ports)
    plan = _Plan(
        environment=environment,
        cluster=cluster,
        classes=classes,
        templates=templates.versions,
        is_spot=is_spot,
    )
    groups = _ensure_groups(plan, ports)
    _ensure_providers(plan, groups, ports)
    _raise_desired(plan, groups, ports)
    _replace_outdated(plan, groups, ports)
    asked = environment.resources.get("desiredvCpus", 0)
    made |= {"of": digest, "images": dict(templates.images), "desired": asked}
    remember(resource, ports, made=made)


def drain_groups(resource: Resource, ports: GroupsPorts) -> None:
    """Have the groups end all instances when their tasks have ended; PassingError until they have.

    Managed draining keeps an instance until its tasks have ended. Then whatever task is left waits
    for an instance that never comes, and is stopped.
    """
    cluster = ports.settings.cluster_of(resource.name)
    groups = ports.auto_scaling.find_groups(_group_names(cluster))
    for group in groups.values():
        if not group.is_being_deleted:
            _empty(group, ports)
    left = sum(len(group.instances) for group in groups.values())
    if left:
        raise PassingError(f"instances whose jobs still run, before they are terminated: {left}")
    tasks = ports.ecs.list_tasks(cluster)
    for task in tasks[:_STOPPED]:
        ports.ecs.stop_task(cluster, task, _DRAINED_REASON)
    if tasks:
        raise PassingError(f"tasks that wait for an instance, and are being stopped: {len(tasks)}")


def remove_groups(resource: Resource, ports: GroupsPorts) -> None:
    """Delete providers, groups and templates, in this order; PassingError until they are gone."""
    cluster = ports.settings.cluster_of(resource.name)
    providers = ports.ecs.find_providers(_provider_names(cluster))
    for provider in providers.values():
        if not provider.is_changing:
            ports.ecs.delete_provider(provider.name)
    providers = ports.ecs.find_providers(list(providers)) if providers else {}
    if providers:
        reasons = "; ".join(one.reason for one in providers.values() if one.reason)
        raise PassingError(f"ECS is deleting {', '.join(sorted(providers))}. {reasons}".strip())
    groups = ports.auto_scaling.find_groups(_group_names(cluster))
    for group in groups.values():
        if not group.is_being_deleted:
            ports.auto_scaling.delete_group(group.name)
    groups = ports.auto_scaling.find_groups(list(groups)) if groups else {}
    if groups:
        raise PassingError(f"Auto Scaling is deleting {', '.join(sorted(groups))}")
    names = [template_name(cluster, number) for number in _TEMPLATE_NUMBERS]
    for name in ports.ec2.list_templates(names):
        ports.ec2.delete_template(name)


def _names(environment: ComputeEnvironment) -> list[str]:
    return list(environment.resources["instanceTypes"])


def _group_names(cluster: str) -> list[str]:
    return [group_name(cluster, number) for number in range(MOST_SLOTS)]


def _provider_names(cluster: str) -> list[str]:
    return [provider_name(cluster, number) for number in range(MOST_SLOTS)]


def _infrastructure_of(environment: ComputeEnvironment, *, is_spot: bool) -> str:
    """Return a digest of all that an infrastructure update changes."""
    members = infrastructure_of(environment.resources)
    text = json.dumps([members, is_spot], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _require_what_is_named(resources: Mapping[str, Any], ports: GroupsPorts) -> None:
    """Raise UnusableResourcesError for a subnet, security group or profile that does not exist."""
    missing = ports.ec2.missing_subnets(resources["subnets"])
    if missing:
        raise UnusableResourcesError(
            f"The subnets {', '.join(missing)} do not exist. Correct subnets."
        )
    groups = resources.get("securityGroupIds") or []
    missing = ports.ec2.missing_security_groups(groups) if groups else []
    if missing:
        raise UnusableResourcesError(
            f"The security groups {', '.join(missing)} do not exist. Correct securityGroupIds."
        )
    profile = str(resources["instanceRole"]).rpartition("/")[2]
    if not ports.permissions.has_instance_profile(profile):
        raise UnusableResourcesError(
            f"There is no instance profile of the name {profile}. Create it with the role that the "
            "instances are to have, or correct instanceRole."
        )


def _classes_of(
    environment: ComputeEnvironment, types: Sequence[InstanceType]
) -> tuple[SizeClass | None, ...]:
    resources = environment.resources
    ordered = resources.get("allocationStrategy") in ORDERED_STRATEGIES
    most = int(resources["maxvCpus"])
    wanted = size_classes(
        types, least_vcpus=int(resources.get("minvCpus", 0)), most_vcpus=most, ordered=ordered
    )
    return assign(wanted, slots_of(environment.made), within(types, most), ordered=ordered)


def _holds(classes: Sequence[SizeClass | None]) -> list[TaskSize]:
    """Return the largest tasks that instances of these classes hold."""
    there = [one for one in classes if one is not None]
    return [
        TaskSize(
            cpu_units=one.vcpus * 1024,
            memory_mib=registered_memory_mib(one.memory_mib),
            gpus=one.gpus,
            architecture=one.architecture,
        )
        for one in largest(there)
    ]


def _ensure_groups(plan: _Plan, ports: GroupsPorts) -> dict[int, Group]:
    """Create or change the groups; return them as Auto Scaling shows them then, by number."""
    names = [group_name(plan.cluster, number) for number in range(len(plan.classes))]
    found = ports.auto_scaling.find_groups(names)
    changed = False
    for number, one in enumerate(plan.classes):
        group = found.get(names[number])
        if group is not None and group.is_being_deleted:
            raise PassingError(f"Auto Scaling is still deleting {group.name}")
        if one is None:
            changed |= group is not None and _retire(group, ports)
        else:
            changed |= _ensure_group(plan, one, names[number], group, ports)
    if changed:
        found = ports.auto_scaling.find_groups(names)
    missing = [n for n, one in zip(names, plan.classes, strict=True) if one and n not in found]
    if missing:
        raise PassingError(f"Auto Scaling does not show {', '.join(missing)} yet")
    return {number: found[name] for number, name in enumerate(names) if name in found}


def _ensure_group(
    plan: _Plan, one: SizeClass, name: str, group: Group | None, ports: GroupsPorts
) -> bool:
    """Create the group, or change what differs; return whether anything was done."""
    environment = plan.environment
    size = group_size(
        environment.resources,
        one,
        is_first=one == plan.first,
        may_grow=environment.state == "ENABLED",
        now=0 if group is None else group.desired,
    )
    templates = {each.name: plan.templates[each.name] for each in one.types}
    members = group_members(environment.resources, one, templates, size, is_spot=plan.is_spot)
    tags = environment.cluster_tags
    if group is None:
        ports.auto_scaling.create_group(create_group_request(name, members, size, tags))
        return True
    if tagged := tag_changes(group, tags):
        ports.auto_scaling.tag_group(name, tagged)
    changes = group_changes(group, members)
    if changes:
        ports.auto_scaling.update_group(name, changes)
    return bool(changes)


def _retire(group: Group, ports: HasAutoScaling) -> bool:
    """Let a group whose class is gone end, job by job; ECS unprotects instances that are idle."""
    changes = group_changes(group, {"MinSize": 0, "MaxSize": 0})
    if changes:
        ports.auto_scaling.update_group(group.name, changes)
    return bool(changes)


def _empty(group: Group, ports: HasAutoScaling) -> None:
    """Have the group end all its instances."""
    changes = group_changes(group, {"MinSize": 0, "MaxSize": 0, "DesiredCapacity": 0})
    if changes:
        ports.auto_scaling.update_group(group.name, changes)
    protected = [one.instance_id for one in group.instances if one.protected and not one.is_leaving]
    if protected:
        ports.auto_scaling.unprotect(group.name, protected)


def _ensure_providers(plan: _Plan, groups: Mapping[int, Group], ports: HasEcs) -> None:
    names = {number: provider_name(plan.cluster, number) for number in groups}
    found = ports.ecs.find_providers(list(names.values()))
    for number, name in names.items():
        provider = found.get(name)
        if provider is None:
            tags = plan.environment.cluster_tags
            ports.ecs.create_provider(create_provider_request(name, groups[number].arn, tags))
            continue
        if provider.is_changing:
            raise PassingError(f"ECS is still changing the capacity provider {name}")
        tags = plan.environment.cluster_tags
        if tagged := missing_tags(provider, tags):
            ports.ecs.tag(provider.arn, tagged)
        request = update_provider_request(provider)
        if request is not None:
            ports.ecs.update_provider(request)


def _raise_desired(plan: _Plan, groups: Mapping[int, Group], ports: HasAutoScaling) -> None:
    """Start what a new desiredvCpus asks for, once: from then on managed scaling decides."""
    asked = int(plan.environment.resources.get("desiredvCpus", 0))
    if plan.first is None or asked == int(plan.environment.made.get("desired", 0)):
        return
    group = groups[plan.classes.index(plan.first)]
    wanted = min(plan.first.instances_for(asked), int(group.shown["MaxSize"]))
    if wanted > group.desired:
        ports.auto_scaling.set_desired(group.name, wanted)


def _replace_outdated(plan: _Plan, groups: Mapping[int, Group], ports: GroupsPorts) -> None:
    """Replace the instances that are not as the plan says; PassingError until all are."""
    policy = plan.environment.shown.get("updatePolicy") or {}
    left = 0
    for number, group in groups.items():
        one = plan.classes[number]
        if one is None:
            continue
        old = outdated(group, {each.name: plan.templates[each.name] for each in one.types})
        if not old:
            continue
        refresh = ports.auto_scaling.find_refresh(group.name)
        what = next_of(old, refresh, policy, ports.now_ms())
        if what is Next.START:
            ports.auto_scaling.start_refresh(group.name, PREFERENCES)
        if what is Next.TERMINATE:
            ports.ec2.terminate([each.instance_id for each in old])
        left += 0 if what is Next.DONE else len(old)
    if left:
        raise PassingError(
            f"instances of the earlier configuration, which are being replaced: {left}"
        )
