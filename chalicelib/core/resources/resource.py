"""A resource of the catalog as it is stored: everything of the Batch API that is not a job."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

COMPUTE_ENVIRONMENT = "compute-environment"
JOB_QUEUE = "job-queue"
JOB_DEFINITION = "job-definition"
TASK_DEFINITION = "task-definition"
TASK_DEFINITION_LEASE = "task-definition-lease"
TRIGGER = "trigger"
INSTANCE_FAMILY = "instance-family"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A row of the catalog. `document` holds what has no field of its own, as the API names it."""

    kind: str
    name: str
    version: int = 1
    document: Mapping[str, Any] = field(default_factory=dict)
    state: str | None = None
    status: str | None = None
    status_reason: str | None = None
    used_by: int = 0
    active: bool | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def changed(self, **changes: Any) -> "Resource":
        """This resource with `changes`, as the row that may replace it."""
        return replace(self, version=self.version + 1, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some resources of a kind, and where the next page begins (None on the last)."""

    resources: tuple[Resource, ...]
    next_name: str | None
