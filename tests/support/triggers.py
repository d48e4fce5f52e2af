"""Triggers of a World: documents, and the triggers API called as the HTTP edge calls it."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from chalicelib.api.operations import Answer
from chalicelib.api.triggers import (
    answer_fire,
    answer_firings,
    answer_trigger,
    answer_triggers,
)
from chalicelib.jobs.caller import Call
from chalicelib.triggers.fire import fire_now
from tests.support.world import CALLER, ApiError, World

Json = dict[str, Any]

REQUEST: Json = {"jobName": "job", "jobQueue": "queue", "jobDefinition": "work"}
SCHEDULE: Json = {"schedule": {"expression": "rate(5 minutes)"}}
EVENTS: Json = {"events": {"pattern": {"source": ["shop"]}}}
UPLOADS: Json = {"uploads": {"bucket": "inbox", "prefix": "in/", "suffix": ".csv"}}


def document(source: Json = EVENTS, **members: Any) -> Json:
    return {"source": source, "request": REQUEST} | members


def call(world: World, body: Any = None) -> Call:
    """Return a call with this body: bytes as they are, anything else as JSON."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return Call(ports=world.ports, caller=CALLER, is_principal=True, invocation_id=None, body=raw)


def decoded(answer: Answer) -> Json:
    """Return the body of an answer; raise ApiError for any status but 200."""
    status, headers, text = answer
    body: Json = json.loads(text)
    if status != 200:
        raise ApiError(status, headers["x-amzn-errortype"], body["message"])
    return body


def put(world: World, name: str, body: Any) -> Json:
    return decoded(answer_trigger("PUT", name, call(world, body), "request-1"))


def get(world: World, name: str) -> Json:
    return decoded(answer_trigger("GET", name, call(world), "request-1"))


def delete(world: World, name: str) -> Json:
    return decoded(answer_trigger("DELETE", name, call(world), "request-1"))


def every(world: World, **query: str) -> Json:
    return decoded(answer_triggers(query, call(world), "request-1"))


def fire(world: World, name: str, body: Any = None) -> Json:
    return decoded(
        answer_fire(name, call(world, body), partial(fire_now, ports=world.ports), "request-1")
    )


def firings(world: World, name: str, **query: str) -> Json:
    return decoded(answer_firings(name, query, call(world), "request-1"))


def made(world: World, name: str = "nightly", source: Json = EVENTS, **members: Any) -> Json:
    """Put a trigger, let it be provisioned, and return its description."""
    put(world, name, document(source, **members))
    world.run_until_idle()
    return get(world, name)


def message_of(rule: Mapping[str, Any], event: Json) -> Json:
    """Return the message that the target of a rule sends for an event."""
    template = rule["Targets"]["triggers"]["InputTransformer"]["InputTemplate"]
    text = template.replace("<aws.events.event.json>", json.dumps(event))
    message: Json = json.loads(text)
    return message
