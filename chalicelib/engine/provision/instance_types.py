"""The instance types of a Region, kept in the catalog by family.

A family's types hardly ever change, so its row is good for a month, and an update asks EC2 for
families that it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from chalicelib.core.instances.instance_types import InstanceType, families_of
from chalicelib.core.resources.instance_family import InstanceFamily
from chalicelib.core.resources.resource import INSTANCE_FAMILY, Resource

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import Clock, HasCatalog, HasEc2

    class InstanceTypesPorts(Clock, HasCatalog, HasEc2, Protocol):
        """What this module asks of the outside world."""


KEPT_SECONDS = 30 * 24 * 3600


def known_types(names: Sequence[str], ports: InstanceTypesPorts) -> list[InstanceType]:
    """Return all types of the families that these members of `instanceTypes` belong to."""
    wanted = families_of(names)
    rows = ports.catalog.find_many(INSTANCE_FAMILY, wanted)
    oldest_ms = ports.now_ms() - KEPT_SECONDS * 1000
    families = map(InstanceFamily.from_resource, rows.values())
    found = {one.name: one for one in families if one.at_ms >= oldest_ms}
    asked = [family for family in wanted if family not in found]
    if asked:
        found |= _ask(asked, rows, ports)
    return [one for family in found.values() for one in family.types]


def _ask(
    names: Sequence[str], rows: Mapping[str, Resource], ports: InstanceTypesPorts
) -> dict[str, InstanceFamily]:
    types = ports.ec2.instance_types(names)
    found: dict[str, InstanceFamily] = {}
    for name in names:
        members = tuple(one for one in types if one.family == name)
        if not members:
            continue  # the Region may offer it tomorrow
        found[name] = InstanceFamily(name=name, types=members, at_ms=ports.now_ms())
        before = rows.get(name)
        # Closes the race with another environment's step: it wrote the same.
        ports.catalog.put(found[name].to_resource(before), replacing=before)
    return found
