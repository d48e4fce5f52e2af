"""Wakes that fail: when they come again, and what becomes of the others of their message group."""

from unittest import mock

from chalicelib.core.states import JobStatus
from tests.support.scenes import make_stage, submit
from tests.support.world import World

ROUND = "chalicelib.handlers.dispatch.on_wake"


def submitted(world: World) -> str:
    """Submit a job; what is left to deliver is its wake."""
    make_stage(world)
    job_id = submit(world)
    while world.deliver_stream():
        pass
    return job_id


def fail(world: World) -> None:
    with mock.patch(ROUND, side_effect=RuntimeError("a fault of ours")):
        assert world.deliver_wakes()


def test_a_queue_is_dispatched_seconds_after_a_round_that_failed(quick: World) -> None:
    job_id = submitted(quick)
    fail(quick)
    assert not quick.deliver_wakes()
    quick.advance(2)
    assert quick.job(job_id).status is JobStatus.STARTING


def test_a_wake_that_fails_again_and_again_waits_longer_but_never_for_long(quick: World) -> None:
    submitted(quick)
    waits = []
    for _ in range(9):
        fail(quick)
        (message,) = quick.sqs.wakes.messages
        waits.append((message.visible_at_ms - quick.now_ms) // 1000)
        quick.now_ms = message.visible_at_ms
    assert waits == [2, 4, 8, 15, 15, 15, 15, 15, 15]
    fail(quick)
    (dead,) = quick.sqs.wakes.dead
    assert dead.receives == 10
    quick.sqs.wakes.dead.clear()


def test_a_wake_that_cannot_be_read_holds_its_group_up_for_seconds_only(quick: World) -> None:
    job_id = submitted(quick)
    (message,) = quick.sqs.wakes.messages
    readable, message.body = message.body, "{}"
    quick.deliver_wakes()
    assert (message.visible_at_ms - quick.now_ms) // 1000 == 2
    message.body = readable
    quick.advance(2)
    assert quick.job(job_id).status is JobStatus.STARTING


def test_other_queues_are_dispatched_in_the_same_batch(quick: World) -> None:
    """One group of the batch fails; the message of the other is not shown again."""
    submitted(quick)
    quick.ports.messages.send_wakes(["other"], "test")

    def one_fails(queue: str, *_: object) -> int:
        if queue == "queue":
            raise RuntimeError("a fault of ours")
        return 0

    with mock.patch(ROUND, one_fails):
        quick.deliver_wakes()
    assert [message.group for message in quick.sqs.wakes.messages] == ["queue"]
    quick.advance(2)


def test_a_wake_comes_again_even_if_its_delay_cannot_be_changed(quick: World) -> None:
    job_id = submitted(quick)
    refusal = RuntimeError("SQS is away")
    with mock.patch.object(quick.ports.messages, "show_wakes_again", side_effect=refusal):
        fail(quick)
    quick.advance(quick.sqs.wakes.visibility_ms / 1000)
    assert quick.job(job_id).status is JobStatus.STARTING
