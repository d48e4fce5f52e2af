"""EventBridge Scheduler in memory: the schedules as they were last put; nothing fires."""

from collections.abc import Callable
from typing import Any

from tests.support.clients import FakeClient, OnCall, client_error

UNKNOWN_ZONE = "Etc/Unknown"


class FakeScheduler(FakeClient):
    service = "scheduler"

    def __init__(self, now_ms: Callable[[], int], on_call: OnCall) -> None:
        super().__init__(now_ms, on_call)
        self.schedules: dict[tuple[str, str], dict[str, Any]] = {}  # by group and name

    def do_create_schedule(self, params: dict[str, Any]) -> dict[str, Any]:
        key = params["GroupName"], params["Name"]
        if key in self.schedules:
            text = f"Schedule {key[1]} already exists."
            raise client_error("ConflictException", text, "CreateSchedule")
        return self._keep(params)

    def do_update_schedule(self, params: dict[str, Any]) -> dict[str, Any]:
        assert (params["GroupName"], params["Name"]) in self.schedules
        return self._keep(params)

    def do_delete_schedule(self, params: dict[str, Any]) -> dict[str, Any]:
        if self.schedules.pop((params["GroupName"], params["Name"]), None) is None:
            text = f"Schedule {params['Name']} does not exist."
            raise client_error("ResourceNotFoundException", text, "DeleteSchedule")
        return {}

    def _keep(self, params: dict[str, Any]) -> dict[str, Any]:
        if params["ScheduleExpressionTimezone"] == UNKNOWN_ZONE:
            text = f"Provided ScheduleExpressionTimezone {UNKNOWN_ZONE} is not valid."
            raise client_error("ValidationException", text, "CreateSchedule")
        self.schedules[params["GroupName"], params["Name"]] = params
        return {"ScheduleArn": "arn:aws:scheduler:::schedule"}
