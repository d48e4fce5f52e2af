"""A trigger: a name, a source of events, and the SubmitJob request that each event makes.

A trigger that is deleted and made again under its name has another `uid`, so an event that was sent
for the first never becomes a job of the second.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

OBJECT_CREATED = "Object Created"


class Overlap(StrEnum):
    """What a firing does while the job of the firing before it has not ended."""

    ALLOW = "ALLOW"
    SKIP = "SKIP"
    REPLACE = "REPLACE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """An expression of EventBridge Scheduler (`rate()`, `cron()`, `at()`) in a time zone.

    `start_at` and `end_at` are RFC 3339 times, or None for no bound.
    """

    expression: str
    time_zone: str = "UTC"
    start_at: str | None = None
    end_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """Events on a bus that match an EventBridge pattern."""

    pattern: Mapping[str, Any]
    bus: str = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploads:
    """Events of S3 on a bucket: `kinds` are its detail-types, such as `Object Created`."""

    bucket: str
    prefix: str = ""
    suffix: str = ""
    kinds: tuple[str, ...] = (OBJECT_CREATED,)


Source = Schedule | Events | Uploads


@dataclass(frozen=True, slots=True, kw_only=True)
class Gather:
    """Up to `max_events` events, or those of `max_seconds`, become one array job."""

    max_events: int
    max_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A trigger as its document describes it."""

    name: str
    uid: str
    enabled: bool
    source: Source
    request: Mapping[str, Any]
    overlap: Overlap = Overlap.ALLOW
    gather: Gather | None = None


def trigger_of(name: str, uid: str, document: Mapping[str, Any]) -> Trigger:
    """Return the trigger of a valid trigger document (api/trigger_schema.json)."""
    gather = document.get("gather")
    return Trigger(
        name=name,
        uid=uid,
        enabled=document.get("state", "ENABLED") == "ENABLED",
        source=_source_of(document["source"]),
        request=document["request"],
        overlap=Overlap(document.get("overlap", "ALLOW")),
        gather=gather and Gather(max_events=gather["maxEvents"], max_seconds=gather["maxSeconds"]),
    )


def _source_of(source: Mapping[str, Any]) -> Source:
    if "schedule" in source:
        given = source["schedule"]
        return Schedule(
            expression=given["expression"],
            time_zone=given.get("timeZone", "UTC"),
            start_at=given.get("startAt"),
            end_at=given.get("endAt"),
        )
    if "events" in source:
        return Events(
            pattern=source["events"]["pattern"], bus=source["events"].get("bus", "default")
        )
    given = source["uploads"]
    return Uploads(
        bucket=given["bucket"],
        prefix=given.get("prefix", ""),
        suffix=given.get("suffix", ""),
        kinds=tuple(given.get("kinds", [OBJECT_CREATED])),
    )
