"""Auto Scaling groups: how many instances, of which types, by which strategy, and what differs.

No instance weights: managed scaling of ECS refuses groups that have them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.core.instances.errors import UnusableResourcesError
from chalicelib.core.instances.launch_templates import TemplateVersion, tag_list
from chalicelib.core.instances.size_classes import SizeClass

ORDERED_STRATEGIES = frozenset(
    {"BEST_FIT_PROGRESSIVE_ORDERED", "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED"}
)
_ON_DEMAND = {"BEST_FIT_PROGRESSIVE_ORDERED": "prioritized"}
_SPOT = {
    "SPOT_CAPACITY_OPTIMIZED": "capacity-optimized",
    "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED": "capacity-optimized-prioritized",
    "SPOT_PRICE_CAPACITY_OPTIMIZED": "price-capacity-optimized",
}
_LOWEST_PRICE = "lowest-price"
_SUBNETS = "VPCZoneIdentifier"
_ON_DEMAND_PERCENT = 100
_MOST_REQUIREMENTS = 4  # sets of them in a group (API reference, LaunchTemplateOverrides)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSize:
    """The instances of a group: at least, at most, and at its creation."""

    least: int
    most: int
    desired: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupInstance:
    """An instance of a group. `template` is None for one that Auto Scaling shows without."""

    instance_id: str
    type_name: str
    lifecycle: str
    protected: bool
    template: TemplateVersion | None

    @property
    def is_leaving(self) -> bool:
        """Whether Auto Scaling is terminating it."""
        return self.lifecycle.startswith(("Terminat", "Detach"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group as Auto Scaling shows it; `shown` has the members of its API."""

    name: str
    arn: str
    shown: Mapping[str, Any]
    instances: tuple[GroupInstance, ...] = ()

    @property
    def desired(self) -> int:
        return int(self.shown.get("DesiredCapacity", 0))

    @property
    def is_being_deleted(self) -> bool:
        return bool(self.shown.get("Status"))


def group_size(
    resources: Mapping[str, Any], one: SizeClass, *, is_first: bool, may_grow: bool, now: int
) -> GroupSize:
    """Return the size of the group of a class.

    Its instances exceed maxvCpus by less than one instance. The first class keeps minvCpus, which
    a disabled environment does too. A group that may not grow keeps the `now` instances it has as
    its limit: its running jobs end there.
    """
    least = one.instances_for(int(resources.get("minvCpus", 0))) if is_first else 0
    most = max(one.instances_for(int(resources["maxvCpus"])), least)
    desired = one.instances_for(int(resources.get("desiredvCpus", 0))) if is_first else 0
    if not may_grow:
        most, desired = max(least, min(most, now)), 0
    return GroupSize(least=least, most=most, desired=min(max(least, desired), most))


def group_members(
    resources: Mapping[str, Any],
    one: SizeClass,
    templates: Mapping[str, TemplateVersion],
    size: GroupSize,
    *,
    is_spot: bool,
) -> dict[str, Any]:
    """Return the members that CreateAutoScalingGroup and UpdateAutoScalingGroup share.

    `templates` has the template that instances of each type start from.
    """
    return {
        "MinSize": size.least,
        "MaxSize": size.most,
        "MixedInstancesPolicy": {
            "LaunchTemplate": _launches(resources, one, templates, is_spot=is_spot),
            "InstancesDistribution": _distribution(resources, is_spot=is_spot),
        },
        "VPCZoneIdentifier": ",".join(resources["subnets"]),
        # Managed termination protection needs it: ECS says which instances may go.
        "NewInstancesProtectedFromScaleIn": True,
        "PlacementGroup": resources.get("placementGroup") or "",
    }


def create_group_request(
    name: str, members: Mapping[str, Any], size: GroupSize, tags: Mapping[str, str]
) -> dict[str, Any]:
    """Return the request of CreateAutoScalingGroup. Its instances have the template's tags."""
    taken = {member: value for member, value in members.items() if value != ""}
    tagged = [{**tag, "PropagateAtLaunch": False} for tag in tag_list(tags)]
    return {
        "AutoScalingGroupName": name,
        **taken,
        "DesiredCapacity": size.desired,
        "Tags": tagged,
    }


def group_changes(found: Group, members: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members that the group has otherwise: what UpdateAutoScalingGroup is to change.

    What Auto Scaling shows beyond them are its defaults.
    """
    shown = {**found.shown, "PlacementGroup": found.shown.get("PlacementGroup") or ""}
    wanted, subnets = members.get(_SUBNETS), str(shown.get(_SUBNETS))
    if set(subnets.split(",")) == set(str(wanted).split(",")):
        shown[_SUBNETS] = wanted  # in whatever order
    return {
        member: value for member, value in members.items() if not _shows(shown.get(member), value)
    }


def tag_changes(found: Group, tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that the group has otherwise, or not; those of others stay."""
    shown = {tag["Key"]: tag.get("Value", "") for tag in found.shown.get("Tags") or ()}
    return {key: value for key, value in tags.items() if shown.get(key) != value}


def outdated(found: Group, templates: Mapping[str, TemplateVersion]) -> list[GroupInstance]:
    """Return the instances of another type, or started from another template, than they should."""
    return [
        one
        for one in found.instances
        if one.type_name not in templates or one.template != templates[one.type_name]
    ]


def _shows(shown: Any, wanted: Any) -> bool:
    """Return whether what AWS shows has all that is wanted."""
    if isinstance(wanted, Mapping):
        return isinstance(shown, Mapping) and all(
            _shows(shown.get(member), value) for member, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(shown, list)
            and len(shown) == len(wanted)
            and all(_shows(has, value) for has, value in zip(shown, wanted, strict=True))
        )
    return bool(shown == wanted)


def _distribution(resources: Mapping[str, Any], *, is_spot: bool) -> dict[str, Any]:
    strategy = str(resources.get("allocationStrategy") or "BEST_FIT")
    distribution: dict[str, Any] = {
        "OnDemandAllocationStrategy": _ON_DEMAND.get(strategy, _LOWEST_PRICE),
        "OnDemandBaseCapacity": 0,
        "OnDemandPercentageAboveBaseCapacity": 100,
    }
    if is_spot:
        distribution["OnDemandPercentageAboveBaseCapacity"] = 0
        distribution["SpotAllocationStrategy"] = _SPOT.get(strategy, _LOWEST_PRICE)
    return distribution


def _launches(
    resources: Mapping[str, Any],
    one: SizeClass,
    templates: Mapping[str, TemplateVersion],
    *,
    is_spot: bool,
) -> dict[str, Any]:
    """Return the types, each with the template it starts from where that is another."""
    default = templates[one.types[0].name]
    # EC2's own limit is the On-Demand price: 100 %.
    percentage = int(resources.get("bidPercentage") or _ON_DEMAND_PERCENT)
    if is_spot and percentage < _ON_DEMAND_PERCENT:
        overrides = _by_price(resources, one, templates, percentage)
    else:
        overrides = [
            {"InstanceType": each.name, **_own(templates[each.name], default)} for each in one.types
        ]
    return {"LaunchTemplateSpecification": default.specification(), "Overrides": overrides}


def _own(template: TemplateVersion, default: TemplateVersion) -> dict[str, Any]:
    return {} if template == default else {"LaunchTemplateSpecification": template.specification()}


def _by_price(
    resources: Mapping[str, Any],
    one: SizeClass,
    templates: Mapping[str, TemplateVersion],
    percentage: int,
) -> list[dict[str, Any]]:
    """Return the types as requirements, the only form that takes a percentage of a price.

    SpotMaxPrice is in dollars, one for all types. Of types of one size, EC2 measures the percentage
    by the cheapest On-Demand price among them.
    """
    strategy = resources.get("allocationStrategy")
    if strategy == "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED":
        raise UnusableResourcesError(
            f"bidPercentage {percentage} cannot be combined with the allocation strategy {strategy}"
            ": Amazon EC2 Auto Scaling takes a percentage only for types without an order. Leave "
            "one of them out."
        )
    by_template: dict[TemplateVersion, list[str]] = {}
    for each in one.types:
        by_template.setdefault(templates[each.name], []).append(each.name)
    if len(by_template) > _MOST_REQUIREMENTS:
        raise UnusableResourcesError(
            f"bidPercentage {percentage} cannot be combined with launch template overrides for so "
            f"many types of one size: at most {_MOST_REQUIREMENTS} templates. Leave one of them "
            "out."
        )
    default = templates[one.types[0].name]
    return [
        {
            "InstanceRequirements": _requirements(one, names, percentage),
            **_own(template, default),
        }
        for template, names in by_template.items()
    ]


def _requirements(one: SizeClass, names: Sequence[str], percentage: int) -> dict[str, Any]:
    return {
        "VCpuCount": {"Min": one.vcpus, "Max": one.vcpus},
        "MemoryMiB": {"Min": one.memory_mib},
        "AllowedInstanceTypes": list(names),
        # Both are left out unless they are asked for; the names have been chosen already.
        "BareMetal": "included",
        "BurstablePerformance": "included",
        "MaxSpotPriceAsPercentageOfOptimalOnDemandPrice": percentage,
    }
