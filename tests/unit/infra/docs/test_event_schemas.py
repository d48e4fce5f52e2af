"""The schemas of events: generated from the model, and strict enough to refuse any other event."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.model import StructureShape

from batchyard.docs.event_schemas import FILES, FOLDER, event_schema, text_of
from chalicelib.contract.model import service_model
from tests.support.event_schemas import check_event
from tests.support.fake_events import event_of
from tests.support.scenes import finish, make_stage, running
from tests.support.world import World
from tests.support.world import world as make_world

STATE_CHANGE, BLOCKED = FILES.values()
Json = dict[str, Any]


@pytest.mark.parametrize(("name", "detail_type"), FILES.items())
def test_the_schema_files_are_current(name: str, detail_type: str) -> None:
    assert (FOLDER / name).read_text() == text_of(detail_type)


def test_there_is_no_other_file() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(FILES)


def objects_in(schema: Any) -> Iterator[Json]:
    """Yield every schema of an object inside this one."""
    if isinstance(schema, list):
        for one in schema:
            yield from objects_in(one)
    elif isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for one in schema.values():
            yield from objects_in(one)


@pytest.mark.parametrize("detail_type", FILES.values())
def test_no_object_has_members_that_the_model_does_not_name(detail_type: str) -> None:
    schema = event_schema(detail_type)
    found = list(objects_in(schema))
    assert len(found) > 50
    for one in found:
        assert one["additionalProperties"] is False or "properties" not in one
    model = service_model().shape_for("JobDetail")
    assert isinstance(model, StructureShape)
    assert set(schema["definitions"]["JobDetail"]["properties"]) == set(model.members)


@pytest.fixture
def event(quick: World) -> Json:
    """Return the event of a job that runs."""
    make_stage(quick)
    job_id = running(quick)
    found: Json = json.loads(json.dumps(event_of(quick.events.published[-1])))
    finish(quick, job_id)
    return found


def as_blocked(event: Json) -> Json:
    """Return the event of the same job as the head of its queue that cannot be placed."""
    detail = {**event["detail"], "status": "RUNNABLE", "statusReason": "no capacity"}
    del detail["startedAt"]
    resources = [detail["jobArn"], detail["jobQueue"]]
    return {**event, "detail-type": BLOCKED, "resources": resources, "detail": detail}


def test_the_events_of_a_job_fit_their_schemas(event: Json) -> None:
    assert event["detail"]["status"] == "RUNNING"
    check_event(event)
    check_event(as_blocked(event))


ABSENT = object()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("source", "aws.batch"),
        ("time", "2027-01-15T08:00:00.000Z"),
        ("resources", []),
        ("more", 1),
        ("detail.more", 1),
        ("detail.jobName", ABSENT),
        ("detail.status", "LOST"),
        ("detail.status", "SUCCEEDED"),  # without a stoppedAt
        ("detail.status", "STARTING"),  # with a startedAt
        ("detail.startedAt", ABSENT),
        ("detail.startedAt", "2027-01-15T08:00:00Z"),
        ("detail.startedAt", None),
        ("detail.stoppedAt", 1),
        ("detail.container.more", 1),
        ("detail.container.command", "true"),
        ("detail.container.environment", [{"name": "A", "valueFrom": "B"}]),
        ("detail.container.resourceRequirements", [{"type": "CPU", "value": "1"}]),
        ("detail.tags.resourceArn", 1),
        ("detail.isCancelled", "false"),
    ],
)
def test_an_event_that_is_not_ours_is_refused(event: Json, path: str, value: Any) -> None:
    place = event
    *folders, name = path.split(".")
    for folder in folders:
        place = place[folder]
    place[name] = value
    if value is ABSENT:
        del place[name]
    with pytest.raises(AssertionError, match="not an event of ours"):
        check_event(event)


def test_an_event_of_a_blocked_queue_has_two_resources_a_reason_and_no_start(event: Json) -> None:
    blocked = as_blocked(event)
    detail = blocked["detail"]
    reasonless = {name: value for name, value in detail.items() if name != "statusReason"}
    for wrong in (
        {"resources": blocked["resources"][:1]},
        {"resources": blocked["resources"][::-1]},
        {"detail": reasonless},
        {"detail": {**detail, "status": "PENDING"}},
        {"detail": {**detail, "startedAt": 1}},
    ):
        with pytest.raises(AssertionError, match="not an event of ours"):
            check_event(blocked | wrong)


def test_a_test_that_publishes_an_event_that_breaks_its_schema_fails() -> None:
    with (  # noqa: PT012
        pytest.raises(AssertionError, match="left over:\nnot an event of ours"),
        make_world(in_memory=True) as world,
    ):
        entry = {"Time": 1.0, "Source": "batchyard", "DetailType": STATE_CHANGE, "Resources": []}
        with pytest.raises(AssertionError, match="not an event of ours"):
            world.events.do_put_events({"Entries": [{**entry, "Detail": "{}"}]})
