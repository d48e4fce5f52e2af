"""Gathering: events become bundles, and each bundle an array job with a manifest."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.core.arrays import summary_of
from chalicelib.core.triggers.bundles import bundle_key
from chalicelib.core.triggers.firing import FiringOutcome
from chalicelib.core.triggers.gathered import Origin
from tests.support.arrays import summary
from tests.support.drivers import run_to_the_end
from tests.support.firings import (
    UID,
    delete_trigger,
    event,
    put_trigger,
)
from tests.support.gathering import (
    ORIGIN,
    array_jobs,
    arrive,
    manifest,
    outcomes,
    put_gatherer,
)
from tests.support.scenes import make_definition, make_stage
from tests.support.world import World, world


@pytest.fixture(name="stage", params=["memory", "dynamodb"])
def make_stage_world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Make what jobs need, and a trigger that gathers five events, or those of a minute."""
    with world(in_memory=request.param == "memory") as made:
        make_stage(made)
        put_gatherer(made)
        yield made


def test_twelve_events_become_arrays_of_five_five_and_two(stage: World) -> None:
    arrive(stage, *range(12))
    assert [size for size, _ in array_jobs(stage)] == [5, 5]
    stage.advance(60)
    sizes, ids = zip(*array_jobs(stage), strict=True)
    assert sizes == (5, 5, 2)
    lines = [manifest(stage, bundle) for bundle in range(3)]
    assert [one["id"] for one in [*lines[0], *lines[1], *lines[2]]] == [f"e{n}" for n in range(12)]
    assert [len(some) for some in lines] == [5, 5, 2]
    assert lines[0][3] == event("e3")
    detail = stage.detail(ids[0])
    assert detail["parameters"] == {
        "where": f"s3://{stage.settings.manifests_bucket}/trigger/{UID}/00000000.jsonl",
        "what": "5 for trigger, bundle 0",
    }
    found = outcomes(stage)
    assert [found[f"e{n}"] for n in range(12)] == [FiringOutcome.GATHERED] * 12
    assert [found[bundle_key(n)] for n in range(3)] == [FiringOutcome.SUBMITTED] * 3
    jobs = run_to_the_end(stage, list(ids), lambda fence: 0)
    assert {job.status for job in jobs.values()} == {"SUCCEEDED"}


def test_an_event_counts_once_however_often_it_is_delivered(stage: World) -> None:
    arrive(stage, 0, 1, 0)
    arrive(stage, 1, 2)
    arrive(stage, 2, 0, 1)
    stage.advance(60)
    arrive(stage, 0, 2)
    stage.advance(60)
    assert [size for size, _ in array_jobs(stage)] == [3]
    assert [one["id"] for one in manifest(stage, 0)] == ["e0", "e1", "e2"]


def test_a_bundle_of_one_is_an_array_of_one(stage: World) -> None:
    arrive(stage, 7)
    stage.advance(60)
    ((size, job_id),) = array_jobs(stage)
    assert size == 1
    assert summary(stage, job_id) == {"STARTING": 1}
    (child,) = stage.api("DescribeJobs", {"jobs": [f"{job_id}:0"]})["jobs"]
    assert child["arrayProperties"] == {"index": 0}
    task = stage.task_of(f"{job_id}/c0")
    stage.ecs.start(task)
    stage.run_until_idle()
    listed = stage.api("ListJobs", {"arrayJobId": job_id, "jobStatus": "RUNNING"})
    assert [one["jobId"] for one in listed["jobSummaryList"]] == [f"{job_id}:0"]
    run_to_the_end(stage, [job_id], lambda fence: 0)
    assert stage.detail(job_id)["status"] == "SUCCEEDED"
    assert summary(stage, job_id) == {"SUCCEEDED": 1}
    assert {number for number in summary_of(stage.job(job_id)).values() if number} == {1}


def test_callers_of_the_api_cannot_submit_an_array_of_one(stage: World) -> None:
    with pytest.raises(Exception, match="Array size must be between 2 and 10000, got 1"):
        stage.api(
            "SubmitJob",
            {
                "jobName": "one",
                "jobQueue": "queue",
                "jobDefinition": "work",
                "arrayProperties": {"size": 1},
            },
        )


def test_a_bundle_that_cannot_be_submitted_is_a_dead_letter_until_it_is_redriven(
    stage: World,
) -> None:
    put_gatherer(stage, request={"jobDefinition": "later"})
    arrive(stage, *range(3))
    stage.advance(60)
    assert array_jobs(stage) == []
    assert outcomes(stage)[bundle_key(0)] is FiringOutcome.FAILED
    (letter,) = stage.sqs.trigger_dead_letters.messages
    close = {"trigger": "trigger", "uid": UID, "bundle": 0}
    assert json.loads(letter.body) == {"close": close}
    # It is not in `closing` any more: the sweeper leaves it, and a late close tries it again.
    stage.advance(120)
    stage.sweep()
    stage.run_until_idle()
    assert len(stage.sqs.trigger_dead_letters.messages) == 1
    make_definition(stage, "later")
    stage.sqs.trigger_dead_letters.messages.clear()
    for _ in range(2):
        stage.ports.messages.send_closes([close])
        stage.run_until_idle()
    assert [size for size, _ in array_jobs(stage)] == [3]
    assert outcomes(stage)[bundle_key(0)] is FiringOutcome.SUBMITTED
    assert stage.sqs.trigger_dead_letters.messages == []


def test_a_request_that_cannot_take_a_manifest_fails_with_a_reason(stage: World) -> None:
    put_gatherer(stage, request={"parameters": {"key": "<$.detail.object.key>"}})
    arrive(stage, 1)
    stage.advance(60)
    assert outcomes(stage)[bundle_key(0)] is FiringOutcome.FAILED
    page = stage.ports.firings.page("trigger", limit=10)
    (failed,) = [one.firing for one in page.firings if one.firing.outcome is FiringOutcome.FAILED]
    assert "$.detail.object.key" in failed.reason
    stage.sqs.trigger_dead_letters.messages.clear()


def test_events_of_a_deleted_trigger_are_discarded_each_with_a_record(stage: World) -> None:
    arrive(stage, *range(3))
    delete_trigger(stage)
    stage.advance(60)
    found = outcomes(stage)
    assert [found[f"e{n}"] for n in range(3)] == [FiringOutcome.DISCARDED] * 3
    assert array_jobs(stage) == []
    assert stage.s3.objects == {}
    put_trigger(stage, uid="uid-2", gather={"maxEvents": 5, "maxSeconds": 60})
    stage.run_until_idle()
    head = stage.ports.bundles.head(Origin(trigger="trigger", uid="uid-2"))
    assert head.version == 0


def test_gathered_events_are_submitted_after_the_trigger_is_disabled(
    stage: World,
) -> None:
    arrive(stage, *range(2))
    put_gatherer(stage, state="DISABLED")
    arrive(stage, 2)
    stage.advance(60)
    assert [size for size, _ in array_jobs(stage)] == [2]
    assert outcomes(stage)["e2"] is FiringOutcome.SKIPPED


def test_a_trigger_that_stops_gathering_submits_its_open_bundle(stage: World) -> None:
    arrive(stage, *range(2))
    put_gatherer(stage, gather=None)
    stage.advance(60)
    assert [size for size, _ in array_jobs(stage)] == [2]


def test_the_sweeper_closes_a_bundle_whose_message_was_lost(stage: World) -> None:
    arrive(stage, *range(7))
    assert len(array_jobs(stage)) == 1
    stage.sqs.triggers.messages.clear()
    stage.advance(119)
    stage.sweep()
    stage.run_until_idle()
    assert len(array_jobs(stage)) == 1
    stage.advance(1)
    stage.sweep()
    stage.run_until_idle()
    assert [size for size, _ in array_jobs(stage)] == [5, 2]


def test_the_sweeper_reads_no_bundles_when_no_trigger_gathers(world: World) -> None:
    world.calls.clear()
    world.sweep()
    before = list(world.calls)
    put_trigger(world)
    world.run_until_idle()
    world.calls.clear()
    world.sweep()
    assert world.calls == before
    assert before.count("dynamodb.Query") <= 3


def test_large_events_are_written_in_several_transactions(stage: World) -> None:
    noise = bytearray()
    state = 1
    while len(noise) < 180_000:  # does not deflate
        state = state * 6364136223846793005 % 2**64 + 1442695040888963407
        noise += state.to_bytes(9, "little")[:8]
    text = noise.hex()[:240_000]
    put_gatherer(stage, gather={"maxEvents": 100, "maxSeconds": 60})
    bodies = [event(f"e{number}", blob=f"{number}{text}") for number in range(10)]
    arrive(stage, *bodies)
    stage.advance(60)
    assert [size for size, _ in array_jobs(stage)] == [10]
    assert [one["id"] for one in manifest(stage, 0)] == [f"e{n}" for n in range(10)]


def test_any_event_is_one_line_of_the_manifest(stage: World) -> None:
    odd: dict[str, Any] = {"text": 'a\nb\u2028c"\\\x00\ud800é', "deep": [[[{}]]], "none": None}
    arrive(stage, event("e0", **odd), event("é\n\ud800", name="x"))
    stage.advance(60)
    first, second = manifest(stage, 0)
    assert first["detail"] == event("e0", **odd)["detail"]
    assert second["id"] == "é\n\ud800"


def test_the_writes_of_a_gathered_event(world: World) -> None:
    """Ten events take three calls and rows of at most a kilobyte, as the documentation says."""
    make_stage(world)
    put_gatherer(world, gather={"maxEvents": 1000, "maxSeconds": 60})
    arrive(world, *range(100, 110))
    world.calls.clear()
    arrive(world, *range(10))
    calls = [call for call in world.calls if call != "dynamodb.PutItem"]  # the record
    assert calls == [
        "dynamodb.BatchGetItem",  # the trigger
        "dynamodb.BatchGetItem",  # the head
        "dynamodb.TransactWriteItems",
    ]
    assert world.ports.bundles.head(ORIGIN).count == 20
