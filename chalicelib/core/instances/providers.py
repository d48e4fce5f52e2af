"""Capacity providers of Auto Scaling groups: what is asked for, and what differs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A capacity provider as ECS shows it; `shown` has the members of its API."""

    name: str
    status: str
    update_status: str
    reason: str  # why the last change failed
    shown: Mapping[str, Any]

    @property
    def arn(self) -> str:
        """The provider's ARN."""
        return str(self.shown["capacityProviderArn"])

    @property
    def tags(self) -> dict[str, str]:
        """The provider's tags by name."""
        return {tag["key"]: tag.get("value", "") for tag in self.shown.get("tags") or ()}

    @property
    def is_changing(self) -> bool:
        """Whether ECS still carries out an earlier change."""
        return self.update_status.endswith("_IN_PROGRESS") or self.status.endswith("PROVISIONING")


# Full use of what is there, no instance with tasks terminated, and tasks moved off one that goes.
_SETTINGS: Mapping[str, Any] = {
    "managedScaling": {"status": "ENABLED", "targetCapacity": 100},
    "managedTerminationProtection": "ENABLED",
    "managedDraining": "ENABLED",
}


def create_provider_request(name: str, group_arn: str, tags: Mapping[str, str]) -> dict[str, Any]:
    """Return the request of CreateCapacityProvider."""
    request: dict[str, Any] = {
        "name": name,
        "autoScalingGroupProvider": {"autoScalingGroupArn": group_arn, **_SETTINGS},
    }
    if tags:
        request["tags"] = [{"key": key, "value": value} for key, value in tags.items()]
    return request


def update_provider_request(found: Provider) -> dict[str, Any] | None:
    """Return the request of UpdateCapacityProvider; None where nothing differs."""
    shown = found.shown.get("autoScalingGroupProvider") or {}
    scaling = shown.get("managedScaling") or {}
    wanted = _SETTINGS["managedScaling"]
    same = all(shown.get(name) == _SETTINGS[name] for name in _SETTINGS if name != "managedScaling")
    if same and all(scaling.get(name) == value for name, value in wanted.items()):
        return None
    return {"name": found.name, "autoScalingGroupProvider": dict(_SETTINGS)}
