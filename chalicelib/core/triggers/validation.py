"""Check a trigger document beyond its schema: expressions, patterns, names of buckets.

Each rule raises ClientError with a sentence that names the member. What only AWS can check (whether
a bus or bucket exists, whether a pattern is too complex) fails when the trigger is provisioned.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from chalicelib.core.errors import ClientError
from chalicelib.core.triggers.expressions import check_expression
from chalicelib.core.triggers.trigger import Overlap

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
PATTERN_LIMIT = 4096  # characters that EventBridge takes
DEPENDENCIES_LIMIT = 20  # of a job
# REPLACE adds the last job, and the one before it while that is still being stopped.
REPLACED_LIMIT = 2

_BUCKET = re.compile(r"(?!xn--|sthree-)[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise ClientError(
            "The name of a trigger must be 1 to 64 letters, digits, hyphens and underscores, "
            "and begin with a letter or digit."
        )


def check_meaning(document: Mapping[str, Any]) -> None:
    """Raise ClientError for a document that fits the schema but makes no sense."""
    ((kind, source),) = document["source"].items()
    _SOURCES[kind](source)
    if "gather" in document:
        if kind == "schedule":
            raise ClientError("Trigger.gather is not applicable for a schedule.")
        if document.get("overlap", Overlap.ALLOW) != Overlap.ALLOW:
            raise ClientError("Trigger.gather requires the overlap ALLOW.")
        if "arrayProperties" in document["request"]:
            raise ClientError(
                "Trigger.request.arrayProperties is not applicable with gather, which sets it."
            )
    depends_on = document["request"].get("dependsOn")
    if document.get("overlap") == Overlap.REPLACE and isinstance(depends_on, list):
        most = DEPENDENCIES_LIMIT - REPLACED_LIMIT
        if len(depends_on) > most:
            raise ClientError(
                f"Trigger.request.dependsOn must have at most {most} items with the overlap "
                f"REPLACE, which adds up to {REPLACED_LIMIT}."
            )


def _check_schedule(source: Mapping[str, Any]) -> None:
    check_expression(source["expression"])


def _check_events(source: Mapping[str, Any]) -> None:
    place = "Trigger.source.events.pattern"
    _check_pattern(source["pattern"], place)
    if len(json.dumps(source["pattern"], separators=(",", ":"))) > PATTERN_LIMIT:
        raise ClientError(f"{place} must have at most {PATTERN_LIMIT} characters.")


def _check_pattern(pattern: Mapping[str, Any], place: str) -> None:
    """Check objects, and lists where values stand; EventBridge checks the contents of lists."""
    if not pattern:
        raise ClientError(f"{place} must have at least one member.")
    for name, value in pattern.items():
        inner = f"{place}.{name[:64]}"
        if isinstance(value, Mapping):
            _check_pattern(value, inner)
        elif not isinstance(value, list) or not value:
            raise ClientError(f"{inner} must be an object, or a list of at least one value.")


def _check_uploads(source: Mapping[str, Any]) -> None:
    bucket = source["bucket"]
    if not _BUCKET.fullmatch(bucket) or _ADDRESS.fullmatch(bucket):
        raise ClientError("Trigger.source.uploads.bucket must be the name of a bucket.")
    for member in ("prefix", "suffix"):
        if _CONTROL.search(source.get(member, "")):
            raise ClientError(
                f"Trigger.source.uploads.{member} must not contain control characters."
            )


_SOURCES: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
    "schedule": _check_schedule,
    "events": _check_events,
    "uploads": _check_uploads,
}
