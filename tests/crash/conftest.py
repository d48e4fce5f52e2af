"""Hundreds of lives a test: their logs would tell nobody anything."""

import pytest


@pytest.fixture(autouse=True)
def _no_logs(no_logs: None) -> None:
    """Every test here is without them."""
