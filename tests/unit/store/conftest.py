"""The stores alone: rows are written that no reaction is ever told of."""

from collections.abc import Iterator

import pytest

from chalicelib.wiring import Ports
from tests.support.both_stores import Both, both_stores
from tests.support.world import World


@pytest.fixture(name="ports")
def make_ports() -> Iterator[Ports]:
    """The stores over three empty tables."""
    made = World()
    yield made.ports
    made.stop_watching()


@pytest.fixture
def both() -> Iterator[Both]:
    """The stores in memory and over DynamoDB, each call made to both and compared."""
    with both_stores() as made:
        yield made
