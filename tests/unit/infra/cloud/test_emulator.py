"""Who answers on the port, and what the emulator is told."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchyard.cloud import emulator
from batchyard.cloud.paths import StateDir


@pytest.fixture
def stranger() -> Iterator[int]:
    """A port on which something answers that is no AWS emulator."""
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


def test_nobody_answers_on_a_free_port() -> None:
    with socket.create_server((emulator.HOST, 0)) as server:
        port = server.getsockname()[1]
    assert not emulator.answers(port)


def test_a_reserved_port_is_given_to_nobody_but_who_asks_for_it() -> None:
    with emulator.reserved_port() as port:
        assert not emulator.answers(port)
        with socket.create_server((emulator.HOST, port)) as server:
            assert server.getsockname()[1] == port
        with emulator.reserved_port() as other:
            assert other != port


def test_a_stranger_on_the_port_is_named(stranger: int) -> None:
    with pytest.raises(emulator.EmulatorError, match=f"Port {stranger} is taken"):
        emulator.answers(stranger)


def test_it_writes_nowhere_but_into_its_state_dir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    given = emulator.environment(StateDir.at(tmp_path), 4999)
    assert given["GATEWAY_PORT"] == "4999"
    assert given["BIND_HOST"] == "127.0.0.1"
    for name in ("STATE_DIR", "S3_DATA_DIR", "TMPDIR"):
        assert Path(given[name]).is_relative_to(tmp_path)
    assert "AWS_PROFILE" not in given


def test_what_else_it_is_told_goes_over_its_settings(tmp_path: Path) -> None:
    given = emulator.environment(StateDir.at(tmp_path), 4999, {"AUTH": "true", "LOG_LEVEL": "INFO"})
    assert (given["AUTH"], given["LOG_LEVEL"]) == ("true", "INFO")


def test_a_local_session_ignores_where_the_shell_points(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://elsewhere.invalid")
    monkeypatch.setenv("AWS_PROFILE", "production")
    client = emulator.local_session(4999).client("sqs")
    assert client.meta.endpoint_url == "http://127.0.0.1:4999"
