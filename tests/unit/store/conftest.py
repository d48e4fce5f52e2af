"""The stores alone: rows are written that no reaction is ever told of."""

from collections.abc import Iterator

import pytest

from chalicelib.wiring import Ports
from tests.support.world import World


@pytest.fixture(name="ports")
def make_ports() -> Iterator[Ports]:
    """The stores over three empty tables."""
    made = World()
    yield made.ports
    made.stop_watching()
