"""The keeper by itself: what it has for an agent, and for the next one."""

from __future__ import annotations

import os
import queue
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchyard.agent.children import Children
from batchyard.agent.keeper import Keeper
from batchyard.agent.keeper_channel import Channel
from batchyard.agent.keeper_client import KeeperClient, KeeperGone, KeptProcess

from .world import eventually

ENVIRONMENT = {"PATH": os.environ["PATH"]}


class Agent:
    """A connection to a keeper, whose messages a thread reads."""

    def __init__(self, keeper: Keeper, home: Path) -> None:
        ours, theirs = socket.socketpair()
        keeper.connect(ours)
        self.home = home
        self.exits: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
        self.gone = threading.Event()
        self.client = KeeperClient(
            theirs, on_exit=lambda *exit_: self.exits.put(exit_), on_gone=self.gone.set
        )
        self.end = theirs
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while not self.gone.is_set():
            self.client.on_readable()

    def start(self, runtime_id: str, *argv: str) -> KeptProcess:
        return self.client.start(
            runtime_id,
            argv,
            environment=ENVIRONMENT,
            home=self.home,
            on_started=lambda process: None,
        )

    def leave(self) -> None:
        """End the connection without a word, as a kill does."""
        self.end.shutdown(socket.SHUT_RDWR)
        assert self.gone.wait(10)
        self.client.close()


@pytest.fixture(params=[True, False], ids=["pidfd", "polling"])
def keeper(request: pytest.FixtureRequest) -> Iterator[Keeper]:
    keeper = Keeper(Children(), use_pidfd=request.param)
    yield keeper
    keeper.close()


def close_all(*processes: KeptProcess) -> None:
    for process in processes:
        os.close(process.fd)


def test_the_next_agent_has_the_output_and_the_exit_code(keeper: Keeper, tmp_path: Path) -> None:
    first = Agent(keeper, tmp_path)
    started = first.start("one", "sh", "-c", "echo output; exit 7")
    assert first.exits.get(timeout=10) == ("one", 7)
    first.leave()
    second = Agent(keeper, tmp_path)
    kept = second.client.kept["one"]
    assert (kept.pid, kept.code, kept.environment) == (started.pid, 7, ENVIRONMENT)
    assert os.read(kept.fd, 100) == b"output\n"
    assert second.client.session == first.client.session
    close_all(started, kept)


def test_an_end_before_the_next_agent_takes_over_is_kept_for_that(
    keeper: Keeper, tmp_path: Path
) -> None:
    first = Agent(keeper, tmp_path)
    go = tmp_path / "go"
    script = f"until test -e {go}; do sleep 0.02; done; exit 5"
    started = first.start("one", "sh", "-c", script)
    first.leave()
    second = Agent(keeper, tmp_path)
    assert second.client.kept["one"].code is None
    go.touch()
    eventually(lambda: second.client.kept["one"].code == 5)
    assert second.exits.empty()
    close_all(started, second.client.kept["one"])


def test_a_writer_does_not_fail_while_no_agent_is_there(keeper: Keeper, tmp_path: Path) -> None:
    first = Agent(keeper, tmp_path)
    go = tmp_path / "go"
    script = f"until test -e {go}; do sleep 0.02; done; echo late && touch {tmp_path}/written"
    started = first.start("one", "sh", "-c", script)
    first.leave()
    close_all(started)
    go.touch()
    eventually((tmp_path / "written").exists)
    second = Agent(keeper, tmp_path)
    kept = second.client.kept["one"]
    assert os.read(kept.fd, 100) == b"late\n"
    close_all(kept)


def test_a_start_that_is_asked_for_again_starts_nothing(keeper: Keeper, tmp_path: Path) -> None:
    agent = Agent(keeper, tmp_path)
    first = agent.start("one", "sleep", "100")
    again = agent.start("one", "sleep", "100")
    assert again.pid == first.pid
    close_all(first, again)


def test_what_is_forgotten_is_kept_no_more(keeper: Keeper, tmp_path: Path) -> None:
    first = Agent(keeper, tmp_path)
    ended, running = first.start("ended", "true"), first.start("running", "sleep", "100")
    first.exits.get(timeout=10)
    first.client.forget("ended")
    first.client.forget("running")
    first.client.signal("running", 9)
    assert first.exits.get(timeout=10) == ("running", 137)
    first.client.forget("never")
    first.leave()
    assert Agent(keeper, tmp_path).client.kept == {}
    close_all(ended, running)


def test_a_start_fails_as_it_does_in_python(keeper: Keeper, tmp_path: Path) -> None:
    agent = Agent(keeper, tmp_path)
    with pytest.raises(FileNotFoundError):
        agent.start("one", "no-such-program")
    with pytest.raises(PermissionError):
        agent.start("two", str(tmp_path))
    with pytest.raises(ValueError, match="null"):
        agent.start("three", "a\0b")


def test_a_long_environment_arrives_whole(keeper: Keeper, tmp_path: Path) -> None:
    agent = Agent(keeper, tmp_path)
    agent.client.start(
        "one",
        ["sh", "-c", 'test "$(printf %s "$LONG" | wc -c)" = 100000'],
        environment=ENVIRONMENT | {"LONG": "ü" * 50_000},
        home=tmp_path,
        on_started=close_all,
    )
    assert agent.exits.get(timeout=10) == ("one", 0)


def test_when_the_keeper_ends_its_agent_sees_it_and_no_start_waits(tmp_path: Path) -> None:
    keeper = Keeper(Children())
    agent = Agent(keeper, tmp_path)
    started = agent.start("one", "sleep", "100")
    keeper.close()
    assert agent.gone.wait(10)
    with pytest.raises(KeeperGone):
        agent.start("two", "true")
    agent.client.signal("one", 9)
    close_all(started)
    with pytest.raises(ProcessLookupError):
        os.kill(started.pid, 0)


def test_a_message_that_breaks_off_is_the_end_of_the_connection() -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(b"\0\0\0\x10{")
    theirs.close()
    channel = Channel(ours)
    assert channel.receive() is None
    channel.close()
