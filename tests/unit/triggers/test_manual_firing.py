"""Firing a trigger by hand over the API, and the list of its firings."""

import pytest

from tests.support.scenes import make_stage
from tests.support.triggers import REQUEST, SCHEDULE, delete, fire, firings, made
from tests.support.world import ApiError, World


def test_firing_makes_a_job_and_a_record(world: World) -> None:
    make_stage(world)
    made(world, request=REQUEST | {"jobName": "of-<$.detail.who>"})
    firing = fire(world, "nightly", {"event": {"id": "one", "detail": {"who": "me"}}})
    assert (firing["outcome"], firing["eventKey"]) == ("SUBMITTED", "one")
    assert world.detail(firing["jobId"])["jobName"] == "of-me"
    assert firings(world, "nightly") == {"firings": [firing]}
    world.run_until_idle()


def test_the_same_event_again_is_listed_as_a_repeat(world: World) -> None:
    make_stage(world)
    made(world)
    first = fire(world, "nightly", {"event": {"id": "one"}})
    world.now_ms += 1000
    again = fire(world, "nightly", {"event": {"id": "one"}})
    assert (again["outcome"], again["jobId"]) == ("DUPLICATE", first["jobId"])
    assert firings(world, "nightly") == {"firings": [first | {"repeats": 1}]}
    world.run_until_idle()


def test_a_schedule_needs_no_event(world: World) -> None:
    make_stage(world)
    made(world, source=SCHEDULE, request=REQUEST | {"parameters": {"at": "<$.time>"}})
    firing = fire(world, "nightly")
    assert world.detail(firing["jobId"])["parameters"]["at"].startswith("2027-01-15T")
    world.run_until_idle()


def test_a_failure_names_its_reason(world: World) -> None:
    make_stage(world)
    made(world, request=REQUEST | {"parameters": {"key": "<$.detail.key>"}})
    firing = fire(world, "nightly", {"event": {"id": "one", "detail": {}}})
    assert firing["outcome"] == "FAILED"
    assert "$.detail.key" in firing["reason"]
    assert "jobId" not in firing
    assert firings(world, "nightly")["firings"] == [firing]


def test_firings_come_newest_first_in_pages_and_outlive_their_trigger(world: World) -> None:
    make_stage(world)
    made(world)
    ids = []
    for number in range(3):
        world.now_ms += 1000
        ids.append(fire(world, "nightly", {"event": {"id": f"e{number}"}})["jobId"])
    world.run_until_idle()
    delete(world, "nightly")
    world.run_until_idle()
    first = firings(world, "nightly", maxResults="2")
    second = firings(world, "nightly", maxResults="2", nextToken=first["nextToken"])
    found = [one["jobId"] for page in (first, second) for one in page["firings"]]
    assert found == ids[::-1]
    assert "nextToken" not in second


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "not valid JSON"),
        ({"event": 5}, "event must be an object, got an integer"),
        ({"Event": {}}, "The request has no member Event"),
        (b'{"event": {"x": "\\ud800"}}', "half of a surrogate pair"),
    ],
)
def test_a_body_that_is_no_event_is_refused(world: World, body: object, why: str) -> None:
    make_stage(world)
    made(world)
    with pytest.raises(ApiError, match=why) as refusal:
        fire(world, "nightly", body)
    assert refusal.value.status == 400


def test_an_unknown_trigger_cannot_be_fired_and_has_no_firings(world: World) -> None:
    with pytest.raises(ApiError, match="not found") as refusal:
        fire(world, "nobody")
    assert refusal.value.status == 404
    assert firings(world, "nobody") == {"firings": []}
    with pytest.raises(ApiError, match="The name of a trigger must be"):
        firings(world, "a/b")
