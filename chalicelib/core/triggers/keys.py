"""Event keys: an event that is delivered again has the same key.

A job's id is derived from its trigger and its event's key, so the same event makes one job however
often, in whatever order and by whichever message it arrives.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from chalicelib.core.triggers.trigger import Schedule, Source, Uploads

_KEY_LIMIT_BYTES = 1500  # longer than that of any object in S3


def event_key_of(source: Source | None, event: Mapping[str, Any]) -> str:
    """Return the key of an event from `source`: never empty, and always valid UTF-8.

    `source` is None for a trigger that is gone: then the event's id is its key.
    """
    key = None
    if isinstance(source, Schedule):
        key = _text(_detail(event).get("scheduledTime"))
    elif isinstance(source, Uploads):
        key = _key_of_upload(event)
    return _bounded(key or _text(event.get("id")) or _digest(event))


def _key_of_upload(event: Mapping[str, Any]) -> str | None:
    """Return the key of a change in S3; a change reported twice has the same sequencer."""
    detail = _detail(event)
    changed, bucket = detail.get("object"), detail.get("bucket")
    if not isinstance(changed, Mapping) or not isinstance(bucket, Mapping):
        return None
    sequencer = _text(changed.get("sequencer"))
    parts = (_text(event.get("detail-type")), _text(bucket.get("name")), _text(changed.get("key")))
    if sequencer is None or None in parts:
        return None
    # Only the object's key may contain a bar, so two objects never share an event key.
    return "|".join([*map(str, parts), _text(changed.get("version-id")) or "-", sequencer])


def _detail(event: Mapping[str, Any]) -> Mapping[str, Any]:
    detail = event.get("detail")
    return detail if isinstance(detail, Mapping) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _digest(event: Mapping[str, Any]) -> str:
    """Return a digest of an event without an id: the same content is the same event."""
    return hashlib.sha256(json.dumps(event, sort_keys=True).encode()).hexdigest()


def _bounded(key: str) -> str:
    """Return the key shortened to its limit, with lone surrogates written as their numbers."""
    encoded = key.encode(errors="backslashreplace")
    if len(encoded) <= _KEY_LIMIT_BYTES:
        return encoded.decode()
    return f"sha256|{hashlib.sha256(encoded).hexdigest()}"
