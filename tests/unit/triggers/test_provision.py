"""Provisioning of triggers: their schedules and rules, and what AWS refuses."""

import json
from typing import Any

import pytest

from tests.support.clients import client_error
from tests.support.fake_scheduler import UNKNOWN_ZONE
from tests.support.scenes import make_stage
from tests.support.triggers import (
    EVENTS,
    SCHEDULE,
    UPLOADS,
    delete,
    document,
    get,
    made,
    message_of,
    put,
)
from tests.support.world import World

RULE = ("default", "yard-trigger-nightly")
QUEUE_ARN = "arn:aws:sqs:us-east-1:123456789012:triggers"
DEAD_ARN = "arn:aws:sqs:us-east-1:123456789012:triggers-dead"
RETRY = {"MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185}


@pytest.fixture(name="world")
def make_staged_world(world: World) -> World:
    make_stage(world)
    world.s3.notifications["inbox"] = {}
    return world


def schedule(world: World) -> dict[str, Any] | None:
    return world.scheduler.schedules.get(("yard", "nightly"))


def test_a_schedule_sends_its_trigger_to_the_queue(world: World) -> None:
    source = {
        "expression": "cron(0 8 ? * MON-FRI *)",
        "timeZone": "Europe/Berlin",
        "startAt": "2027-01-31T08:00:00+01:00",
        "endAt": "2027-02-28T08:00:00Z",
    }
    uid = made(world, source={"schedule": source})["uid"]
    put_schedule = schedule(world)
    assert put_schedule is not None
    assert put_schedule["ScheduleExpression"] == source["expression"]
    assert put_schedule["ScheduleExpressionTimezone"] == "Europe/Berlin"
    assert put_schedule["StartDate"].isoformat() == source["startAt"]
    assert put_schedule["EndDate"].timestamp() == 1_803_801_600
    assert put_schedule["State"] == "ENABLED"
    assert put_schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    target = put_schedule["Target"]
    assert (target["Arn"], target["RetryPolicy"]) == (QUEUE_ARN, RETRY)
    assert target["RoleArn"] == world.settings.scheduler_role_arn
    assert target["DeadLetterConfig"] == {"Arn": DEAD_ARN}
    assert json.loads(target["Input"]) == {
        "trigger": "nightly",
        "uid": uid,
        "firing": {
            "scheduledTime": "<aws.scheduler.scheduled-time>",
            "executionId": "<aws.scheduler.execution-id>",
        },
    }


def test_a_rule_sends_its_events_whole(world: World) -> None:
    uid = made(world)["uid"]
    rule = world.events.rules[RULE]
    assert rule["EventPattern"] == EVENTS["events"]["pattern"]
    assert rule["State"] == "ENABLED"
    target = rule["Targets"]["triggers"]
    assert (target["Arn"], target["RetryPolicy"]) == (QUEUE_ARN, RETRY)
    assert target["DeadLetterConfig"] == {"Arn": DEAD_ARN}
    event = {"id": "1", "detail": {'"': "}"}}
    assert message_of(rule, event) == {
        "trigger": "nightly",
        "uid": uid,
        "event": event,
    }


@pytest.mark.parametrize("source", [SCHEDULE, EVENTS], ids=["schedule", "events"])
def test_a_disabled_trigger_is_switched_off_at_its_source(
    world: World, source: dict[str, Any]
) -> None:
    def state() -> str:
        found = schedule(world) or world.events.rules[RULE]
        return str(found["State"])

    made(world, source=source)
    assert state() == "ENABLED"
    made(world, source=source, state="DISABLED")
    assert state() == "DISABLED"
    made(world, source=source)
    assert state() == "ENABLED"


def test_uploads_switch_the_bucket_s_events_on_and_keep_what_else_it_notifies(world: World) -> None:
    arn = "arn:aws:sqs:us-east-1:123456789012:elsewhere"
    others = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectRemoved:*"]}]}
    world.s3.notifications["inbox"] = others
    made(world, source=UPLOADS)
    assert world.s3.notifications["inbox"] == others | {"EventBridgeConfiguration": {}}
    world.calls.clear()
    made(world, source=UPLOADS, state="DISABLED")
    assert "s3.PutBucketNotificationConfiguration" not in world.calls, "they are on already"
    delete(world, "nightly")
    world.run_until_idle()
    assert world.s3.notifications["inbox"] == others | {"EventBridgeConfiguration": {}}
    assert world.events.rules == {}


def test_another_source_removes_what_the_earlier_one_had_made(world: World) -> None:
    world.events.buses.add("orders")
    made(world, source=SCHEDULE)
    made(world, source=EVENTS)
    assert (schedule(world), set(world.events.rules)) == (None, {RULE})
    made(world, source={"events": EVENTS["events"] | {"bus": "orders"}})
    assert set(world.events.rules) == {("orders", RULE[1])}
    made(world, source=UPLOADS)
    assert set(world.events.rules) == {RULE}
    made(world, source=SCHEDULE)
    assert world.events.rules == {}
    assert schedule(world) is not None


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ({"uploads": {"bucket": "nobody"}}, "The bucket nobody: there is no such bucket."),
        ({"uploads": {"bucket": "far"}}, "The bucket far: it is in eu-west-1, not us-east-1."),
        ({"events": {"pattern": {"refused": ["x"]}}}, "EventBridge: Event pattern is not valid."),
        ({"events": {"pattern": {"a": [1]}, "bus": "gone"}}, "Event bus gone does not exist."),
        (
            {"schedule": {"expression": "rate(1 day)", "timeZone": UNKNOWN_ZONE}},
            "EventBridge Scheduler: Provided ScheduleExpressionTimezone",
        ),
    ],
    ids=["bucket", "region", "pattern", "bus", "zone"],
)
def test_a_trigger_that_aws_refuses_is_invalid_at_once_with_the_reason(
    world: World, monkeypatch: pytest.MonkeyPatch, source: dict[str, Any], why: str
) -> None:
    # A machine without data on time zones leaves them to Scheduler.
    world.s3.notifications["far"], world.s3.regions["far"] = {}, "EU"
    monkeypatch.setattr("chalicelib.api.trigger_documents._is_time_zone", lambda name: True)
    trigger = made(world, source=source)
    assert trigger["status"] == "INVALID"
    assert why in trigger["statusReason"]
    assert made(world)["status"] == "VALID", "a change provisions it again"


def test_putting_the_same_document_again_provisions_an_invalid_trigger_again(world: World) -> None:
    del world.s3.notifications["inbox"]
    assert made(world, source=UPLOADS)["status"] == "INVALID"
    world.s3.notifications["inbox"] = {}
    assert made(world, source=UPLOADS)["status"] == "VALID"


def test_the_next_change_removes_what_a_refused_one_has_left(world: World) -> None:
    """An INVALID trigger may still have a rule on an earlier bus."""
    world.events.buses |= {"one", "two"}

    def on(bus: str) -> dict[str, Any]:
        return {"events": {"pattern": {"a": [1]}, "bus": bus}}

    def refuse(call: str) -> None:
        if call == "events.PutTargets":
            raise client_error("ValidationException", "no", "PutTargets")

    world.on_call = refuse
    assert made(world, source=on("one"))["status"] == "INVALID"
    world.on_call = None
    assert set(world.events.rules) == {("one", RULE[1])}
    made(world, source=on("two"))
    assert set(world.events.rules) == {("two", RULE[1])}


def test_a_passing_error_is_tried_again(world: World) -> None:
    troubles = iter([client_error("InternalException", "a bad moment", "PutRule")] * 3)

    def refuse(call: str) -> None:
        trouble = next(troubles, None) if call == "events.PutRule" else None
        if trouble is not None:
            raise trouble

    world.on_call = refuse
    put(world, "nightly", document())
    world.advance(60)
    assert get(world, "nightly")["status"] == "VALID"


def test_every_step_may_be_interrupted_at_every_call(world: World) -> None:
    """Whichever call is the last of a process, the machine ends with the trigger as it was put."""
    for number in range(1, 9):
        name = f"trigger-{number}"
        put(world, name, document(UPLOADS))
        world.deliver_catalog()
        world.calls.clear()
        world.crash_at = number
        world.advance(60)
        assert world.crash_at is None, "there was no such call"
        assert get(world, name)["status"] == "VALID", number
        assert list(world.events.rules[("default", f"yard-trigger-{name}")]["Targets"])


def test_a_trigger_wakes_no_queue_that_names_an_environment_like_it(world: World) -> None:
    world.calls.clear()
    made(world, "fargate")
    assert "sqs.SendMessageBatch" not in world.calls
