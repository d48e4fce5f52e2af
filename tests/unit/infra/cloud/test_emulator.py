"""What answers on the port, and the settings and saved data of the emulator."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchyard.cloud import emulator
from batchyard.cloud.keys import Keys
from batchyard.cloud.paths import StateDir

KEYS = Keys(access_key_id="LOCALKEY", secret_access_key="secret")


@pytest.fixture
def other_server() -> Iterator[int]:
    """Yield a port on which a server listens that is no AWS emulator."""
    with socket.create_server((emulator.HOST, 0)) as server:

        def hang_up() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.close()

        threading.Thread(target=hang_up, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def test_no_emulator_answers_on_a_free_port() -> None:
    with socket.create_server((emulator.HOST, 0)) as server:
        port = server.getsockname()[1]
    assert not emulator.answers(port, KEYS)


def test_a_reserved_port_is_assigned_to_no_other_process() -> None:
    with emulator.reserved_port() as port:
        assert not emulator.answers(port, KEYS)
        with socket.create_server((emulator.HOST, port)) as server:
            assert server.getsockname()[1] == port
        with emulator.reserved_port() as other:
            assert other != port


def test_another_server_on_the_port_is_an_error(other_server: int) -> None:
    with pytest.raises(emulator.EmulatorError, match=f"Port {other_server} is taken"):
        emulator.answers(other_server, KEYS)


def test_the_emulator_writes_only_into_its_state_dir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    given = emulator.environment(StateDir.at(tmp_path), 4999, KEYS)
    assert given["GATEWAY_PORT"] == "4999"
    assert given["BIND_HOST"] == "127.0.0.1"
    for name in ("STATE_DIR", "S3_DATA_DIR", "TMPDIR"):
        assert Path(given[name]).is_relative_to(tmp_path)
    assert "AWS_PROFILE" not in given


def test_given_settings_override_the_emulators_own(tmp_path: Path) -> None:
    extra = {"AUTH": "true", "LOG_LEVEL": "INFO"}
    given = emulator.environment(StateDir.at(tmp_path), 4999, KEYS, extra=extra)
    assert (given["AUTH"], given["LOG_LEVEL"]) == ("true", "INFO")


def test_a_local_session_ignores_the_aws_variables_of_the_shell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://elsewhere.invalid")
    monkeypatch.setenv("AWS_PROFILE", "production")
    client = emulator.local_session(4999, KEYS).client("sqs")
    assert client.meta.endpoint_url == "http://127.0.0.1:4999"


def save(state: StateDir, positions: dict[str, int]) -> Path:
    """Write the files that the emulator writes when it is stopped."""
    folder = state.emulator / "state"
    folder.mkdir(parents=True)
    payload = {"dynamodb_stream_positions": {"data": positions}, "functions": {"data": {}}}
    (folder / emulator.LAMBDA_DATA).write_text(json.dumps({"payload": payload}))
    for name in ("dynamodb.json", "s3.json"):
        (folder / name).write_text("{}")
    return folder


def test_saved_data_are_kept_and_every_stream_is_read_from_its_beginning(tmp_path: Path) -> None:
    state = StateDir.at(tmp_path)
    folder = save(state, {"one": 17, "two": 3})
    (state.emulator / "s3").mkdir()
    (state.emulator / "s3" / "object").touch()
    assert emulator.prepare(state)
    saved = json.loads((folder / emulator.LAMBDA_DATA).read_text())["payload"]
    assert saved["dynamodb_stream_positions"]["data"] == {"one": 0, "two": 0}
    assert (state.emulator / "s3" / "object").exists()


def test_objects_without_the_rest_of_the_saved_data_are_removed(tmp_path: Path) -> None:
    state = StateDir.at(tmp_path)
    (save(state, {}) / "dynamodb.json").unlink()
    (state.emulator / "s3").mkdir()
    (state.emulator / "s3" / "object").touch()
    assert not emulator.prepare(state)
    assert list((state.emulator / "s3").iterdir()) == []
