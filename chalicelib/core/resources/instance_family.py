"""A family of instance types, made from and written to its row of the catalog."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.core.instances.instance_types import InstanceType
from chalicelib.core.resources.resource import INSTANCE_FAMILY, Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceFamily:
    """The types of a family that the Region offered `at_ms`."""

    name: str
    types: tuple[InstanceType, ...]
    at_ms: int

    @classmethod
    def from_resource(cls, resource: Resource) -> "InstanceFamily":
        """Return the family of a row."""
        types = resource.document["types"].items()
        return cls(
            name=resource.name,
            types=tuple(_type_from_row(name, row) for name, row in types),
            at_ms=int(resource.document["at"]),
        )

    def to_resource(self, replacing: Resource | None) -> Resource:
        """Return the row of the family, which may replace the one that was read."""
        document = {"at": self.at_ms, "types": {one.name: _row_of(one) for one in self.types}}
        if replacing is not None:
            return replacing.changed(document=document)
        return Resource(kind=INSTANCE_FAMILY, name=self.name, document=document)


def _row_of(one: InstanceType) -> list[Any]:
    return [one.vcpus, one.memory_mib, one.gpus, one.architecture]


def _type_from_row(name: str, row: Sequence[Any]) -> InstanceType:
    vcpus, memory_mib, gpus, architecture = row
    return InstanceType(
        name=name,
        vcpus=int(vcpus),
        memory_mib=int(memory_mib),
        gpus=int(gpus),
        architecture=str(architecture),
    )
