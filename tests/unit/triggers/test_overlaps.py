"""Overlap policies: what a firing does while the job of an earlier one has not ended."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.core.job import Job
from chalicelib.core.triggers.trigger import Trigger
from chalicelib.store.overlap_locks import overlap_lock_action
from chalicelib.store.transactions import transact
from chalicelib.triggers.submit import OVERLAP_LOCK_TRIES
from tests.support.drivers import run_to_the_end
from tests.support.firings import event, fire, job_of, listed, outcomes, put_trigger, send_events
from tests.support.scenes import finish, make_stage
from tests.support.world import World


@pytest.fixture
def staged(world: World) -> World:
    make_stage(world)
    return world


def fired(world: World, trigger: Trigger, number: int) -> Job:
    """Fire now, deliver everything, and return the job."""
    world.now_ms += 1
    fire(world, event(f"e{number}"))
    world.run_until_idle()
    return made(world, trigger, number)


def made(world: World, trigger: Trigger, number: int) -> Job:
    job = job_of(world, trigger, f"e{number}")
    assert job is not None, f"no job of e{number}"
    return job


def start(world: World, job: Job) -> None:
    world.ecs.start(world.task_of(job.job_id))
    world.run_until_idle()


def stop_all(world: World) -> None:
    """End the tasks that were asked to stop."""
    for task in world.ecs.live():
        if task.desired == "STOPPED":
            world.ecs.end_stopping(task)
    world.run_until_idle()


def test_allowed_firings_are_independent(staged: World) -> None:
    trigger = put_trigger(staged)
    first, second = fired(staged, trigger, 1), fired(staged, trigger, 2)
    assert [first.status, second.status] == ["STARTING", "STARTING"]


def test_a_firing_is_skipped_until_the_last_job_has_ended(staged: World) -> None:
    trigger = put_trigger(staged, overlap="SKIP")
    first = fired(staged, trigger, 1)
    staged.now_ms += 1
    fire(staged, event("e2"), event("e3"))
    assert job_of(staged, trigger, "e2") is None
    reasons = [one.firing.reason for one in listed(staged) if one.firing.outcome == "SKIPPED"]
    assert reasons == [f"Job {first.job_id} of an earlier firing has not ended."] * 2
    start(staged, first)
    finish(staged, first.job_id)
    assert fired(staged, trigger, 4).status == "STARTING"
    assert {key: outcome for key, outcome, _ in outcomes(staged)} == {
        "e1": "SUBMITTED", "e2": "SKIPPED", "e3": "SKIPPED", "e4": "SUBMITTED",
    }  # fmt: skip


@pytest.mark.parametrize("overlap", ["SKIP", "REPLACE"])
def test_the_same_event_is_a_duplicate_under_any_policy(staged: World, overlap: str) -> None:
    trigger = put_trigger(staged, overlap=overlap)
    fired(staged, trigger, 1)
    again = fired(staged, trigger, 1)
    assert (again.status, again.stop_cause) == ("STARTING", None)
    assert outcomes(staged) == [("e1", "SUBMITTED", 1)]


def test_a_firing_replaces_the_last_job_and_begins_after_it(staged: World) -> None:
    staged.ecs.obeys_stops = False
    trigger = put_trigger(staged, overlap="REPLACE")
    first = fired(staged, trigger, 1)
    start(staged, first)
    second = fired(staged, trigger, 2)
    assert second.status == "PENDING"
    stopping = made(staged, trigger, 1)
    assert stopping.stop_reason == f"Replaced by job {second.job_id} of trigger trigger"
    stop_all(staged)
    assert made(staged, trigger, 1).status == "FAILED"
    assert made(staged, trigger, 2).status == "STARTING"


def test_of_many_replacements_no_two_run_at_once(staged: World) -> None:
    """While the first is stopping, the others are stopped before they begin, but for the last."""
    staged.ecs.obeys_stops = False
    trigger = put_trigger(staged, overlap="REPLACE")
    start(staged, fired(staged, trigger, 1))
    staged.now_ms += 1
    fire(staged, *(event(f"e{number}") for number in range(2, 7)))
    staged.run_until_idle()
    statuses = [made(staged, trigger, number).status for number in range(1, 7)]
    assert statuses == ["RUNNING", *["PENDING"] * 5]
    assert len(staged.ecs.live()) == 1
    stop_all(staged)
    statuses = [made(staged, trigger, number).status for number in range(1, 7)]
    assert statuses == [*["FAILED"] * 5, "STARTING"]
    last = made(staged, trigger, 6)
    assert len(staged.detail(last.job_id)["dependsOn"]) == 2
    run_to_the_end(staged, [last.job_id], lambda fence: 0)
    assert made(staged, trigger, 6).status == "SUCCEEDED"


def test_a_replacing_request_that_is_refused_stops_nothing(staged: World) -> None:
    trigger = put_trigger(staged, overlap="REPLACE")
    fired(staged, trigger, 1)
    fire(staged, event("e2", name="a/b"))
    staged.sqs.trigger_dead_letters.messages.clear()
    assert made(staged, trigger, 1).stop_cause is None


def test_a_replacement_keeps_the_dependencies_of_its_request(staged: World) -> None:
    waited = staged.api(
        "SubmitJob", {"jobName": "waited", "jobQueue": "queue", "jobDefinition": "work"}
    )["jobId"]
    trigger = put_trigger(staged, overlap="REPLACE", request={"dependsOn": [{"jobId": waited}]})
    first, second = fired(staged, trigger, 1), fired(staged, trigger, 2)
    assert made(staged, trigger, 1).stop_cause is not None
    named = [entry["jobId"] for entry in staged.detail(second.job_id)["dependsOn"]]
    assert named == [waited, first.job_id]


def between(world: World, call: str, act: Callable[[], None]) -> None:
    """Call `act` once, right before the next such call."""

    def on_call(name: str) -> None:
        if name == call:
            world.on_call = None
            act()

    world.on_call = on_call


@pytest.mark.parametrize(("overlap", "expected"), [("SKIP", "SKIPPED"), ("REPLACE", "SUBMITTED")])
def test_of_two_firings_at_once_the_later_one_sees_the_other(
    staged: World, overlap: str, expected: str
) -> None:
    trigger = put_trigger(staged, overlap=overlap)
    messages = send_events(staged, event("e1"), event("e2"))

    def other() -> None:
        staged.deliver_triggers(messages[1:])

    between(staged, "dynamodb.TransactWriteItems", other)
    staged.deliver_triggers(messages[:1])
    staged.run_until_idle()
    assert {key: outcome for key, outcome, _ in outcomes(staged)} == {
        "e1": expected,
        "e2": "SUBMITTED",
    }
    assert len(staged.ecs.live()) == 1
    assert overlap == "SKIP" or made(staged, trigger, 2).stop_cause is not None


@pytest.mark.parametrize("overlap", ["ALLOW", "SKIP", "REPLACE"])
def test_the_same_event_twice_at_once_makes_one_job(staged: World, overlap: str) -> None:
    put_trigger(staged, overlap=overlap)
    (message,) = send_events(staged, event())
    between(
        staged,
        "dynamodb.TransactWriteItems",
        lambda: _deliver(staged, message),
    )
    staged.deliver_triggers([message])
    staged.run_until_idle()
    assert outcomes(staged) == [("e1", "SUBMITTED", 1)]
    assert len(staged.ecs.live()) == 1


def _deliver(world: World, message: Any) -> None:
    world.now_ms += 1
    world.deliver_triggers([message], again=True)


def test_an_event_that_loses_every_try_is_delivered_again(
    staged: World,
) -> None:
    """Other firings, whose jobs have ended long ago, take the lock before every try."""
    trigger = put_trigger(staged, overlap="SKIP")
    (message,) = send_events(staged, event())
    overlap_locks, connection = staged.ports.overlap_locks, staged.ports.connection

    def on_call(name: str) -> None:
        if name == "dynamodb.TransactWriteItems":
            staged.on_call = None
            taken = overlap_locks.find(trigger.name, trigger.uid).taken_by("gone", ())
            assert not transact(connection, [overlap_lock_action(taken, 2**31)])
            staged.on_call = on_call

    staged.on_call = on_call
    staged.deliver_triggers([message])
    staged.on_call = None
    assert staged.sqs.triggers.messages == [message]
    assert overlap_locks.find(trigger.name, trigger.uid).version == OVERLAP_LOCK_TRIES
    staged.advance(600)
    assert outcomes(staged) == [("e1", "SUBMITTED", 0)]


def test_an_array_is_replaced_when_its_children_have_ended(staged: World) -> None:
    staged.ecs.obeys_stops = False
    trigger = put_trigger(staged, overlap="REPLACE", request={"arrayProperties": {"size": 2}})
    first = fired(staged, trigger, 1)
    assert len(staged.ecs.live()) == 2
    assert fired(staged, trigger, 2).status == "PENDING"
    assert {task.started_by[:36] for task in staged.ecs.live()} == {first.job_id}
    stop_all(staged)
    assert made(staged, trigger, 1).status == "FAILED"
    assert {task.started_by[:36] for task in staged.ecs.live()} == {made(staged, trigger, 2).job_id}
