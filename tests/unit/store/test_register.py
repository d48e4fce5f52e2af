"""The register of access patterns lists exactly the methods of the stores."""

import re

import pytest

import chalicelib.store
from chalicelib.store.bundles import DynamoBundleStore
from chalicelib.store.catalog import DynamoCatalogStore
from chalicelib.store.firings import DynamoFiringStore
from chalicelib.store.jobs import DynamoJobStore
from chalicelib.store.lanes import DynamoLaneStore
from chalicelib.store.overlap_locks import DynamoOverlapLockStore
from chalicelib.store.tables import JobRow
from tests.support import stack

REGISTER = chalicelib.store.__doc__ or ""
STORES: dict[str, type] = {
    "JobStore": DynamoJobStore,
    "LaneStore": DynamoLaneStore,
    "CatalogStore": DynamoCatalogStore,
    "OverlapLockStore": DynamoOverlapLockStore,
    "FiringStore": DynamoFiringStore,
    "BundleStore": DynamoBundleStore,
}


def registered() -> set[tuple[str, str]]:
    return set(re.findall(rf"\b({'|'.join(STORES)})\.(\w+)", REGISTER))


@pytest.mark.parametrize("name", STORES)
def test_the_register_lists_the_methods_of_each_store(name: str) -> None:
    methods = {method for method in vars(STORES[name]) if not method.startswith("_")}
    assert {method for store, method in registered() if store == name} == methods


def test_every_pattern_names_its_key_consistency_and_bound() -> None:
    rows = [line.split("|") for line in REGISTER.splitlines() if line.startswith("| ")]
    assert len(rows) > 10
    for row in rows:
        cells = [cell.strip() for cell in row[1:-1]]
        assert len(cells) == 5, row
        assert all(cells), row


def test_the_indexes_of_the_register_are_those_of_the_stack() -> None:
    declared = stack.properties("JobsTable")["GlobalSecondaryIndexes"]
    names = {index["IndexName"] for index in declared}
    assert names == {JobRow.by_status.Meta.index_name}
    for name in names:
        assert name in REGISTER
