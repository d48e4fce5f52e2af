"""EventBridge in memory: what was published, each event held to its schema, and rules."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from tests.support import stack
from tests.support.clients import FakeClient, OnCall, client_error
from tests.support.event_schemas import check_event

ENTRY_LIMIT_BYTES = 256 * 1024


class FakeEvents(FakeClient):
    service = "events"

    def __init__(self, now_ms: Callable[[], int], on_call: OnCall) -> None:
        super().__init__(now_ms, on_call)
        self.published: list[dict[str, Any]] = []
        self.buses = {"default"}
        self.rules: dict[tuple[str, str], dict[str, Any]] = {}  # by bus and name
        self.unfit: list[str] = []  # why events do not fit their schema

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

    def do_put_rule(self, params: dict[str, Any]) -> dict[str, Any]:
        bus, name = params["EventBusName"], params["Name"]
        if bus not in self.buses:
            raise _missing(f"Event bus {bus} does not exist.", "PutRule")
        pattern = json.loads(params["EventPattern"])
        if "refused" in pattern:
            text = "Event pattern is not valid. Reason: refused"
            raise client_error("InvalidEventPatternException", text, "PutRule")
        targets = self.rules.get((bus, name), {}).get("Targets", {})
        self.rules[bus, name] = {**params, "EventPattern": pattern, "Targets": targets}
        return {}

    def do_put_targets(self, params: dict[str, Any]) -> dict[str, Any]:
        rule = self.rules[params["EventBusName"], params["Rule"]]
        for target in params["Targets"]:
            rule["Targets"][target["Id"]] = target
        return {"FailedEntryCount": 0, "FailedEntries": []}

    def do_remove_targets(self, params: dict[str, Any]) -> dict[str, Any]:
        rule = self._rule(params["EventBusName"], params["Rule"], "RemoveTargets")
        for target in params["Ids"]:
            rule["Targets"].pop(target, None)
        return {"FailedEntryCount": 0, "FailedEntries": []}

    def do_delete_rule(self, params: dict[str, Any]) -> dict[str, Any]:
        rule = self._rule(params["EventBusName"], params["Name"], "DeleteRule")
        assert not rule["Targets"], "a rule that has targets cannot be deleted"
        del self.rules[params["EventBusName"], params["Name"]]
        return {}

    def _rule(self, bus: str, name: str, operation: str) -> dict[str, Any]:
        if (bus, name) not in self.rules:
            raise _missing(f"Rule {name} does not exist on EventBus {bus}.", operation)
        return self.rules[bus, name]

    def statuses_of(self, job_id: str) -> list[str]:
        """Return the statuses that were published for a job, in order."""
        changes = self.of_type("Batch Job State Change")
        details = [entry["Detail"] for entry in changes]
        return [detail["status"] for detail in details if detail["jobId"] == job_id]

    def blocks_of(self, job_id: str) -> list[dict[str, Any]]:
        """Return the entries of the blocks that were published for a job, in order."""
        blocks = self.of_type("Batch Job Queue Blocked")
        return [entry for entry in blocks if entry["Detail"]["jobId"] == job_id]

    def of_type(self, detail_type: str) -> list[dict[str, Any]]:
        return [entry for entry in self.published if entry["DetailType"] == detail_type]


def event_of(entry: dict[str, Any]) -> dict[str, Any]:
    """Return what EventBridge delivers for an entry whose detail is decoded."""
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


def _missing(text: str, operation: str) -> ClientError:
    return client_error("ResourceNotFoundException", text, operation)
