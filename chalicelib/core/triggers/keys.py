"""Which events are the same one: an event that comes again has the key that it had before.

A job's id is derived from its trigger and the key of its event, so the same event makes one job
however often, in whatever order and by whichever message it comes.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from chalicelib.core.triggers.trigger import Schedule, Source, Uploads

_KEY_LIMIT_BYTES = 1500  # longer than that of any object in S3


def event_key_of(source: Source | None, event: Mapping[str, Any]) -> str:
    """The key of an event that came from `source`: any text that UTF-8 can hold, never empty.

    Of a trigger that is gone, whose source nobody knows, it tells an event by its id.
    """
    key = None
    if isinstance(source, Schedule):
        key = _text(_detail(event).get("scheduledTime"))
    elif isinstance(source, Uploads):
        key = _key_of_upload(event)
    return _bounded(key or _text(event.get("id")) or _digest(event))


def _key_of_upload(event: Mapping[str, Any]) -> str | None:
    """S3 may report one change of an object twice, under two ids, and both with one sequencer."""
    detail = _detail(event)
    changed, bucket = detail.get("object"), detail.get("bucket")
    if not isinstance(changed, Mapping) or not isinstance(bucket, Mapping):
        return None
    sequencer = _text(changed.get("sequencer"))
    parts = (_text(event.get("detail-type")), _text(bucket.get("name")), _text(changed.get("key")))
    if sequencer is None or None in parts:
        return None
    # None of these has a bar in it but the key, so that two objects never share a key of ours.
    return "|".join([*map(str, parts), _text(changed.get("version-id")) or "-", sequencer])


def _detail(event: Mapping[str, Any]) -> Mapping[str, Any]:
    detail = event.get("detail")
    return detail if isinstance(detail, Mapping) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _digest(event: Mapping[str, Any]) -> str:
    """For an event without an id: the same content is the same event."""
    return hashlib.sha256(json.dumps(event, sort_keys=True).encode()).hexdigest()


def _bounded(key: str) -> str:
    """The key in a size that a record takes, half a character written as its number."""
    encoded = key.encode(errors="backslashreplace")
    if len(encoded) <= _KEY_LIMIT_BYTES:
        return encoded.decode()
    return f"sha256|{hashlib.sha256(encoded).hexdigest()}"
