"""A family of instance types comes back from its row as it was."""

import pytest

from chalicelib.core.resources.instance_family import InstanceFamily
from tests.support.instance_types import all_types


@pytest.mark.parametrize("name", ["m6i", "c7g", "g5", "t2"])
def test_a_family_comes_back_from_its_row(name: str) -> None:
    types = tuple(one for one in all_types() if one.family == name)
    family = InstanceFamily(name=name, types=types, at_ms=1_800_000_000_000)
    row = family.to_resource(None)
    assert InstanceFamily.from_resource(row) == family
    later = InstanceFamily(name=name, types=types[:1], at_ms=1_900_000_000_000)
    replaced = later.to_resource(row)
    assert replaced.version == row.version + 1
    assert InstanceFamily.from_resource(replaced) == later
