"""EventBridge in memory: what was published, in order, and each event held to its schema."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.support import stack
from tests.support.clients import FakeClient, OnCall, client_error
from tests.support.event_schemas import check_event

ENTRY_LIMIT_BYTES = 256 * 1024


class FakeEvents(FakeClient):
    service = "events"

    def __init__(self, now_ms: Callable[[], int], on_call: OnCall) -> None:
        super().__init__(now_ms, on_call)
        self.published: list[dict[str, Any]] = []
        self.unfit: list[str] = []  # what is wrong with those that do not fit their schema

    def do_put_events(self, params: dict[str, Any]) -> dict[str, Any]:
        entries = params["Entries"]
        if not 1 <= len(entries) <= 10:
            raise client_error("ValidationException", str(len(entries)), "PutEvents")
        for entry in entries:
            assert len(entry["Detail"].encode()) <= ENTRY_LIMIT_BYTES, "an entry over 256 KiB"
            decoded = {**entry, "Detail": json.loads(entry["Detail"])}
            try:
                check_event(event_of(decoded))
            except AssertionError as error:
                # A test may forgive the function that fails by this, and must not forgive this.
                self.unfit.append(str(error))
                raise
            self.published.append(decoded)
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "event"} for _ in entries]}

    def statuses_of(self, job_id: str) -> list[str]:
        """The statuses that were published for a job, in order."""
        changes = self.of_type("Batch Job State Change")
        details = [entry["Detail"] for entry in changes]
        return [detail["status"] for detail in details if detail["jobId"] == job_id]

    def blocks_of(self, job_id: str) -> list[dict[str, Any]]:
        """The blocks that were published for a job, in order, as entries."""
        blocks = self.of_type("Batch Job Queue Blocked")
        return [entry for entry in blocks if entry["Detail"]["jobId"] == job_id]

    def of_type(self, detail_type: str) -> list[dict[str, Any]]:
        return [entry for entry in self.published if entry["DetailType"] == detail_type]


def event_of(entry: dict[str, Any]) -> dict[str, Any]:
    """What EventBridge delivers for an entry whose detail is decoded."""
    return {
        "version": "0",
        "id": "00000000-0000-4000-8000-000000000000",
        "detail-type": entry["DetailType"],
        "source": entry["Source"],
        "account": stack.ACCOUNT,
        "time": datetime.fromtimestamp(int(entry["Time"]), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": stack.REGION,
        "resources": entry["Resources"],
        "detail": entry["Detail"],
    }
