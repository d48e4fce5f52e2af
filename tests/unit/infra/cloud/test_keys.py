"""The keys of a local cloud: its own, kept with its data, and readable by its owner alone."""

from pathlib import Path

import pytest

from batchyard.cloud import local
from batchyard.cloud.keys import ensure_keys, keys_of, new_keys
from batchyard.cloud.local import Cloud, LocalError
from batchyard.cloud.paths import StateDir
from batchyard.cloud.processes import Mark


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    state = StateDir.at(tmp_path / "state")
    state.make_private()
    return state


def test_keys_are_made_once_and_kept(state: StateDir) -> None:
    assert keys_of(state) is None
    made = ensure_keys(state)
    assert ensure_keys(state) == keys_of(state) == made
    assert len(made.access_key_id) == 20
    assert made.access_key_id.startswith("LOCAL"), "it must not look like a key of AWS"


def test_each_cloud_has_keys_of_its_own() -> None:
    made = {new_keys() for _ in range(100)}
    assert len({keys.access_key_id for keys in made}) == 100
    assert len({keys.secret_access_key for keys in made}) == 100


def test_keys_that_were_half_written_are_made_again(state: StateDir) -> None:
    state.keys.write_text('{"access_key_id": "LOC')
    state.keys.with_suffix(".new").touch()
    assert ensure_keys(state) == keys_of(state)


def test_only_the_owner_can_read_them_and_the_state_dir(state: StateDir) -> None:
    ensure_keys(state)
    assert state.keys.stat().st_mode & 0o777 == 0o600
    assert state.root.stat().st_mode & 0o777 == 0o700


def test_a_state_dir_that_others_could_read_is_closed_to_them(state: StateDir) -> None:
    state.root.chmod(0o755)
    state.make_private()
    assert state.root.stat().st_mode & 0o777 == 0o700


def test_a_running_cloud_is_not_opened_without_a_word(
    state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = Mark(pid=1, started="then")
    Cloud(port=4999, processes={"emulator": mark}).save(state)
    monkeypatch.setattr(Cloud, "runs", lambda self, name: True)
    with pytest.raises(LocalError, match="batchyard down"):
        local.up(state, port=None, runtime="process", is_open=True, say=print, report=print)
