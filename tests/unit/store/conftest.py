"""Fixtures for the stores alone: no function reacts to what is written."""

from collections.abc import Iterator

import pytest

from chalicelib.wiring import Ports
from tests.support.both_stores import Both, both_stores
from tests.support.world import World


@pytest.fixture(name="ports")
def make_ports() -> Iterator[Ports]:
    """Yield ports whose stores have three empty tables."""
    made = World()
    yield made.ports
    made.stop_watching()


@pytest.fixture
def both() -> Iterator[Both]:
    """Yield stores that make each call in memory and over DynamoDB, and compare the results."""
    with both_stores() as made:
        yield made
