"""What an update makes of `computeResources`, and whether it replaces instances.

The rules are those of UpdateComputeEnvironment (API reference) and of "Updating compute
environments" (AWS Batch user guide).
"""

from collections.abc import Mapping
from typing import Any

from chalicelib.core.errors import ClientError

# What a scaling update changes; anything else is an infrastructure update.
SCALING_MEMBERS = frozenset({"minvCpus", "maxvCpus", "desiredvCpus", "scalingPolicy"})
# Asked for with one update, and not a property of the environment.
_OF_ONE_UPDATE = frozenset({"updateToLatestImageVersion"})


def infrastructure_of(resources: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members whose change is an infrastructure update."""
    left_out = SCALING_MEMBERS | _OF_ONE_UPDATE
    return {name: value for name, value in resources.items() if name not in left_out}


def merge(current: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the current members with those that were given."""
    return {**current, **given}


def merge_without_empty(current: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the current members with those that were given; an empty one changes nothing."""
    return {**current, **{name: value for name, value in given.items() if value not in ("", [])}}


def merge_instances(current: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the current members with those that were given; an empty one removes the member.

    desiredvCpus only move upward. Those of an earlier request give way to new limits. Raises
    ClientError for what AWS does not change.
    """
    wanted = {name: value for name, value in current.items() if name not in _OF_ONE_UPDATE}
    wanted |= given
    wanted = {name: value for name, value in wanted.items() if value not in ("", [], {})}
    least, most = int(wanted.get("minvCpus", 0)), int(wanted["maxvCpus"])
    if "desiredvCpus" in given:
        if given["desiredvCpus"] < current.get("desiredvCpus", 0):
            raise ClientError(
                "Manually scaling down compute environment is not supported. Disconnecting job "
                "queues from compute environment will cause it to scale-down to minvCpus."
            )
    elif "desiredvCpus" in current and least <= most:
        wanted["desiredvCpus"] = min(max(int(current["desiredvCpus"]), least), most)
    _refuse_best_fit(current, wanted)
    return wanted


def merge_managed_provider(current: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the current members with those that were given, also inside of the provider."""
    wanted = {**current, **given}
    change = given.get("managedInstancesProvider")
    if change is not None:
        provider = current["managedInstancesProvider"]
        template = {
            **provider["instanceLaunchTemplate"],
            **change.get("instanceLaunchTemplate", {}),
        }
        wanted["managedInstancesProvider"] = {
            **provider,
            **change,
            "instanceLaunchTemplate": template,
        }
    return wanted


def infrastructure_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the members that differ and for which instances are replaced, sorted.

    An update without any is a scaling update. An update to the latest image always has one.
    """
    old, new = infrastructure_of(before), infrastructure_of(after)
    changed = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
    return tuple(sorted(changed | {name for name in _OF_ONE_UPDATE if after.get(name)}))


def _refuse_best_fit(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    changes = infrastructure_changes(current, wanted)
    if changes and current.get("allocationStrategy", "BEST_FIT") == "BEST_FIT":
        raise ClientError(
            f"Following fields [{', '.join(changes)}] can not be updated for a Compute Environment "
            "with allocation strategy BEST_FIT. Create a new Compute Environment instead."
        )
