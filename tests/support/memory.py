"""Rows in memory: the three tables as dictionaries of values, and what their streams tell.

A row is the value that the stores speak of (a job, a ready row, an edge), found by its own key.
Each round trip that DynamoDB would need is told as a call before it is made, under the same name.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from chalicelib.core.capacity import CapacityChange
from chalicelib.core.child_range import ChildRange
from chalicelib.core.dependencies import Edge
from chalicelib.core.ids import JobKey
from chalicelib.core.job import Job, Ready
from chalicelib.core.resources.resource import Resource
from chalicelib.core.scheduling.snapshot import Capacity
from chalicelib.core.spec import Spec
from chalicelib.core.triggers.overlap_lock import OverlapLock
from chalicelib.store.catalog import row_of_resource
from chalicelib.store.codec import row_of_job

KEYS_OF_A_READ = 100  # DynamoDB's limit on the keys of one BatchGetItem

Json = dict[str, Any]


class Memory:
    """The tables. `on_call` is told of each round trip before it is made."""

    def __init__(
        self, *, retention_seconds: int, on_call: Callable[[str], None] = lambda call: None
    ) -> None:
        self._retention_seconds = retention_seconds
        self._on_call = on_call
        self.jobs: dict[JobKey, Job] = {}
        self.specs: dict[str, Spec] = {}
        self.ready: dict[tuple[str, str], Ready] = {}  # by lane and rank
        self.edges: dict[tuple[str, str], Edge] = {}  # by upstream and rank
        self.child_ranges: dict[tuple[str, str], ChildRange] = {}  # by queue and rank
        self.overlap_locks: dict[tuple[str, str], OverlapLock] = {}  # by trigger and uid
        self.capacities: dict[str, Capacity] = {}
        self.resources: dict[tuple[str, str], Resource] = {}  # by kind and name
        self._job_changes: list[tuple[JobKey, Job | None]] = []
        self._images: dict[JobKey, Json | None] = {}  # as they were when last told
        self._resource_changes: list[tuple[tuple[str, str], Resource | None, Resource | None]] = []

    def call(self, operation: str) -> None:
        """One round trip is about to be made."""
        self._on_call(f"dynamodb.{operation}")

    def call_batches(self, keys: Sequence[object]) -> None:
        """A read of many keys takes as many round trips as it has hundreds."""
        for _ in range(0, len(keys), KEYS_OF_A_READ):
            self.call("BatchGetItem")

    # Rows whose changes a stream tells: each change once, with both images

    def put_job(self, job: Job) -> None:
        old = self.jobs.get(job.key)
        self.jobs[job.key] = job
        if old != job:
            self._job_changes.append((job.key, job))

    def expire(self, key: JobKey) -> None:
        """The row goes, as DynamoDB removes what has passed its expires_at."""
        if key in self.jobs:
            del self.jobs[key]
            self._job_changes.append((key, None))

    def put_resource(self, resource: Resource) -> None:
        key = (resource.kind, resource.name)
        old = self.resources.get(key)
        # A document comes back as JSON made it, and what a caller does to its own stays there.
        stored = replace(
            resource, document=json.loads(json.dumps(resource.document)), tags=dict(resource.tags)
        )
        self.resources[key] = stored
        if old != stored:
            self._resource_changes.append((key, old, stored))

    def remove_resource(self, resource: Resource) -> None:
        key = (resource.kind, resource.name)
        self._resource_changes.append((key, self.resources.pop(key), None))

    # Figures

    def add_capacity(self, change: CapacityChange) -> None:
        """Additions commute; a row that they make has every figure."""
        name = change.environment
        now = self.capacities.get(name) or Capacity(environment=name)
        self.capacities[name] = Capacity(
            environment=name,
            cpu_units=now.cpu_units + change.cpu_units,
            tasks=now.tasks + change.tasks,
            starting=now.starting + change.starting,
        )

    # Streams

    def drain_jobs(self) -> Iterator[Json]:
        """The records of the jobs table since the last time. Specs are no consequence of one."""
        changes, self._job_changes = self._job_changes, []
        for key, new in changes:
            old_image, new_image = self._images.get(key), None
            if new is not None:
                new_image = row_of_job(new, self._retention_seconds).serialize()
            self._images[key] = new_image
            names = {"root": {"S": key.job_id}, "part": {"S": key.part}}
            yield _record(names, old_image, new_image)

    def drain_resources(self) -> Iterator[Json]:
        """The records of the catalog table since the last time."""
        changes, self._resource_changes = self._resource_changes, []
        for (kind, name), old, new in changes:
            names = {"kind": {"S": kind}, "name": {"S": name}}
            images = [row_of_resource(one).serialize() if one else None for one in (old, new)]
            yield _record(names, *images)


def _record(keys: Json, old: Json | None, new: Json | None) -> Json:
    change = {"Keys": keys, "OldImage": old, "NewImage": new}
    name = "REMOVE" if new is None else "INSERT" if old is None else "MODIFY"
    present = {member: value for member, value in change.items() if value is not None}
    return {"eventSource": "aws:dynamodb", "eventName": name, "dynamodb": present}
