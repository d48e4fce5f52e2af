"""Transactions: the numbers of the actions whose conditions did not hold."""

from typing import Any

from pynamodb.connection import Connection

from chalicelib.store.tables import CatalogRow
from chalicelib.store.transactions import Action, transact
from chalicelib.wiring import Ports
from tests.support.tables import connection


def put(name: str, condition: Any = None) -> Action:
    return lambda transaction: transaction.save(CatalogRow("kind", name), condition=condition)


def add(name: str, condition: Any = None) -> Action:
    return lambda transaction: transaction.update(
        CatalogRow("kind", name), actions=[CatalogRow.used_by.add(1)], condition=condition
    )


def delete(name: str, condition: Any = None) -> Action:
    return lambda transaction: transaction.delete(CatalogRow("kind", name), condition=condition)


def test_refused_actions_are_numbered_as_added_whatever_the_order_of_sending(ports: Ports) -> None:
    """PynamoDB sends deletions before puts and puts before updates."""
    present, absent = CatalogRow.kind.exists(), CatalogRow.kind.does_not_exist()
    shared: Connection = ports.connection
    transact(shared, [put("there"), put("too")])
    actions = [
        add("a", absent),
        put("b", present),  # refused
        delete("there", present),
        put("c", absent),
        add("too", absent),  # refused
        delete("d", present),  # refused
        put("e"),
    ]
    assert transact(shared, actions) == (1, 4, 5)
    names = {row.name for row in CatalogRow.query("kind", consistent_read=True)}
    assert names == {"there", "too"}


def test_the_models_share_one_connection(ports: Ports) -> None:
    assert ports.connection is connection()
