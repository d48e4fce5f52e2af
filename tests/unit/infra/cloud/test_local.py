"""The port of a local cloud: chosen once, then kept with its data."""

from pathlib import Path

import pytest

from batchyard.cloud import local
from batchyard.cloud.local import Cloud, LocalError
from batchyard.cloud.paths import StateDir


def up(state: StateDir, port: int | None) -> None:
    local.up(state, port=port, runtime="process", say=print, report=print)


def test_saved_data_are_not_started_on_another_port(tmp_path: Path) -> None:
    state = StateDir.at(tmp_path)
    Cloud(port=4999).save(state)
    folder = state.emulator / "state"
    folder.mkdir(parents=True)
    for name in ("lambda.json", "dynamodb.json", "s3.json"):
        (folder / name).write_text("{}")
    with pytest.raises(LocalError, match="--port 4999"):
        up(state, 4998)


def test_without_a_port_the_recorded_one_is_used(tmp_path: Path) -> None:
    state = StateDir.at(tmp_path)
    assert local.cloud_on(state, None).port == local.DEFAULT_PORT
    Cloud(port=4999).save(state)
    assert local.cloud_on(state, None).port == 4999
    assert local.cloud_on(state, 4998).port == 4998
