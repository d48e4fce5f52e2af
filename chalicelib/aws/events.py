"""The client of EventBridge: publishes job events."""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from chalicelib.core.groups import in_groups
from chalicelib.core.job_event import JobEvent
from chalicelib.parallel import RunAll, in_order
from chalicelib.ports import IncompleteError

SOURCE = "batchyard"
ENTRIES_LIMIT = 10
REQUEST_LIMIT_BYTES = 256_000


class PublishError(IncompleteError):
    """EventBridge accepted only part of a request; the caller's delivery is repeated."""


class BotoEventBus:
    def __init__(self, client: Any, *, bus: str, run_all: RunAll = in_order) -> None:
        self._client = client
        self._run_all = run_all
        self._bus = bus

    def publish(self, events: Sequence[JobEvent]) -> None:
        entries = [
            {
                "Time": event.at_ms / 1000,
                "Source": SOURCE,
                "DetailType": event.detail_type,
                "Resources": list(event.resources),
                "Detail": json.dumps(event.detail, separators=(",", ":")),
                "EventBusName": self._bus,
            }
            for event in events
        ]
        # A batch of stream records makes ten requests; one by one they would delay its shard.
        self._run_all([partial(self._put, group) for group in _grouped(entries)])

    def _put(self, entries: list[dict[str, Any]]) -> None:
        answer = self._client.put_events(Entries=entries)
        if answer.get("FailedEntryCount"):
            failed = next(entry for entry in answer["Entries"] if "ErrorCode" in entry)
            raise PublishError(f"{failed['ErrorCode']}: {failed.get('ErrorMessage')}")


def _grouped(entries: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield the entries in groups that PutEvents accepts: ten entries, 256 KB with envelopes."""
    return in_groups(
        entries,
        lambda entry: len(entry["Detail"].encode()) + 512,
        size_limit=REQUEST_LIMIT_BYTES,
        number_limit=ENTRIES_LIMIT,
    )
