"""The rules for the consumable resources that a job asks for.

Whether they exist and are free is known to the store and the scheduler.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalicelib.core.errors import ClientError

_MOST_RESOURCES = 5


def validate_consumables(properties: Mapping[str, Any]) -> None:
    """Refuse more than five resources, duplicates, and quantities below one."""
    resources = properties.get("consumableResourceList", [])
    if len(resources) > _MOST_RESOURCES:
        raise ClientError(
            f"Each ConsumableResourceProperty can have at most {_MOST_RESOURCES} "
            "consumableResources"
        )
    names = [resource.get("consumableResource") for resource in resources]
    if not all(names):
        raise ClientError("consumableResource is required in consumableResourceProperties")
    if len(set(names)) != len(names):
        raise ClientError(
            "Cannot have duplicate consumableResource in consumableResourceProperties"
        )
    for resource in resources:
        if resource.get("quantity", 1) < 1:
            raise ClientError("quantity of a consumableResource must be at least 1.")
