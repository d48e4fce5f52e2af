"""A job queue, made from and written to its row of the catalog.

What the control plane decides by has a field; `shown` holds the other members, which the API shows
as they were given.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.core.resources.platforms import Platform
from chalicelib.core.resources.resource import JOB_QUEUE, Resource

# The members of the API that have an attribute of their own in the row.
_ROW_MEMBERS = frozenset({"jobQueueName", "state", "tags"})
_OWN_MEMBERS = _ROW_MEMBERS | {
    "computeEnvironmentOrder",
    "jobStateTimeLimitActions",
    "platform",
    "priority",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentOrder:
    """An environment of a queue, by name; the lowest `order` is tried first."""

    order: int
    environment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimit:
    """How long a job at the head of a queue may wait for `reason` until `action` is taken."""

    reason: str
    state: str
    limit_seconds: int
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQueue:
    """`platform` is that of all its environments, kept here to spare submissions a read."""

    name: str
    priority: int
    platform: Platform
    environment_order: tuple[EnvironmentOrder, ...]
    time_limits: tuple[TimeLimit, ...]
    state: str
    status: str
    status_reason: str
    tags: Mapping[str, str]
    shown: Mapping[str, Any]
    version: int

    @classmethod
    def from_members(
        cls,
        members: Mapping[str, Any],
        *,
        status: str,
        status_reason: str = "",
        version: int = 1,
    ) -> "JobQueue":
        """Return the queue that these members of the API, and its `platform`, describe."""
        return cls(
            name=members["jobQueueName"],
            priority=members["priority"],
            platform=Platform(members["platform"]),
            environment_order=tuple(
                EnvironmentOrder(order=entry["order"], environment=entry["computeEnvironment"])
                for entry in members["computeEnvironmentOrder"]
            ),
            time_limits=tuple(
                TimeLimit(
                    reason=action["reason"],
                    state=action["state"],
                    limit_seconds=action["maxTimeSeconds"],
                    action=action["action"],
                )
                for action in members["jobStateTimeLimitActions"]
            ),
            state=members["state"],
            status=status,
            status_reason=status_reason,
            tags=members["tags"],
            shown={name: value for name, value in members.items() if name not in _OWN_MEMBERS},
            version=version,
        )

    def members(self) -> dict[str, Any]:
        """Return the members that requests and answers have in common, and `platform`."""
        return {
            **self.shown,
            "jobQueueName": self.name,
            "priority": self.priority,
            "platform": self.platform.value,
            "computeEnvironmentOrder": [
                {"order": entry.order, "computeEnvironment": entry.environment}
                for entry in self.environment_order
            ],
            "jobStateTimeLimitActions": [
                {
                    "reason": limit.reason,
                    "state": limit.state,
                    "maxTimeSeconds": limit.limit_seconds,
                    "action": limit.action,
                }
                for limit in self.time_limits
            ],
            "state": self.state,
            "tags": dict(self.tags),
        }

    @classmethod
    def from_resource(cls, resource: Resource) -> "JobQueue":
        """Return the queue of a row."""
        members = {
            **resource.document,
            "jobQueueName": resource.name,
            "state": resource.state or "",
            "tags": resource.tags,
        }
        return cls.from_members(
            members,
            status=resource.status or "",
            status_reason=resource.status_reason or "",
            version=resource.version,
        )

    def to_resource(self) -> Resource:
        """Return the row of the queue."""
        members = self.members()
        return Resource(
            kind=JOB_QUEUE,
            name=self.name,
            version=self.version,
            document={name: value for name, value in members.items() if name not in _ROW_MEMBERS},
            state=self.state,
            status=self.status,
            status_reason=self.status_reason,
            tags=self.tags,
        )

    @property
    def environments(self) -> tuple[str, ...]:
        """The names of its compute environments, in the order in which they are tried."""
        entries = sorted(self.environment_order, key=lambda entry: entry.order)
        return tuple(entry.environment for entry in entries)

    @property
    def accepts_jobs(self) -> bool:
        """Whether jobs can be submitted."""
        return self.state == "ENABLED" and self.status == "VALID"

    @property
    def is_usable(self) -> bool:
        """Whether its jobs can be placed; a DISABLED queue lets the jobs it has run."""
        return self.status in {"VALID", "UPDATING"}
