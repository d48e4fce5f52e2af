"""Fixtures that every test may use, and the profiles of the property tests."""

import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.support.world import World, world

# Deterministic, so that a red gate is red for everyone; the machine's pace is no failure.
settings.register_profile(
    "gate",
    derandomize=True,
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow],
)
# Other examples in every run (`make test-slow`, which prints the seed to repeat a run with).
settings.register_profile(
    "random", settings.get_profile("gate"), derandomize=False, max_examples=300, print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))


@pytest.fixture
def no_logs() -> Iterator[None]:
    """For tests of hundreds of lives: their logs would cost more than the lives."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(name="world")
def make_world() -> Iterator[World]:
    """A stack of its own for one test, which must leave nothing unhandled."""
    with world() as made:
        yield made


@pytest.fixture(name="quick")
def make_quick_world() -> Iterator[World]:
    """The same over the stores in memory, for tables of many scenes."""
    with world(in_memory=True) as made:
        yield made


@pytest.fixture(params=["memory", "dynamodb"])
def any_world(request: pytest.FixtureRequest) -> Iterator[World]:
    """The same for a test that runs twice: over the stores in memory, and over DynamoDB."""
    with world(in_memory=request.param == "memory") as made:
        yield made
