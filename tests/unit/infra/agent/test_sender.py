"""Events to the queue, and ends to ECS."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from batchyard.agent import sender as sender_module
from batchyard.agent.sender import EventSender, TaskCloser

from .world import FakeEcs, FakeQueue, container, eventually, task_definition


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module, "_FIRST_PAUSE_SECONDS", 0.001)


@pytest.fixture
def queue() -> FakeQueue:
    return FakeQueue()


@pytest.fixture
def sender(queue: FakeQueue) -> Iterator[EventSender]:
    sender = EventSender(queue)
    yield sender
    sender.close()


def test_events_keep_their_order_and_go_ten_at_a_time(
    queue: FakeQueue, sender: EventSender
) -> None:
    for number in range(35):
        sender.put({"n": number})
    eventually(lambda: len(queue.events) == 35)
    assert [event["n"] for event in queue.events] == list(range(35))
    assert max(len(batch) for batch in queue.batches) <= 10


def test_an_event_is_not_sent_when_a_later_one_of_its_subject_replaces_it(
    queue: FakeQueue, sender: EventSender
) -> None:
    done: list[str] = []
    sender.put({"n": 1}, lambda: done.append("started"), subject="task")
    sender.put({"n": 2}, subject="other")
    sender.put({"n": 3}, lambda: done.append("ended"), subject="task")
    eventually(lambda: done == ["started", "ended"])
    assert [event["n"] for event in queue.events] == [2, 3]


def test_a_start_waits_for_its_end_while_others_go(
    queue: FakeQueue, sender: EventSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "_LINGER_SECONDS", 0.0)
    monkeypatch.setattr(sender_module, "_FOLLOWED_SECONDS", 60.0)
    for number in range(300):  # more than are gathered at once
        sender.put({"start": number}, subject=str(number), followed=True)
    sender.put({"n": 1}, subject="other")
    eventually(lambda: queue.events == [{"n": 1}])
    sender.put({"end": 7}, subject="7")
    eventually(lambda: queue.events == [{"n": 1}, {"end": 7}])
    sender.close()
    assert len(queue.events) == 2 + 299


def test_a_start_without_an_end_goes_alone(
    queue: FakeQueue, sender: EventSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "_FOLLOWED_SECONDS", 0.02)
    sender.put({"start": 1}, subject="1", followed=True)
    eventually(lambda: queue.events == [{"start": 1}])


def test_a_batch_keeps_under_the_queues_size(queue: FakeQueue, sender: EventSender) -> None:
    for number in range(4):
        sender.put({"n": number, "padding": "x" * 100_000})
    eventually(lambda: len(queue.events) == 4)
    assert max(len(batch) for batch in queue.batches) <= 2


def test_an_unreachable_queue_is_retried_until_it_answers(
    queue: FakeQueue, sender: EventSender
) -> None:
    queue.failures = 3
    sent = threading.Event()
    sender.put({"n": 1}, sent.set)
    assert sent.wait(10)
    assert queue.events == [{"n": 1}]


def test_only_refused_messages_are_sent_again(queue: FakeQueue, sender: EventSender) -> None:
    queue.refuse = {0}
    sent: list[int] = []
    sender.put({"n": 1}, lambda: sent.append(1))
    eventually(lambda: sent)
    assert (queue.events, sent) == ([{"n": 1}], [1])


def test_closing_sends_what_is_queued(queue: FakeQueue) -> None:
    sender = EventSender(queue)
    for number in range(15):
        sender.put({"n": number})
    sender.close()
    assert len(queue.events) == 15
    assert "events" not in [thread.name for thread in threading.enumerate()]


def test_an_end_is_recorded_though_ecs_fails_at_first() -> None:
    ecs = FakeEcs()
    task_id = ecs.run_task(task_definition(container()))
    ecs.failures = 2
    closer = TaskCloser(ecs)
    closed = threading.Event()
    closer.put(ecs.record(task_id), "over", closed.set)
    assert closed.wait(10)
    closer.close()
    assert ecs.record(task_id)["stoppedReason"] == "over"
