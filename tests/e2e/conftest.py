"""One local cloud for all end-to-end tests of a session, on a port and in a folder of its own."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.early_jobs import EarlyJobs, submit_early
from tests.e2e.guarded_cloud import guarded_cloud, refused
from tests.e2e.world import World, batchyard


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Return the cloud, in which every role has the stack's policies and no more."""
    with guarded_cloud(tmp_path_factory.mktemp("cloud")) as guarded:
        yield guarded
        assert refused(guarded) == []


@pytest.fixture(scope="session")
def early_jobs(cloud: World) -> EarlyJobs:
    return submit_early(cloud)


@pytest.fixture(scope="session")
def world(cloud: World, early_jobs: EarlyJobs) -> World:
    """Return the cloud, in which the early jobs are under way."""
    return cloud


@pytest.fixture(scope="session")
def client_env(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of a shell that has evaluated what `batchyard env` prints."""
    exports = batchyard("env", "--state-dir", str(world.state_dir)).stdout
    home = tmp_path_factory.mktemp("home")
    return _environment_after(exports, {"PATH": os.environ["PATH"], "HOME": str(home)})


def _environment_after(script: str, before: dict[str, str]) -> dict[str, str]:
    printed = subprocess.run(
        ["/bin/sh", "-c", f"{script}\nexec env -0"], env=before, capture_output=True, check=True
    ).stdout.decode()
    return dict(entry.split("=", 1) for entry in printed.split("\0") if entry)


@pytest.fixture
def program_folder() -> Path:
    return Path(__file__).parent
