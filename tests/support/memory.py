"""Rows in memory: the three tables as dictionaries of values, and their changes.

A row is the value that the stores read and write (a job, a ready row, an edge), found by its key.
Every round trip that DynamoDB would need is reported, before it is made, under the same name.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from chalicelib.core.capacity import CapacityChange
from chalicelib.core.child_range import ChildRange
from chalicelib.core.dependencies import Edge
from chalicelib.core.ids import JobKey
from chalicelib.core.job import Job
from chalicelib.core.ready import Ready
from chalicelib.core.resources.resource import Resource
from chalicelib.core.scheduling.snapshot import Capacity
from chalicelib.core.spec import Spec
from chalicelib.core.triggers.overlap_lock import OverlapLock

KEYS_OF_A_READ = 100  # DynamoDB's limit on the keys of one BatchGetItem

JobChange = tuple[JobKey, Job | None]
ResourceChange = tuple[tuple[str, str], Resource | None, Resource | None]


class Memory:
    """The tables. `on_call` gets the name of each round trip before it is made."""

    def __init__(self, on_call: Callable[[str], None] = lambda call: None) -> None:
        self._on_call = on_call
        self.jobs: dict[JobKey, Job] = {}
        self.specs: dict[str, Spec] = {}
        self.ready: dict[tuple[str, str], Ready] = {}  # by lane and rank
        self.edges: dict[tuple[str, str], Edge] = {}  # by upstream and rank
        self.child_ranges: dict[tuple[str, str], ChildRange] = {}  # by queue and rank
        self.answers: set[tuple[str, str]] = set()  # queue and job id
        self.overlap_locks: dict[tuple[str, str], OverlapLock] = {}  # by trigger and uid
        self.capacities: dict[str, Capacity] = {}
        self.permits_full_at_us: int | None = None
        self.resources: dict[tuple[str, str], Resource] = {}  # by kind and name
        self._job_changes: list[JobChange] = []
        self._resource_changes: list[ResourceChange] = []

    def call(self, operation: str) -> None:
        """Report a round trip that is about to be made."""
        self._on_call(f"dynamodb.{operation}")

    def call_batches(self, keys: Sequence[object]) -> None:
        """Report the round trips of a read of many keys: one for each hundred."""
        for _ in range(0, len(keys), KEYS_OF_A_READ):
            self.call("BatchGetItem")

    # Rows whose changes a stream reports: each change once, with both images

    def put_job(self, job: Job) -> None:
        old = self.jobs.get(job.key)
        self.jobs[job.key] = job
        if old != job:
            self._job_changes.append((job.key, job))

    def expire(self, key: JobKey) -> None:
        """Remove the row, as DynamoDB does after its expires_at."""
        if key in self.jobs:
            del self.jobs[key]
            self._job_changes.append((key, None))

    def put_resource(self, resource: Resource) -> None:
        key = (resource.kind, resource.name)
        old = self.resources.get(key)
        # A copy, as JSON makes it: later changes of the caller's document must not reach the row.
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
        """Add to an environment's figures; a row that this creates has all of them."""
        name = change.environment
        now = self.capacities.get(name) or Capacity(environment=name)
        self.capacities[name] = replace(
            now,
            cpu_units=now.cpu_units + change.cpu_units,
            tasks=now.tasks + change.tasks,
            starting=now.starting + change.starting,
        )

    # Streams: what changed since it was last asked for

    def drain_jobs(self) -> list[JobChange]:
        """Return each (key, row or None) of the jobs table. Specs are not among them."""
        changes, self._job_changes = self._job_changes, []
        return changes

    def drain_resources(self) -> list[ResourceChange]:
        """Return each (kind and name, old row, new row) of the catalog table."""
        changes, self._resource_changes = self._resource_changes, []
        return changes


def lane_of(queue: str, share: str) -> str:
    return f"{queue}/{share}"


def child_range_rank(job_id: str, first: int) -> str:
    """Return the rank of a child range: those of an array in order of their first number."""
    return f"{job_id}#{first:08d}"
