"""The pools of capacity that the emulator's records describe: groups, and managed instances."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from math import inf
from typing import Any

from batchyard.cloud.fleet import documents
from batchyard.cloud.fleet.values import Pool, PoolId

Record = Mapping[str, Any]
# The group's own record of the time since which its instances are replaced, in its refreshes.
REFRESHED_AT = "_refreshed_at"


class PoolReader:
    """Reads pools from the emulator's modules of Auto Scaling, EC2 and ECS."""

    def __init__(self, *, autoscaling: Any, ec2: Any, ecs: Any) -> None:
        self._autoscaling, self._ec2, self._ecs = autoscaling, ec2, ecs

    def pools(self) -> Sequence[Pool]:
        """Return every pool that exists now."""
        groups = self._autoscaling._asgs.all_items()
        providers = self._ecs._capacity_providers.all_items()
        by_group = {
            (account, region, group_name(provider)): (name, provider)
            for (account, region, name), provider in providers
            if group_name(provider)
        }
        found = [
            self._group(PoolId(account=account, region=region, name=name), group, by_group)
            for (account, region, name), group in groups
        ]
        for (account, region, name), provider in providers:
            if provider.get("managedInstancesProvider"):
                pool = PoolId(account=account, region=region, name=name, is_managed=True)
                found.append(_managed(pool, provider))
        return found

    def _group(
        self,
        pool: PoolId,
        group: Record,
        by_group: Mapping[tuple[str, str, str | None], tuple[str, Record]],
    ) -> Pool:
        name, provider = by_group.get((pool.account, pool.region, pool.name), (None, {}))
        described = provider.get("autoScalingGroupProvider") or {}
        policy = group.get("MixedInstancesPolicy") or {}
        mixed = policy.get("LaunchTemplate") or {}
        distribution = policy.get("InstancesDistribution") or {}
        template = mixed.get("LaunchTemplateSpecification") or group.get("LaunchTemplate") or {}
        data = self._template_data(pool, template)
        overrides = mixed.get("Overrides") or []
        percent = int(distribution.get("OnDemandPercentageAboveBaseCapacity") or 100)
        if "OnDemandPercentageAboveBaseCapacity" in distribution:
            percent = int(distribution["OnDemandPercentageAboveBaseCapacity"])
        if (data.get("InstanceMarketOptions") or {}).get("MarketType") == "spot":
            percent = 0
        strategy = "SpotAllocationStrategy" if percent == 0 else "OnDemandAllocationStrategy"
        refreshes = [
            one[REFRESHED_AT]
            for one in group.get("InstanceRefreshes", [])
            if one["Status"] == "InProgress"
        ]
        return Pool(
            id=pool,
            types=documents.group_types(
                overrides, data.get("InstanceType"), str(distribution.get(strategy, ""))
            ),
            minimum=group["MinSize"],
            maximum=group["MaxSize"],
            desired=group["DesiredCapacity"],
            cluster=next(self._clusters(pool, template, overrides), None),
            provider=name,
            scales=(described.get("managedScaling") or {}).get("status") == "ENABLED",
            drains=described.get("managedDraining", "ENABLED") == "ENABLED",
            protects_new=bool(group["NewInstancesProtectedFromScaleIn"]),
            unprotects_idle=described.get("managedTerminationProtection") == "ENABLED",
            on_demand_base=int(distribution.get("OnDemandBaseCapacity") or 0),
            on_demand_percent=percent,
            zones=tuple(group["AvailabilityZones"]) or (f"{pool.region}a",),
            template=str(self._version(pool, template) or ""),
            refreshed_at=max(refreshes, default=None),
        )

    def _clusters(
        self, pool: PoolId, template: Record, overrides: Sequence[Record]
    ) -> Iterator[str]:
        """Return the clusters that user data of the group's templates name, its own first."""
        own = [one.get("LaunchTemplateSpecification") or {} for one in overrides]
        for one in (template, *own):
            data = self._template_data(pool, one)
            name = documents.cluster_of_user_data(str(data.get("UserData", "")))
            if name is not None:
                yield name

    def template_of(self, pool: PoolId, specification: Record) -> Record | None:
        """Return the launch template that a specification names, by id or by name."""
        wanted = {
            specification.get("LaunchTemplateId"),
            specification.get("LaunchTemplateName"),
        } - {None, ""}
        for (account, region, _), one in self._ec2._launch_templates.all_items():
            names = {one["LaunchTemplateId"], one["LaunchTemplateName"]}
            if (account, region) == (pool.account, pool.region) and wanted & names:
                record: Record = one
                return record
        return None

    def _version(self, pool: PoolId, specification: Record) -> int | None:
        template = self.template_of(pool, specification)
        if template is None:
            return None
        version = str(specification.get("Version") or "$Default")
        if version == "$Latest":
            return int(template["LatestVersionNumber"])
        return int(template["DefaultVersionNumber"] if version == "$Default" else version)

    def _template_data(self, pool: PoolId, specification: Record) -> Record:
        template, version = (
            self.template_of(pool, specification),
            self._version(pool, specification),
        )
        for one in template["Versions"] if template else []:
            if one["VersionNumber"] == version:
                data: Record = one["LaunchTemplateData"]
                return data
        return {}


def group_name(provider: Record) -> str | None:
    """Return the name of the Auto Scaling group of a capacity provider, if it has one."""
    arn = (provider.get("autoScalingGroupProvider") or {}).get("autoScalingGroupArn") or ""
    return arn.rpartition("autoScalingGroupName/")[2] or None


def pool_of_provider(account: str, region: str, name: str, provider: Record) -> PoolId | None:
    """Return the pool from which a provider's tasks get instances; None for Fargate's providers."""
    if provider.get("managedInstancesProvider"):
        return PoolId(account=account, region=region, name=name, is_managed=True)
    group = group_name(provider)
    return PoolId(account=account, region=region, name=group) if group else None


def _managed(pool: PoolId, provider: Record) -> Pool:
    described = provider["managedInstancesProvider"]
    template = described.get("instanceLaunchTemplate") or {}
    after = (described.get("infrastructureOptimization") or {}).get("scaleInAfter")
    return Pool(
        id=pool,
        types=documents.types_that_meet(template.get("instanceRequirements") or {}),
        minimum=0,
        maximum=sys.maxsize,
        desired=0,
        cluster=str(provider.get("cluster") or "").rpartition("/")[2] or None,
        provider=pool.name,
        scales=True,
        on_demand_percent=0 if template.get("capacityOptionType") == "SPOT" else 100,
        # A period that AWS counts in minutes would keep a laptop's fleet from ever getting smaller.
        idle_seconds=inf if after == -1 else None,
        zones=(f"{pool.region}a",),
    )
