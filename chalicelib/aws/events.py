"""Verbs on EventBridge: publishing what happened to jobs."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

SOURCE = "batchyard"
JOB_STATE_CHANGE = "Batch Job State Change"


class PublishError(Exception):
    """EventBridge took only part of a batch; the caller's own delivery is tried again."""


class Events:
    def __init__(self, client: Any, *, bus: str) -> None:
        self._client = client
        self._bus = bus

    def publish_job_states(self, details: Sequence[tuple[int, Mapping[str, Any]]]) -> None:
        """Publish (time in ms, JobDetail) pairs as Batch's own event, under our source."""
        entries = [
            {
                "Time": at_ms / 1000,
                "Source": SOURCE,
                "DetailType": JOB_STATE_CHANGE,
                "Resources": [detail["jobArn"]],
                "Detail": json.dumps(detail, separators=(",", ":")),
                "EventBusName": self._bus,
            }
            for at_ms, detail in details
        ]
        for start in range(0, len(entries), 10):
            answer = self._client.put_events(Entries=entries[start : start + 10])
            if answer.get("FailedEntryCount"):
                failed = next(entry for entry in answer["Entries"] if "ErrorCode" in entry)
                raise PublishError(f"{failed['ErrorCode']}: {failed.get('ErrorMessage')}")
