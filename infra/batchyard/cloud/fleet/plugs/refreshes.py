"""Instance refreshes of the local cloud: they last until the last earlier instance is gone.

An instance with tasks is drained, as with managed draining; the others are replaced at once.
"""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from batchyard.cloud.fleet.plugs import Refused, queries
from batchyard.cloud.fleet.pools import REFRESHED_AT
from batchyard.cloud.fleet.values import Instance
from batchyard.cloud.fleet.worker import FleetWorker

Parameters = dict[str, Any]
Record = dict[str, Any]


class Refreshes:
    """The actions of instance refreshes; the records are kept in that of the group."""

    def __init__(self, worker: FleetWorker, group_of: Callable[[Parameters], Record]) -> None:
        self._worker, self._group_of = worker, group_of

    def answers(self) -> dict[str, Callable[[Parameters], Record]]:
        """Return what answers each action."""
        return {
            "StartInstanceRefresh": self.start,
            "DescribeInstanceRefreshes": self.describe,
            "CancelInstanceRefresh": self.cancel,
        }

    def start(self, parameters: Parameters) -> Record:
        group = self._group_of(parameters)
        with self._worker.changing():
            if self._current(group) is not None:
                raise Refused(
                    "InstanceRefreshInProgress",
                    "An Instance Refresh is already in progress and blocks the execution of this "
                    "Instance Refresh.",
                )
            now = self._worker.now()
            refresh = {
                "InstanceRefreshId": str(uuid.uuid4()),
                "AutoScalingGroupName": group["AutoScalingGroupName"],
                "Status": "InProgress",
                "StartTime": _time(now),
                "Preferences": queries.structure(parameters, "Preferences"),
                REFRESHED_AT: now,
                "_first": len(self._earlier(group, now)),
            }
            group.setdefault("InstanceRefreshes", []).insert(0, refresh)
            self._update(group, refresh)
        return {"InstanceRefreshId": refresh["InstanceRefreshId"]}

    def describe(self, parameters: Parameters) -> Record:
        group = self._group_of(parameters)
        wanted = queries.members(parameters, "InstanceRefreshIds")
        with self._worker.reading():
            self._current(group)
            found = [
                {name: value for name, value in one.items() if not name.startswith("_")}
                for one in group.get("InstanceRefreshes", [])
                if not wanted or one["InstanceRefreshId"] in wanted
            ]
        return {"InstanceRefreshes": found}

    def cancel(self, parameters: Parameters) -> Record:
        group = self._group_of(parameters)
        with self._worker.changing():
            current = self._current(group)
            if current is None:
                raise Refused(
                    "ActiveInstanceRefreshNotFound",
                    "No in progress or pending Instance Refresh found for Auto Scaling group "
                    f"{group['AutoScalingGroupName']}",
                )
            current |= {"Status": "Cancelled", "EndTime": _time(self._worker.now())}
        return {"InstanceRefreshId": current["InstanceRefreshId"]}

    def _current(self, group: Record) -> Record | None:
        """Return the refresh that is in progress, after bringing its record up to date."""
        for one in group.get("InstanceRefreshes", []):
            if one["Status"] == "InProgress":
                self._update(group, one)
                return one if one["Status"] == "InProgress" else None
        return None

    def _update(self, group: Record, refresh: Record) -> None:
        left = len(self._earlier(group, refresh[REFRESHED_AT]))
        first = refresh["_first"]
        refresh["InstancesToUpdate"] = left
        refresh["PercentageComplete"] = 100 if not first else int(100 * (first - left) / first)
        if left == 0:
            refresh |= {"Status": "Successful", "EndTime": _time(self._worker.now())}

    def _earlier(self, group: Record, at: float) -> list[Instance]:
        with self._worker.reading() as fleet:
            return [
                one
                for one in fleet.instances.values()
                if one.pool.name == group["AutoScalingGroupName"]
                and one.pool.region == group["AutoScalingGroupARN"].split(":")[3]
                and one.launched_at < at
            ]


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
