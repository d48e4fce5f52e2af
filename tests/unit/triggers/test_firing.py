"""Events for triggers: once, twice, late, unreadable, hostile; and the firing of each."""

import json
from typing import Any

import pytest

from chalicelib.core.triggers.trigger import Trigger
from tests.support.firings import (
    SCHEDULE,
    UID,
    UPLOADS,
    delete_trigger,
    event,
    fire,
    job_of,
    listed,
    outcomes,
    put_trigger,
    send,
    send_events,
    take_dead_letters,
    ticks,
    upload,
)
from tests.support.scenes import finish, make_definition, make_queue, make_stage
from tests.support.world import World


@pytest.fixture
def trigger(world: World) -> Trigger:
    make_stage(world)
    return put_trigger(world)


def spec_of(world: World, trigger: Trigger, event_key: str) -> Any:
    job = job_of(world, trigger, event_key)
    assert job is not None, f"no job of {event_key}"
    return world.ports.jobs.find_specs([job.job_id])[job.job_id].document


def jobs_in(world: World) -> int:
    statuses = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")
    listed = [world.api("ListJobs", {"jobQueue": "queue", "jobStatus": one}) for one in statuses]
    return sum(len(one["jobSummaryList"]) for one in listed)


def test_an_event_becomes_a_job_with_its_values(world: World, trigger: Trigger) -> None:
    fire(world, event(value="in/a b.csv"))
    job = job_of(world, trigger, "e1")
    assert job is not None
    assert job.name == "job-e1"
    assert spec_of(world, trigger, "e1")["parameters"] == {"value": "in/a b.csv"}
    (only,) = listed(world)
    assert (only.firing.job_id, only.firing.outcome) == (job.job_id, "SUBMITTED")
    world.run_until_idle()


def test_the_same_event_makes_one_job(world: World, trigger: Trigger) -> None:
    """Twice in a batch, in another batch, and when its job has long ended."""
    fire(world, event(), event("e2"), event())
    fire(world, event())
    world.run_until_idle()
    job = job_of(world, trigger, "e1")
    assert job is not None
    world.ecs.start(next(t for t in world.ecs.live() if t.started_by.startswith(job.job_id)))
    finish(world, job.job_id)
    world.now_ms += 5
    fire(world, event())
    assert sorted(outcomes(world)) == [("e1", "SUBMITTED", 3), ("e2", "SUBMITTED", 0)]
    assert jobs_in(world) == 2


@pytest.mark.parametrize("overlap", ["ALLOW", "SKIP", "REPLACE"])
def test_an_event_stays_a_duplicate_when_its_queue_is_disabled(world: World, overlap: str) -> None:
    make_stage(world)
    put_trigger(world, overlap=overlap)
    fire(world, event())
    world.api("UpdateJobQueue", {"jobQueue": "queue", "state": "DISABLED"})
    world.now_ms += 1
    fire(world, event())
    assert outcomes(world) == [("e1", "SUBMITTED", 1)]
    world.run_until_idle()


def test_a_message_that_is_delivered_twice_makes_one_job(world: World, trigger: Trigger) -> None:
    (message,) = send_events(world, event())
    world.deliver_triggers([message], again=True)
    world.now_ms += 1
    world.deliver_triggers([message])
    assert outcomes(world) == [("e1", "SUBMITTED", 1)]
    assert jobs_in(world) == 1
    world.run_until_idle()


def test_the_order_of_events_does_not_matter(world: World) -> None:
    """S3 may report the later change first, and one change under two ids."""
    make_stage(world)
    trigger = put_trigger(world, source=UPLOADS)
    fire(world, upload("k", sequencer="0B", event_id="e2"), upload("k", sequencer="0A"))
    fire(world, upload("k", sequencer="0A", event_id="e3"))
    keys = [f"Object Created|b|k|-|{sequencer}" for sequencer in ("0A", "0B")]
    assert sorted(outcomes(world)) == [(keys[0], "SUBMITTED", 1), (keys[1], "SUBMITTED", 0)]
    assert all(job_of(world, trigger, key) for key in keys)
    world.run_until_idle()


def test_an_event_that_arrives_after_the_deletion_is_discarded(
    world: World, trigger: Trigger
) -> None:
    delete_trigger(world)
    fire(world, event())
    assert outcomes(world) == [("e1", "DISCARDED", 0)]
    assert job_of(world, trigger, "e1") is None


def test_a_trigger_that_is_being_deleted_does_not_fire(world: World, trigger: Trigger) -> None:
    put_trigger(world, status="DELETING")
    fire(world, event())
    assert outcomes(world) == [("e1", "DISCARDED", 0)]


def test_an_event_of_a_deleted_trigger_does_not_fire_a_new_one_of_the_same_name(
    world: World, trigger: Trigger
) -> None:
    delete_trigger(world)
    new = put_trigger(world, uid="uid-2")
    fire(world, event())
    assert outcomes(world) == [("e1", "DISCARDED", 0)]
    fire(world, event(), uid="uid-2")
    assert job_of(world, trigger, "e1") is None
    assert job_of(world, new, "e1") is not None
    assert len(listed(world)) == 2
    world.run_until_idle()


def test_a_disabled_trigger_skips(world: World, trigger: Trigger) -> None:
    put_trigger(world, state="DISABLED")
    fire(world, event())
    (only,) = listed(world)
    assert (only.firing.outcome, only.firing.reason) == ("SKIPPED", "The trigger is DISABLED.")
    assert jobs_in(world) == 0


@pytest.mark.parametrize("status", ["CREATING", "UPDATING", "INVALID"])
def test_an_event_fires_its_trigger_whatever_the_status(world: World, status: str) -> None:
    make_stage(world)
    put_trigger(world, status=status)
    fire(world, event())
    assert outcomes(world) == [("e1", "SUBMITTED", 0)]
    world.run_until_idle()


def test_an_event_that_fails_is_a_dead_letter_until_its_cause_is_corrected(world: World) -> None:
    """First without a queue, then with a disabled one, then without a definition."""
    trigger = put_trigger(world)
    letters: list[tuple[str, str]] = []

    def fail_once() -> None:
        world.now_ms += 1
        fire(world, event())
        assert job_of(world, trigger, "e1") is None
        letters.extend(take_dead_letters(world))

    fail_once()
    make_stage(world)
    world.api("UpdateJobQueue", {"jobQueue": "queue", "state": "DISABLED"})
    world.run_until_idle()
    fail_once()
    world.api("DeregisterJobDefinition", {"jobDefinition": "work:1"})
    fail_once()
    bodies, reasons = zip(*letters, strict=True)
    assert reasons == (
        "JobQueue queue not found.",
        "Job Queue queue is not in ENABLED state.",
        "JobDefinition name work does not exist or is not in ACTIVE status.",
    )
    (failed,) = listed(world)
    assert (failed.firing.outcome, failed.firing.reason) == ("FAILED", reasons[-1])
    make_definition(world, "work")
    world.api("UpdateJobQueue", {"jobQueue": "queue", "state": "ENABLED"})
    world.now_ms += 1
    send(world, bodies[0])
    world.run_until_idle()
    assert outcomes(world) == [("e1", "SUBMITTED", 0)]
    assert job_of(world, trigger, "e1") is not None


HOSTILE = [
    ("slash", {"name": "a/b"}, "Job name should match valid pattern"),
    ("missing", {"value": None}, "request.parameters.value: the event has no value"),
    ("surrogate", {"value": "\ud800"}, "request.parameters.value: the event's value at"),
    ("nul", {"value": "a\0"}, "parameters.value must not contain a NUL character."),
    ("long", {"value": "x" * 1_000_000}, "with the event's values the request is 30 KiB or more"),
    ("utf8", {"value": "é" * 16_000}, "Job size must be less than 30 KiB"),
]


@pytest.mark.parametrize(("case", "detail", "reason"), HOSTILE, ids=[one[0] for one in HOSTILE])
def test_an_event_whose_values_make_an_invalid_request_is_a_dead_letter(
    world: World,
    trigger: Trigger,
    case: str,
    detail: dict[str, Any],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.support.fake_sqs.BODY_LIMIT_BYTES", 2**21)
    fire(world, event(**detail), event("good"))
    ((body, sent_reason),) = take_dead_letters(world)
    assert json.loads(body)["event"]["id"] == "e1"
    assert reason in sent_reason
    assert sorted(outcomes(world)) == [("e1", "FAILED", 0), ("good", "SUBMITTED", 0)]
    world.run_until_idle()


@pytest.mark.parametrize(
    "value",
    ["<$.id>", "<$$", "Ref::value", '"}],"x":"', "\x01\t\n", "é\U0001f600‮", "$(id)", "a" * 20_000],
    ids=range(8),
)
def test_a_hostile_value_is_only_a_value(world: World, trigger: Trigger, value: str) -> None:
    fire(world, event(value=value))
    assert spec_of(world, trigger, "e1")["parameters"] == {"value": value}
    world.run_until_idle()


def test_a_value_that_refers_to_a_parameter_is_refused_in_a_command(world: World) -> None:
    make_stage(world)
    trigger = put_trigger(
        world, request={"containerOverrides": {"command": ["run", "<$.detail.value>"]}}
    )
    fire(world, event(value="Ref::value"), event("e2", value="plain"))
    ((_, reason),) = take_dead_letters(world)
    assert reason.startswith("request.containerOverrides.command[1]: ")
    assert spec_of(world, trigger, "e2")["container"]["command"] == ["run", "plain"]
    world.run_until_idle()


def test_an_event_of_256_kb_fires_if_its_request_is_small(world: World, trigger: Trigger) -> None:
    big = event(load="x" * (255 * 1024))
    fire(world, big)
    assert outcomes(world) == [("e1", "SUBMITTED", 0)]
    world.run_until_idle()


ADDRESS = {"trigger": "trigger", "uid": UID}
BROKEN = [
    "",
    "{",
    "[]",
    "null",
    '"text"',
    "[" * 50_000,
    "1" * 5000,
    "\ud800",
    {},
    {"trigger": "trigger"},
    ADDRESS,
    {**ADDRESS, "event": []},
    {**ADDRESS, "firing": {}},
    {**ADDRESS, "firing": {"scheduledTime": 5}},
    {**ADDRESS, "trigger": "a b", "event": {}},
    {**ADDRESS, "trigger": 5, "event": {}},
    {**ADDRESS, "uid": "", "event": {}},
    {**ADDRESS, "uid": "x" * 5000, "event": {}},
    '{"trigger":"trigger","uid":"uid-1","event":{"id":NaN}}',
    '{"trigger":"trigger","uid":"uid-1","event":{"id":1e999}}',
    {"close": {**ADDRESS, "bundle": "1"}},
    {"close": []},
]


def test_an_unreadable_message_fails_alone(world: World, trigger: Trigger) -> None:
    records = [
        {"messageId": f"m{number}", "body": one if isinstance(one, str) else json.dumps(one)}
        for number, one in enumerate(BROKEN)
    ]
    good = {"messageId": "good", "body": json.dumps({**ADDRESS, "event": event()})}
    answered = world.call_handler(_handler(), {"Records": [*records, good]})
    failed = {one["itemIdentifier"] for one in answered["batchItemFailures"]}
    assert failed == {record["messageId"] for record in records}
    assert outcomes(world) == [("e1", "SUBMITTED", 0)]
    world.run_until_idle()


def _handler() -> Any:
    import app

    return app.fire_triggers


@pytest.mark.parametrize("odd", [{}, {"id": 5}, {"id": ""}, {"id": "\ud800"}, {"id": "x" * 9999}])
def test_an_event_without_a_proper_id_still_makes_one_job(
    world: World, odd: dict[str, Any]
) -> None:
    make_stage(world)
    put_trigger(world, request={"jobName": "job", "parameters": {}})
    fire(world, odd, odd)
    fire(world, odd)
    assert [one[1:] for one in outcomes(world)] == [("SUBMITTED", 2)]
    assert jobs_in(world) == 1
    world.run_until_idle()


def test_a_firing_of_a_schedule_makes_one_job(world: World) -> None:
    """Scheduler fires at least once; firings differ by the time for which they are."""
    make_stage(world)
    put_trigger(
        world,
        source=SCHEDULE,
        request={"jobName": "nightly", "parameters": {"value": "<$.detail.scheduledTime>"}},
    )
    ticks(world, "2027-01-15T08:00:00Z")
    ticks(world, "2027-01-15T08:00:00Z")
    ticks(world, "2027-01-15T09:00:00Z")
    world.run_until_idle()
    assert sorted(outcomes(world)) == [
        ("2027-01-15T08:00:00Z", "SUBMITTED", 1),
        ("2027-01-15T09:00:00Z", "SUBMITTED", 0),
    ]


def test_a_schedule_message_without_a_time_fires_by_the_time_it_was_sent(world: World) -> None:
    make_stage(world)
    put_trigger(world, source=SCHEDULE, request={"jobName": "nightly", "parameters": {}})
    ticks(world, "<aws.scheduler.scheduled-time>")
    world.now_ms += 60_000
    world.run_until_idle()
    assert outcomes(world) == [("2027-01-15T08:00:00Z", "SUBMITTED", 0)]


def test_a_failure_that_is_not_the_event_s_fault_is_tried_again(
    world: World, trigger: Trigger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record cannot be written at first; the job exists, and is not made again."""
    with monkeypatch.context() as patch:
        patch.setattr(type(world.ports.firings), "record", _fail)
        fire(world, event())
    assert job_of(world, trigger, "e1") is not None
    assert listed(world) == []
    world.advance(600)
    assert outcomes(world) == [("e1", "SUBMITTED", 0)]
    assert jobs_in(world) == 1


def _fail(*args: Any, **kwargs: Any) -> None:
    raise RuntimeError("not now")


def test_a_dead_letter_that_cannot_be_sent_leaves_its_message(
    world: World, trigger: Trigger, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = send_events(world, event(name="a/b"), event("good"))
    with monkeypatch.context() as patch:
        patch.setattr(type(world.ports.dead_letters), "send", _fail)
        world.deliver_triggers(messages)
    assert world.sqs.triggers.messages == messages[:1]
    world.advance(600)
    assert len(take_dead_letters(world)) == 1


def test_failed_firings_are_counted_in_a_metric(
    world: World, trigger: Trigger, capsys: pytest.CaptureFixture[str]
) -> None:
    fire(world, event(), event("e2", name="a/b"), event("e3", name="a/b"))
    lines = [json.loads(one) for one in capsys.readouterr().out.splitlines() if "_aws" in one]
    (metric,) = lines
    (described,) = metric["_aws"]["CloudWatchMetrics"]
    assert described["Namespace"] == "Batchyard"
    assert described["Metrics"][0]["Name"] == "FailedFirings"
    assert {"stack", "trigger"} <= set(described["Dimensions"][0])
    assert (metric["FailedFirings"], metric["trigger"]) == ([2.0], "trigger")
    assert metric["stack"] == world.settings.stack
    take_dead_letters(world)
    world.run_until_idle()


def test_a_batch_reads_its_triggers_queue_and_definition_once(
    world: World, trigger: Trigger
) -> None:
    """Beyond the one transaction of each job a batch of ten takes four calls."""
    messages = send_events(world, *(event(f"e{number}") for number in range(10)))
    world.calls.clear()
    world.deliver_triggers(messages)
    calls = {call: world.calls.count(call) for call in set(world.calls)}
    assert calls == {
        "dynamodb.BatchGetItem": 2,  # the trigger, the queue
        "dynamodb.Query": 1,  # the newest revision of the definition
        "dynamodb.TransactWriteItems": 10,
        "dynamodb.PutItem": 1,  # the record of all ten
    }
    world.run_until_idle()


def test_firings_are_listed_page_by_page(world: World, trigger: Trigger) -> None:
    make_queue(world, "other")
    for number in range(5):
        world.now_ms += 1
        fire(world, event(f"e{number}"))
    first = world.ports.firings.page("trigger", limit=2)
    second = world.ports.firings.page("trigger", limit=2, before=first.before)
    third = world.ports.firings.page("trigger", limit=2, before=second.before)
    pages = [[t.firing.event_key for t in page.firings] for page in (first, second, third)]
    assert pages == [["e4", "e3"], ["e2", "e1"], ["e0"]]
    assert third.before is None
    world.run_until_idle()
