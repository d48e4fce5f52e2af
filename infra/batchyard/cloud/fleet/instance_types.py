"""The instance types of the local cloud, with the facts that AWS publishes about them.

The table has the families of `optimal`, `default_x86_64` and `default_arm64`, GPU families, and
those that people name most. A row is vCPUs, MiB, architecture, and for GPU types how many of which
GPU with how many MiB each.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

TABLE_FILE = Path(__file__).with_name("instance_types.json")
CPU_UNITS = 1024  # of a vCPU, as ECS counts
# What a vCPU, a GiB and a GPU cost in proportion to one another, roughly as in EC2's price list.
_VCPU_PRICE, _GIB_PRICE, _GPU_PRICE = 36.0, 3.0, 500.0


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceType:
    """One type. `memory_mib` is nominal: what an instance registers with ECS is less."""

    name: str
    vcpus: int
    memory_mib: int
    architecture: str
    gpus: int = 0
    gpu_name: str = ""
    gpu_memory_mib: int = 0

    @property
    def family(self) -> str:
        return self.name.partition(".")[0]

    @property
    def is_metal(self) -> bool:
        return ".metal" in self.name

    @property
    def price_index(self) -> float:
        """Return a number that orders types by price; it is no price."""
        gib = self.memory_mib / 1024
        return self.vcpus * _VCPU_PRICE + gib * _GIB_PRICE + self.gpus * _GPU_PRICE


@lru_cache(maxsize=1)
def table() -> dict[str, InstanceType]:
    """Return every known type by its name."""
    rows: dict[str, list[int | str]] = json.loads(TABLE_FILE.read_text())
    return {name: _from_row(name, row) for name, row in rows.items()}


def matching(names: Iterable[str]) -> list[InstanceType]:
    """Return the types of these names, in which `*` stands for any text, in the table's order."""
    patterns = list(names)
    return [
        one
        for one in table().values()
        if any(fnmatchcase(one.name, pattern) for pattern in patterns)
    ]


def _from_row(name: str, row: list[int | str]) -> InstanceType:
    gpus, gpu_name, gpu_memory_mib = row[3:] or (0, "", 0)
    return InstanceType(
        name=name,
        vcpus=int(row[0]),
        memory_mib=int(row[1]),
        architecture=str(row[2]),
        gpus=int(gpus),
        gpu_name=str(gpu_name),
        gpu_memory_mib=int(gpu_memory_mib),
    )
