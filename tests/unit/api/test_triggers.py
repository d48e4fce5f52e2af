"""The triggers API: what is accepted, what is refused and how, what is stored."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from tests.support.scenes import make_stage
from tests.support.stack import ROOT
from tests.support.triggers import (
    EVENTS,
    REQUEST,
    SCHEDULE,
    UPLOADS,
    delete,
    document,
    every,
    get,
    made,
    put,
)
from tests.support.world import ApiError, World
from tests.support.world import world as a_world

ARN = "arn:aws:batch:us-east-1:123456789012:trigger/nightly"


def refused(world: World, body: Any, name: str = "nightly") -> str:
    with pytest.raises(ApiError) as refusal:
        put(world, name, body)
    assert (refusal.value.status, refusal.value.code) == (400, "ClientException")
    return refusal.value.message


def calls_of(world: World) -> set[str]:
    return {call for call in world.calls if call.startswith(("events.", "scheduler.", "s3."))}


@pytest.mark.parametrize(
    "source", [SCHEDULE, EVENTS, UPLOADS], ids=lambda source: next(iter(source))
)
def test_a_trigger_is_described_as_it_was_put(world: World, source: dict[str, Any]) -> None:
    make_stage(world)
    world.s3.notifications["inbox"] = {}
    answered = put(world, "nightly", document(source, description="each night"))
    assert answered == {
        "name": "nightly",
        "arn": ARN,
        "description": "each night",
        "state": "ENABLED",
        "source": source,
        "request": REQUEST,
        "overlap": "ALLOW",
        "status": "CREATING",
        "statusReason": "",
        "uid": answered["uid"],
        "createdAt": world.now_ms,
    }
    world.run_until_idle()
    idle = {"status": "VALID", "statusReason": "Trigger Healthy"}
    assert get(world, "nightly") == answered | idle


def test_the_same_document_again_changes_nothing(world: World) -> None:
    make_stage(world)
    first = made(world)
    world.calls.clear()
    # A default that is written out is the same document too.
    assert put(world, "nightly", document(state="ENABLED", overlap="ALLOW")) == first
    world.run_until_idle()
    assert "dynamodb.PutItem" not in world.calls
    assert calls_of(world) == set()


def test_a_change_keeps_the_uid_and_a_new_trigger_has_its_own(world: World) -> None:
    make_stage(world)
    first = made(world)
    changed = made(world, state="DISABLED")
    assert changed["state"] == "DISABLED"
    kept = ("uid", "createdAt")
    assert {name: changed[name] for name in kept} == {name: first[name] for name in kept}
    delete(world, "nightly")
    world.run_until_idle()
    assert made(world)["uid"] != first["uid"]


def test_a_trigger_that_is_being_modified_is_not_changed(world: World) -> None:
    make_stage(world)
    put(world, "nightly", document())
    assert put(world, "nightly", document())["status"] == "CREATING", "the same is no change"
    assert "is being modified" in refused(world, document(SCHEDULE))
    with pytest.raises(ApiError, match="is being modified"):
        delete(world, "nightly")
    world.run_until_idle()
    delete(world, "nightly")
    delete(world, "nightly")
    assert "is being modified" in refused(world, document())
    assert get(world, "nightly")["status"] == "DELETING"
    world.run_until_idle()
    with pytest.raises(ApiError, match="nightly not found") as refusal:
        get(world, "nightly")
    assert (refusal.value.status, refusal.value.code) == (404, "ResourceNotFoundException")
    assert delete(world, "nightly") == {}


def test_triggers_are_listed_in_pages_without_their_requests(world: World) -> None:
    make_stage(world)
    for name in "cab":
        made(world, name)
    first = every(world, maxResults="2")
    second = every(world, maxResults="2", nextToken=first["nextToken"])
    listed = [trigger for page in (first, second) for trigger in page["triggers"]]
    assert [trigger["name"] for trigger in listed] == ["a", "b", "c"]
    assert listed[0] == {
        "name": "a",
        "arn": f"{ARN.rpartition('/')[0]}/a",
        "state": "ENABLED",
        "source": EVENTS,
        "status": "VALID",
        "statusReason": "Trigger Healthy",
    }
    assert "nextToken" not in second


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ({"maxResults": "0"}, "between 1 and 100"),
        ({"maxResults": "-1"}, "must be a number"),
        ({"maxResults": "9" * 30}, "must be a number"),
        ({"maxResults": "ten"}, "must be a number"),
        ({"nextToken": "x"}, "nextToken is not valid"),
    ],
)
def test_a_page_that_cannot_be_is_refused(world: World, query: dict[str, str], why: str) -> None:
    with pytest.raises(ApiError, match=why):
        every(world, **query)


def test_what_an_enabled_trigger_names_must_be_there(world: World) -> None:
    make_stage(world)
    assert "JobQueue nobody not found." in refused(
        world, document(request=REQUEST | {"jobQueue": "nobody"})
    )
    assert "JobDefinition name none does not exist" in refused(
        world, document(request=REQUEST | {"jobDefinition": "none"})
    )
    made(world, "later", state="DISABLED", request=REQUEST | {"jobQueue": "nobody"})
    made(world, "open", request=REQUEST | {"jobQueue": "<$.detail.queue>"})


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "not valid JSON"),
        (b"[]", "must be a JSON object, got a list"),
        (b"\xff\xfe", "not valid UTF-8"),
        (b'{"source": {}, "source": {}}', "more than once"),
        (b'{"request": {"jobName": "\\ud800"}}', "half of a surrogate pair"),
        (b'{"request": {"x": 1e999}}', "a number that is out of range"),
        (b'{"request": ' + b"[" * 60 + b"]" * 60 + b"}", "nested more than 50 levels"),
        (b"[" * 30_000, "nested too deeply"),
        (document(description="x" * 65_536), "Trigger size must be at most 64 KiB."),
        (None, "Trigger.source is required."),
        ({"source": EVENTS}, "Trigger.request is required."),
        (document(sauce=1), "Trigger has no member sauce."),
        (document({}), "Trigger.source must have exactly one of schedule, events, uploads."),
        (document(EVENTS | SCHEDULE), "Trigger.source must have exactly one of schedule"),
        (document({"mail": {}}), "Trigger.source has no member mail."),
        (document({"schedule": {}}), "Trigger.source.schedule.expression is required."),
        (
            document({"schedule": {"expression": 5}}),
            "Trigger.source.schedule.expression must be a string, got an integer.",
        ),
        (document({"schedule": {"expression": "rate(1 week)"}}), "expression must be rate("),
        (document(state="ON"), "Trigger.state must be one of ENABLED, DISABLED."),
        (document(state=None), "Trigger.state must be one of ENABLED, DISABLED."),
        (document(overlap="QUEUE"), "Trigger.overlap must be one of ALLOW, SKIP, REPLACE."),
        (document(description="x" * 513), "Trigger.description must have at most 512 characters."),
        (document(gather={"maxEvents": 5}), "Trigger.gather.maxSeconds is required."),
        (
            document(gather={"maxEvents": 1, "maxSeconds": 5}),
            "Trigger.gather.maxEvents must be at least 2, got 1.",
        ),
        (
            document(gather={"maxEvents": 5, "maxSeconds": 901}),
            "Trigger.gather.maxSeconds must be at most 900, got 901.",
        ),
        (
            document(gather={"maxEvents": True, "maxSeconds": 5}),
            "Trigger.gather.maxEvents must be an integer, got a boolean.",
        ),
        (
            document({"uploads": {"bucket": "inbox", "kinds": []}}),
            "Trigger.source.uploads.kinds must not be empty.",
        ),
        (
            document({"uploads": {"bucket": "inbox", "kinds": ["Object Created", "Mail"]}}),
            "Trigger.source.uploads.kinds[1] must be one of Object Created,",
        ),
        (
            document({"uploads": {"bucket": "inbox", "kinds": ["Object Created"] * 2}}),
            "Trigger.source.uploads.kinds must not have duplicates.",
        ),
        (
            document({"events": {"pattern": {"a": [1]}, "bus": "a bus"}}),
            "Trigger.source.events.bus must match",
        ),
        (document(request=REQUEST | {"jobName": "<$.detail"}), "request.jobName"),
        (document(request={"jobName": "job"}), "Trigger request: "),
    ],
)
def test_what_is_wrong_is_refused_and_the_member_named(world: World, body: Any, why: str) -> None:
    assert why in refused(world, body)


def test_a_name_that_is_none_is_refused(world: World) -> None:
    assert "The name of a trigger must be" in refused(world, document(), name="a/b")
    for look in (get, delete):
        with pytest.raises(ApiError, match="The name of a trigger must be"):
            look(world, "a/b")


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"timeZone": "Europe/Atlantis"}, "timeZone must be the IANA name"),
        ({"timeZone": "../../etc/passwd"}, "timeZone must be the IANA name"),
        ({"timeZone": "Europe"}, "timeZone must be the IANA name"),
        ({"timeZone": "a\x00b"}, "timeZone must be the IANA name"),
        ({"startAt": "tomorrow"}, "startAt must be a time such as"),
        ({"endAt": "2027-01-31T08:00:00"}, "endAt must be a time such as"),
        (
            {"startAt": "2027-01-31T08:00:00+01:00", "endAt": "2027-01-31T07:00:00Z"},
            "startAt must be before endAt",
        ),
    ],
)
def test_times_of_a_schedule_are_times(world: World, members: dict[str, str], why: str) -> None:
    assert why in refused(world, document({"schedule": SCHEDULE["schedule"] | members}))


def test_a_number_without_fraction_is_an_integer(world: World) -> None:
    make_stage(world)
    gather = made(world, gather={"maxEvents": 5.0, "maxSeconds": 1})["gather"]
    assert gather == {"maxEvents": 5, "maxSeconds": 1}
    assert type(gather["maxEvents"]) is int


def test_only_a_put_loads_the_validator() -> None:
    program = (
        "import sys; from chalicelib.api import http, submit_job, triggers_http; "
        "print([name for name in sys.modules if name.startswith(('fastjsonschema', 'zoneinfo'))])"
    )
    command = [sys.executable, "-c", program]
    assert subprocess.check_output(command, text=True, cwd=ROOT) == "[]\n"


@pytest.mark.parametrize(
    ("settings", "source", "reason"),
    [
        ({"trigger_buckets": ()}, UPLOADS, "no buckets (stack parameter TriggerBuckets)"),
        (
            {"trigger_buckets": ("arn:aws:s3:::in", "arn:aws:s3:::inbox-*")},
            UPLOADS,
            "only buckets that match arn:aws:s3:::in, arn:aws:s3:::inbox-* (stack parameter",
        ),
        (
            {"trigger_bus_pattern": "orders-*"},
            UPLOADS,
            "only event buses that match orders-* (stack parameter TriggerBusPattern)",
        ),
        ({"trigger_bus_pattern": "defaul?"}, EVENTS, "Event bus default can not be used"),
        (
            {"trigger_bus_pattern": "default"},
            {"events": {"pattern": {"source": ["shop"]}, "bus": "orders"}},
            "Event bus orders can not be used by triggers. This stack lets them use only event "
            "buses that match default",
        ),
    ],
)
def test_a_trigger_uses_only_the_buckets_and_buses_that_the_stack_allows(
    settings: dict[str, Any], source: dict[str, Any], reason: str
) -> None:
    with a_world(in_memory=True, **settings) as world:
        make_stage(world)
        for state in ("ENABLED", "DISABLED"):
            assert reason in refused(world, document(source, state=state))
        assert calls_of(world) == set()


def test_what_the_stack_allows_may_be_a_pattern() -> None:
    with a_world(
        in_memory=True,
        trigger_buckets=("arn:aws:s3:::other", "arn:aws:s3:::in*"),
        trigger_bus_pattern="default",
    ) as world:
        make_stage(world)
        world.s3.notifications["inbox"] = {}
        put(world, "uploads", document(UPLOADS))
        put(world, "hourly", document(SCHEDULE))
        world.run_until_idle()
        assert get(world, "uploads")["status"] == "VALID"


def test_a_trigger_on_a_bus_that_is_not_allowed_any_more_can_be_deleted() -> None:
    bus = {"events": {"pattern": {"source": ["shop"]}, "bus": "orders"}}
    with a_world(in_memory=True) as world:
        make_stage(world)
        world.events.buses.add("orders")
        put(world, "old", document(bus))
        world.run_until_idle()
        world.settings = replace(world.settings, trigger_bus_pattern="default")
        world.restart()
        delete(world, "old")
        world.run_until_idle()
        with pytest.raises(ApiError, match="404"):
            get(world, "old")
