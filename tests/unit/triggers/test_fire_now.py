"""Firing a trigger by hand: as its events fire it, with an answer at once."""

from typing import Any

import pytest

from chalicelib.core.errors import ClientError
from chalicelib.core.triggers.firing import FiringOutcome
from chalicelib.triggers.fire import fire_now
from tests.support.firings import SCHEDULE, event, job_of, outcomes, put_trigger
from tests.support.scenes import make_stage
from tests.support.world import World


def test_an_event_is_fired_once(world: World) -> None:
    make_stage(world)
    trigger = put_trigger(world)
    first = fire_now("trigger", event(), world.ports)
    job = job_of(world, trigger, "e1")
    assert job is not None
    assert (first.outcome, first.job_id) == (FiringOutcome.SUBMITTED, job.job_id)
    world.now_ms += 1
    assert fire_now("trigger", event(), world.ports).outcome is FiringOutcome.DUPLICATE
    assert outcomes(world) == [("e1", "SUBMITTED", 1)]
    world.run_until_idle()


def test_an_event_without_an_id_is_a_new_one_each_time(world: World) -> None:
    make_stage(world)
    put_trigger(world, request={"jobName": "job", "parameters": {}})
    events: list[dict[str, Any] | None] = [{"detail": {}}, None, {"id": ""}]
    fired = [fire_now("trigger", given, world.ports) for given in events]
    assert [one.outcome for one in fired] == [FiringOutcome.SUBMITTED] * 3
    assert len({one.job_id for one in fired}) == 3
    world.run_until_idle()


def test_a_schedule_fires_as_of_now(world: World) -> None:
    make_stage(world)
    request = {"jobName": "nightly", "parameters": {"value": "<$.detail.scheduledTime>"}}
    put_trigger(world, source=SCHEDULE, request=request)
    world.now_ms += 5
    firing = fire_now("trigger", None, world.ports)
    assert firing.event_key.startswith("2027-01-15T08:")
    assert firing.event_key.endswith(".005Z")
    assert firing.job_id is not None
    assert world.detail(firing.job_id)["parameters"] == {"value": firing.event_key}
    world.run_until_idle()


def test_a_failed_firing_by_hand_is_returned_and_is_no_dead_letter(world: World) -> None:
    make_stage(world)
    put_trigger(world)
    firing = fire_now("trigger", event(name="a/b"), world.ports)
    assert (firing.outcome, firing.job_id) == (FiringOutcome.FAILED, None)
    assert firing.reason == "Job name should match valid pattern"
    assert outcomes(world) == [("e1", "FAILED", 0)]
    put_trigger(world, state="DISABLED")
    assert fire_now("trigger", event("e2"), world.ports).outcome is FiringOutcome.SKIPPED


@pytest.mark.parametrize("status", [None, "DELETING"])
def test_a_trigger_that_does_not_exist_cannot_be_fired(world: World, status: str | None) -> None:
    if status is not None:
        put_trigger(world, status=status)
    with pytest.raises(ClientError, match=r"Trigger trigger not found\."):
        fire_now("trigger", event(), world.ports)
