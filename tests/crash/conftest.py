"""Fixtures of the crash tests."""

import pytest


@pytest.fixture(autouse=True)
def _no_logs(no_logs: None) -> None:
    """Silence the logs: each test runs hundreds of stories, whose logs say nothing useful."""
