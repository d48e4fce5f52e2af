"""EventBridge in memory: what was published, in order, and the rules of triggers."""

import json
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from tests.support.clients import FakeClient, OnCall, client_error

ENTRY_LIMIT_BYTES = 256 * 1024


class FakeEvents(FakeClient):
    service = "events"

    def __init__(self, now_ms: Callable[[], int], on_call: OnCall) -> None:
        super().__init__(now_ms, on_call)
        self.published: list[dict[str, Any]] = []
        self.buses = {"default"}
        self.rules: dict[tuple[str, str], dict[str, Any]] = {}  # by bus and name

    def do_put_events(self, params: dict[str, Any]) -> dict[str, Any]:
        entries = params["Entries"]
        if not 1 <= len(entries) <= 10:
            raise client_error("ValidationException", str(len(entries)), "PutEvents")
        for entry in entries:
            assert len(entry["Detail"].encode()) <= ENTRY_LIMIT_BYTES, "an entry over 256 KiB"
            self.published.append({**entry, "Detail": json.loads(entry["Detail"])})
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
        """The statuses that were published for a job, in order."""
        details = [entry["Detail"] for entry in self.published]
        return [detail["status"] for detail in details if detail["jobId"] == job_id]


def _missing(text: str, operation: str) -> ClientError:
    return client_error("ResourceNotFoundException", text, operation)
