"""Set-up for triggers: rows of the catalog, and messages as rules and schedules send them."""

import json
from typing import Any

from chalicelib.core.ids import JobKey
from chalicelib.core.job import Job
from chalicelib.core.resources.resource import TRIGGER, Resource
from chalicelib.core.triggers.firing import ListedFiring
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
    """Put the row of a trigger as provisioning leaves it, in place of an earlier row."""
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
    """Drop the row's stream records, so that nothing is provisioned for it."""
    stream = world.catalog_stream
    stream.draw()
    stream.records[:] = [
        record for record in stream.records if record["dynamodb"]["Keys"]["kind"]["S"] != TRIGGER
    ]


def event(event_id: str = "e1", **detail: Any) -> Json:
    """Return an event as EventBridge hands it to a rule's target."""
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
    """Send a message to the trigger queue; anything but text is sent as JSON."""
    text = body if isinstance(body, str) else json.dumps(body)
    world.sqs.put(world.sqs.triggers, {"MessageBody": text})
    return world.sqs.triggers.messages[-1]


def send_events(
    world: World, *events: Json, name: str = "trigger", uid: str = UID
) -> list[Message]:
    """Send the messages that a rule makes of these events."""
    return [send(world, {"trigger": name, "uid": uid, "event": one}) for one in events]


def fire(world: World, *events: Json, **addressee: Any) -> None:
    """Deliver these events in one batch; nothing that follows from their jobs is delivered."""
    messages = send_events(world, *events, **addressee)
    assert world.deliver_triggers(messages)


def ticks(world: World, time: str) -> Message:
    """Send the message of a schedule that fires."""
    firing = {"scheduledTime": time, "executionId": "x"}
    return send(world, {"trigger": "trigger", "uid": UID, "firing": firing})


def listed(world: World, name: str = "trigger") -> list[ListedFiring]:
    """Return the trigger's firings, newest first."""
    return list(world.ports.firings.page(name, limit=1000).firings)


def outcomes(world: World, name: str = "trigger") -> list[tuple[str, str, int]]:
    """Return (event key, outcome, repeats) of each firing, newest first."""
    return [
        (one.firing.event_key, str(one.firing.outcome), one.repeats) for one in listed(world, name)
    ]


def job_of(world: World, trigger: Trigger, event_key: str) -> Job | None:
    return world.ports.jobs.find_job(JobKey(job_id_for(trigger, event_key)))


def take_dead_letters(world: World) -> list[tuple[str, str]]:
    """Return (body, reason) of each dead letter, and empty the queue."""
    queue = world.sqs.trigger_dead_letters
    letters = [(one.body, one.attributes["Reason"]) for one in queue.messages]
    queue.messages = []
    return letters
