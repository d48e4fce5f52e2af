"""EventBridge in memory: what was published, in order."""

import json
from collections.abc import Callable
from typing import Any

from tests.support.clients import FakeClient, OnCall, client_error

ENTRY_LIMIT_BYTES = 256 * 1024


class FakeEvents(FakeClient):
    service = "events"

    def __init__(self, now_ms: Callable[[], int], on_call: OnCall) -> None:
        super().__init__(now_ms, on_call)
        self.published: list[dict[str, Any]] = []

    def do_put_events(self, params: dict[str, Any]) -> dict[str, Any]:
        entries = params["Entries"]
        if not 1 <= len(entries) <= 10:
            raise client_error("ValidationException", str(len(entries)), "PutEvents")
        for entry in entries:
            assert len(entry["Detail"].encode()) <= ENTRY_LIMIT_BYTES, "an entry over 256 KiB"
            self.published.append({**entry, "Detail": json.loads(entry["Detail"])})
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "event"} for _ in entries]}

    def statuses_of(self, job_id: str) -> list[str]:
        """The statuses that were published for a job, in order."""
        details = [entry["Detail"] for entry in self.published]
        return [detail["status"] for detail in details if detail["jobId"] == job_id]
