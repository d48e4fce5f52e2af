"""The command line: it is fast, and its errors are one sentence."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from batchyard.cli.main import app


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_help_lists_every_subcommand() -> None:
    shown = run("--help").output
    for verb in ("up", "down", "env", "deploy", "destroy", "template", "replay"):
        assert f" {verb} " in shown
        assert run(verb, "--help").exit_code == 0


def test_help_imports_no_aws_library() -> None:
    program = (
        "import sys, batchyard.cli.main; print('boto3' in sys.modules, 'chalice' in sys.modules)"
    )
    command = [sys.executable, "-c", program]
    folder = Path(__file__).resolve().parents[4] / "infra"
    assert subprocess.check_output(command, text=True, cwd=folder) == "False False\n"


def test_a_message_that_nobody_can_read_does_not_end_the_command() -> None:
    """A closed terminal must not keep `up` from stopping what it started."""
    reading, writing = os.pipe()
    os.close(reading)
    program = "from batchyard.cli.output import say; say('lost'); say('lost'); print('went on')"
    folder = Path(__file__).resolve().parents[4] / "infra"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=writing,
        text=True,
        check=False,
    )
    os.close(writing)
    assert done.stdout == "went on\n"


def test_a_replay_names_what_there_is_to_replay() -> None:
    answer = run("replay", "everything")
    assert answer.exit_code == 2
    for name in ("streams", "wakes", "task-events", "triggers"):
        assert name in answer.stderr


def test_env_without_a_cloud(tmp_path: Path) -> None:
    answer = run("env", "--state-dir", str(tmp_path))
    assert answer.exit_code == 1
    assert "Start one with `batchyard up`" in answer.stderr
    assert answer.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["up", "--runtime", "magic"], "auto, process or docker"),
        (["deploy", "--param", "RetentionDays"], "is not NAME=VALUE"),
    ],
)
def test_wrong_options_are_refused(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    answer = run(*arguments, "--state-dir", str(tmp_path))
    assert answer.exit_code == 2
    assert sentence in answer.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        answer = run("up", "--detach", "--state-dir", str(tmp_path), "--port", port)
    assert answer.exit_code == 1
    assert "taken by something that is no AWS emulator" in answer.stderr


def test_down_where_nothing_is_up(tmp_path: Path) -> None:
    assert run("down", "--state-dir", str(tmp_path / "nowhere")).exit_code == 0
