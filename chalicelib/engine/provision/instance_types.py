"""The instance types of a Region, kept in the catalog by family.

A family's types hardly ever change, so its row is good for a month, and an update asks EC2 for
families that it does not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chalicelib.core.instances.instance_types import InstanceType, families_of
from chalicelib.core.resources.resource import INSTANCE_FAMILY, Resource

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import Clock, HasCatalog, HasEc2

    class InstanceTypesPorts(Clock, HasCatalog, HasEc2, Protocol):
        """What this module asks of the outside world."""


KEPT_SECONDS = 30 * 24 * 3600


def known_types(names: Sequence[str], ports: InstanceTypesPorts) -> list[InstanceType]:
    """Return all types of the families that these members of `instanceTypes` belong to."""
    families = families_of(names)
    rows = ports.catalog.find_many(INSTANCE_FAMILY, families)
    oldest_ms = ports.now_ms() - KEPT_SECONDS * 1000
    found = [row for row in rows.values() if int(row.document["at"]) >= oldest_ms]
    types = [one for row in found for one in _types_of(row)]
    asked = sorted({*families} - {row.name for row in found})
    if asked:
        types += _ask(asked, rows, ports)
    return types


def _ask(
    families: Sequence[str], rows: dict[str, Resource], ports: InstanceTypesPorts
) -> list[InstanceType]:
    types = ports.ec2.instance_types(families)
    for family in families:
        document = {
            "at": ports.now_ms(),
            "types": {one.name: one.to_row() for one in types if one.family == family},
        }
        if not document["types"]:
            continue  # the Region may offer it tomorrow
        before = rows.get(family)
        row = Resource(kind=INSTANCE_FAMILY, name=family, document=document)
        if before is not None:
            row = before.changed(document=document)
        # Closes the race with another environment's step: it wrote the same.
        ports.catalog.put(row, replacing=before)
    return types


def _types_of(row: Resource) -> list[InstanceType]:
    return [InstanceType.from_row(name, one) for name, one in row.document["types"].items()]
