"""Scenes with triggers: rows of the catalog, messages as rules and schedules send them."""

import json
from typing import Any

from chalicelib.core.ids import JobKey
from chalicelib.core.job import Job
from chalicelib.core.resources.resource import TRIGGER, Resource
from chalicelib.core.triggers.firing import Told
from chalicelib.core.triggers.trigger import Trigger, trigger_of
from chalicelib.triggers.submit import job_id_for
from tests.support.fake_sqs import Message
from tests.support.world import World

Json = dict[str, Any]

UID = "uid-1"
EVENTS: Json = {"events": {"pattern": {"source": ["tests"]}}}
SCHEDULE: Json = {"schedule": {"expression": "rate(1 hour)"}}
UPLOADS: Json = {"uploads": {"bucket": "b"}}
REQUEST: Json = {
    "jobName": "job-<$.detail.name>",
    "jobQueue": "queue",
    "jobDefinition": "work",
    "parameters": {"value": "<$.detail.value>"},
}


def put_trigger(
    world: World,
    name: str = "trigger",
    *,
    uid: str = UID,
    status: str = "VALID",
    request: Json | None = None,
    **members: Any,
) -> Trigger:
    """The row of a trigger whose rule or schedule is there; puts it in place of one before."""
    document: Json = {"source": EVENTS, "request": {**REQUEST, **(request or {})}, **members}
    row = Resource(
        kind=TRIGGER,
        name=name,
        document=document | {"uid": uid},
        state=document.get("state", "ENABLED"),
        status=status,
    )
    catalog = world.ports.catalog
    before = catalog.find(TRIGGER, name)
    if before is not None:
        row = before.changed(document=row.document, state=row.state, status=status)
    assert catalog.put(row, replacing=before)
    _leave_unprovisioned(world)
    return trigger_of(name, uid, row.document)


def delete_trigger(world: World, name: str = "trigger") -> None:
    row = world.ports.catalog.find(TRIGGER, name)
    assert row is not None
    assert world.ports.catalog.remove(row)
    _leave_unprovisioned(world)


def _leave_unprovisioned(world: World) -> None:
    """Nothing is made for a row that is put by hand: it stands as it is."""
    stream = world.catalog_stream
    stream.draw()
    stream.records[:] = [
        record for record in stream.records if record["dynamodb"]["Keys"]["kind"]["S"] != TRIGGER
    ]


def event(event_id: str = "e1", **detail: Any) -> Json:
    """An event as EventBridge hands it to a rule's target."""
    return {
        "version": "0",
        "id": event_id,
        "detail-type": "Test",
        "source": "tests",
        "detail": {"name": event_id, "value": "v", **detail},
    }


def upload(key: str, *, sequencer: str = "0A", event_id: str = "e1", **of_object: Any) -> Json:
    return {
        "version": "0",
        "id": event_id,
        "detail-type": "Object Created",
        "source": "aws.s3",
        "detail": {
            "name": event_id,
            "value": key,
            "bucket": {"name": "b"},
            "object": {"key": key, "sequencer": sequencer, **of_object},
        },
    }


def send(world: World, body: Any) -> Message:
    """A message on the trigger queue; what is no text is sent as JSON."""
    text = body if isinstance(body, str) else json.dumps(body)
    world.sqs.put(world.sqs.triggers, {"MessageBody": text})
    return world.sqs.triggers.messages[-1]


def come(world: World, *events: Json, name: str = "trigger", uid: str = UID) -> list[Message]:
    """The messages that a rule makes of these events."""
    return [send(world, {"trigger": name, "uid": uid, "event": one}) for one in events]


def fire(world: World, *events: Json, **addressee: Any) -> None:
    """These events come in one batch, and are handled; what follows from their jobs is not."""
    assert world.deliver_triggers(come(world, *events, **addressee))


def ticks(world: World, time: str) -> Message:
    """The message of a schedule that fires."""
    firing = {"scheduledTime": time, "executionId": "x"}
    return send(world, {"trigger": "trigger", "uid": UID, "firing": firing})


def told(world: World, name: str = "trigger") -> list[Told]:
    """The trigger's firings, newest first."""
    return list(world.ports.firings.page(name, limit=1000).firings)


def outcomes(world: World, name: str = "trigger") -> list[tuple[str, str, int]]:
    """(event key, outcome, how often it came again), newest first."""
    return [(t.firing.event_key, str(t.firing.outcome), t.repeats) for t in told(world, name)]


def job_of(world: World, trigger: Trigger, event_key: str) -> Job | None:
    return world.ports.jobs.find_job(JobKey(job_id_for(trigger, event_key)))


def take_dead_letters(world: World) -> list[tuple[str, str]]:
    """(body, reason) of each dead letter; the queue is empty afterwards."""
    queue = world.sqs.trigger_dead_letters
    letters = [(one.body, one.attributes["Reason"]) for one in queue.messages]
    queue.messages = []
    return letters
