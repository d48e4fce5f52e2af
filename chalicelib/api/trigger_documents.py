"""Trigger documents: from a request's body to a document that its JSON Schema and rules accept.

The schema beside this file is the only source of the shape: it validates, and `batchyard trigger
schema` and the documentation print it. The only exception that leaves this module is ClientError.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from chalicelib.contract.model import json_object
from chalicelib.contract.shapes import json_kind, shown
from chalicelib.core.errors import ClientError
from chalicelib.core.triggers.validation import check_meaning

DOCUMENT_LIMIT_BYTES = 64 * 1024
DEPTH_LIMIT = 50  # deeper than any request or pattern needs to be
_TOO_LARGE = "Trigger size must be at most 64 KiB."
_SCHEDULE = "Trigger.source.schedule"


def parse_document(body: bytes) -> dict[str, Any]:
    """Return the trigger document in a body, with the defaults that matter for comparing two."""
    given = json_object(body, DOCUMENT_LIMIT_BYTES, _TOO_LARGE)
    _check_text(given)
    _check_shape(given)
    check_meaning(given)
    if "schedule" in given["source"]:
        _check_times(given["source"]["schedule"])
    document: dict[str, Any] = {"state": "ENABLED", "overlap": "ALLOW"} | given
    if "gather" in document:
        # JSON Schema accepts 5.0 as an integer; an index must be an int.
        document["gather"] = {name: int(value) for name, value in given["gather"].items()}
    return document


def parse_event(body: bytes, limit_bytes: int = 1024 * 1024) -> dict[str, Any] | None:
    """Return the event in the body of a fire request; None when there is none."""
    given = json_object(body, limit_bytes, "Request body size must be at most 1 MiB.")
    _check_text(given)
    for name in given:
        if name != "event":
            raise ClientError(f"The request has no member {shown(name)}.")
    event = given.get("event")
    if event is not None and not isinstance(event, dict):
        raise ClientError(f"event must be an object, got {json_kind(event)}.")
    return event


@lru_cache(maxsize=1)
def schema() -> dict[str, Any]:
    """Return the JSON Schema of a trigger document."""
    loaded: dict[str, Any] = json.loads(Path(__file__).with_name("trigger_schema.json").read_text())
    return loaded


@lru_cache(maxsize=1)
def _validator() -> Callable[[Any], Any]:
    # Imported and compiled by the first PUT of a process, so no other operation is slowed down.
    import fastjsonschema

    compiled: Callable[[Any], Any] = fastjsonschema.compile(schema(), use_default=False)
    return compiled


def _check_text(given: Any) -> None:
    """Refuse what a JSON decoder accepts and cannot be stored, or passed on, as JSON."""
    level = [given]
    for _ in range(DEPTH_LIMIT):
        level = [inner for value in level for inner in _members(value)]
        if not level:
            break
    else:
        raise ClientError(f"Request body is nested more than {DEPTH_LIMIT} levels deep.")
    try:
        json.dumps(given, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise ClientError(
            "Request body has half of a surrogate pair, which is not valid."
        ) from None
    except ValueError:
        raise ClientError("Request body has a number that is out of range.") from None


def _members(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _check_shape(given: Mapping[str, Any]) -> None:
    validate = _validator()
    from fastjsonschema import JsonSchemaValueException

    try:
        validate(given)
    except JsonSchemaValueException as error:
        place = "Trigger" + "".join(_step(str(step)) for step in error.path[1:])
        sentence = _sentence(place, str(error.rule), error.rule_definition, error.value)
        raise ClientError(sentence) from None


def _step(step: str) -> str:
    return f"[{step}]" if step.isdigit() else f".{shown(step)}"


def _sentence(place: str, rule: str, wanted: Any, value: Any) -> str:
    """Return what is wrong, in the words that the rest of the API uses."""
    match rule:
        case "type":
            article = "an" if wanted[0] in "aio" else "a"
            return f"{place} must be {article} {wanted}, got {json_kind(value)}."
        case "required":
            missing = next(name for name in wanted if name not in value)
            return f"{place}.{missing} is required."
        case "additionalProperties":
            known = _properties_at(place)
            unknown = next(name for name in value if name not in known)
            return f"{place} has no member {shown(unknown)}."
        case "minProperties" | "maxProperties":
            return f"{place} must have exactly one of {', '.join(_properties_at(place))}."
        case "enum":
            return f"{place} must be one of {', '.join(wanted)}."
        case "minimum":
            return f"{place} must be at least {wanted}, got {value}."
        case "maximum":
            return f"{place} must be at most {wanted}, got {value}."
        case "minLength" | "minItems":
            return f"{place} must not be empty."
        case "maxLength":
            return f"{place} must have at most {wanted} characters."
        case "uniqueItems":
            return f"{place} must not have duplicates."
        case _:
            return f"{place} must match {wanted}."


def _properties_at(place: str) -> Mapping[str, Any]:
    """Return the members that the schema has at a place such as `Trigger.source`."""
    found = schema()
    for step in place.split(".")[1:]:
        found = found["properties"][step]
    properties: Mapping[str, Any] = found["properties"]
    return properties


def _check_times(schedule: Mapping[str, Any]) -> None:
    if "timeZone" in schedule and not _is_time_zone(schedule["timeZone"]):
        raise ClientError(f"{_SCHEDULE}.timeZone must be the IANA name of a time zone.")
    times = {name: _time_in(schedule, name) for name in ("startAt", "endAt")}
    start, end = times["startAt"], times["endAt"]
    if start is not None and end is not None and start >= end:
        raise ClientError(f"{_SCHEDULE}.startAt must be before endAt.")


def _time_in(schedule: Mapping[str, Any], name: str) -> datetime | None:
    if name not in schedule:
        return None
    try:
        time = datetime.fromisoformat(schedule[name])
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise ClientError(f"{_SCHEDULE}.{name} must be a time such as 2027-01-31T08:00:00Z.")
    return time


def _is_time_zone(name: str) -> bool:
    """Return whether the name is a time zone.

    True where this machine has no time zone data: then EventBridge Scheduler checks the name.
    """
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        try:
            ZoneInfo("Etc/UTC")
        except (KeyError, OSError):
            return True
        return False
    return True
