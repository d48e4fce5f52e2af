"""The replacement of instances after an infrastructure update, as `updatePolicy` wants it.

An instance refresh drains instances whose tasks run (managed draining waits for them), and starts
new ones. Jobs that outlive the policy's time-out end with their instance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from chalicelib.core.instances.groups import GroupInstance

_TIMEOUT_MINUTES = 30  # API reference, UpdatePolicy
# Pending or under way; Baking is the end of one that has replaced all.
_ACTIVE = frozenset({"Pending", "InProgress", "Cancelling", "RollbackInProgress", "Baking"})
# All at once: the jobs of a queue wait meanwhile, which is what an update means. Protected
# instances too: those are the ones with jobs.
PREFERENCES: Mapping[str, Any] = {
    "MinHealthyPercentage": 0,
    "ScaleInProtectedInstances": "Refresh",
    "StandbyInstances": "Terminate",
    "InstanceWarmup": 0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """The newest instance refresh of a group."""

    status: str
    started_at_ms: int
    reason: str = ""

    @property
    def is_active(self) -> bool:
        return self.status in _ACTIVE


class Next(Enum):
    """What the replacement does next."""

    DONE = "done"
    START = "start an instance refresh"
    WAIT = "wait for the refresh"
    TERMINATE = "terminate the instances whose jobs have had their time"


def next_of(
    outdated: Sequence[GroupInstance],
    refresh: Refresh | None,
    policy: Mapping[str, Any],
    now_ms: int,
) -> Next:
    """Return what comes next in a group that has these outdated instances.

    Without a refresh under way, those that are leaving leave by themselves.
    """
    if not outdated:
        return Next.DONE
    if refresh is None or not refresh.is_active:
        return Next.DONE if all(one.is_leaving for one in outdated) else Next.START
    minutes = int(policy.get("jobExecutionTimeoutMinutes", _TIMEOUT_MINUTES))
    if policy.get("terminateJobsOnUpdate"):
        minutes = 0
    over = now_ms - refresh.started_at_ms >= minutes * 60_000
    return Next.TERMINATE if over else Next.WAIT
