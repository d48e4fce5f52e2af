"""Hundreds of lives a test: their logs would tell nobody anything, and cost more than the lives."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _no_logs() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
