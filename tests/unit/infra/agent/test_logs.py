"""Lines, batches, and what is promised about their order."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest

from batchyard.agent import logs
from batchyard.agent.logs import LineSplitter, LogSender
from batchyard.agent.plan import LogTarget

from .world import FakeLogs, eventually

TARGET = LogTarget(group="/logs", stream="t/default/task1")


@pytest.fixture
def port() -> FakeLogs:
    return FakeLogs()


@pytest.fixture
def sender(port: FakeLogs) -> Iterator[LogSender]:
    clock = itertools.chain([1000, 900], itertools.count(1001))
    sender = LogSender(port, wall_ms=lambda: next(clock))
    yield sender
    sender.close()


def sent(sender: LogSender) -> None:
    """Wait until everything written so far was sent."""
    done = threading.Event()
    sender.when_sent(frozenset({TARGET}), done.set)
    assert done.wait(10)


def test_lines_are_cut_wherever_the_bytes_break() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"one\ntw") == ["one"]
    assert splitter.feed(b"o\n\nthree") == ["two"]
    assert splitter.finish() == ["three"]
    assert splitter.finish() == []


def test_a_long_line_is_cut_and_bad_bytes_are_replaced() -> None:
    splitter = LineSplitter(max_line_bytes=4)
    assert splitter.feed(b"abcdefghij") == ["abcd", "efgh"]
    assert splitter.feed(b"\n\xff!\n") == ["ij", "\ufffd!"]
    assert splitter.feed(b"123456789\n") == ["1234", "5678", "9"]


def test_a_stream_exists_even_when_nothing_is_written(port: FakeLogs, sender: LogSender) -> None:
    sender.open(TARGET)
    eventually(lambda: TARGET in port.streams)


def test_times_never_go_back(port: FakeLogs, sender: LogSender) -> None:
    stream = sender.open(TARGET)
    stream.write(b"a\n")
    stream.write(b"b\nc")
    stream.finish()
    sent(sender)
    assert port.streams[TARGET] == [(1000, "a"), (1000, "b"), (1001, "c")]


def test_a_failure_is_tried_again_and_loses_nothing(port: FakeLogs, sender: LogSender) -> None:
    port.failures = 2
    sender.open(TARGET).write(b"a\nb\n")
    sent(sender)
    assert port.text("task1") == ["a", "b"]


def test_an_unavailable_log_service_does_not_delay_the_end_for_ever(
    port: FakeLogs, sender: LogSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_FIRST_PAUSE_SECONDS", 0.001)
    port.failures = 1_000_000
    sender.open(TARGET).write(b"lost\n")
    sent(sender)
    assert port.text("task1") == []


def test_batches_keep_to_the_services_limits(
    port: FakeLogs, sender: LogSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    put = port.put_lines

    def measured(target: LogTarget, lines: list[tuple[int, str]]) -> None:
        sizes.append(sum(len(line) + 26 for _, line in lines))
        put(target, lines)

    monkeypatch.setattr(port, "put_lines", measured)
    stream = sender.open(TARGET)
    line = b"x" * 100_000 + b"\n"
    for _ in range(25):
        stream.write(line)
    sent(sender)
    assert len(port.streams[TARGET]) == 25
    assert max(sizes) <= 1_048_576


def test_memory_stays_bounded_when_output_is_faster_than_the_service(
    port: FakeLogs, sender: LogSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MAX_BUFFERED_BYTES", 1000)
    gate = threading.Event()
    put = port.put_lines

    def gated(target: LogTarget, lines: list[tuple[int, str]]) -> None:
        gate.wait(10)
        put(target, lines)

    monkeypatch.setattr(port, "put_lines", gated)
    stream = sender.open(TARGET)
    stream.write(b"x" * 2000 + b"\n")
    writer = threading.Thread(target=stream.write, args=(b"waits\n",))
    writer.start()
    writer.join(0.2)
    assert writer.is_alive()
    gate.set()
    writer.join(10)
    sent(sender)
    assert port.text("task1")[-1] == "waits"


def test_lines_that_an_earlier_agent_has_sent_are_not_sent_again(
    port: FakeLogs, sender: LogSender
) -> None:
    port.streams[TARGET] = [(1, "one"), (2, "two")]
    stream = sender.open(TARGET)
    stream.replay()
    stream.write(b"one\ntwo\nthr")
    stream.write(b"ee\n")
    stream.finish()
    sent(sender)
    assert port.text("task1") == ["one", "two", "three"]


def test_of_a_stream_that_does_not_exist_nothing_was_sent(
    port: FakeLogs, sender: LogSender
) -> None:
    stream = sender.open(TARGET)
    port.streams.pop(TARGET, None)
    stream.replay()
    stream.write(b"one\n")
    sent(sender)
    assert port.text("task1") == ["one"]
