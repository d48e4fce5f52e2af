"""The stores, one protocol each: what is kept in the three tables and under which conditions.

Reads are strongly consistent unless a method says otherwise. Writes are conditional: a method that
returns False, or returns what it did not write, found a row that has changed since it was read. Any
of them may raise ContentionError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from chalicelib.core.arrays import ChildPage
    from chalicelib.core.child_range import ChildRange
    from chalicelib.core.dependencies import Edge
    from chalicelib.core.ids import JobKey
    from chalicelib.core.job import Job
    from chalicelib.core.lane import Lane
    from chalicelib.core.moves import Advance, CapacityLimit, Move
    from chalicelib.core.ready import Ready
    from chalicelib.core.resources.resource import Page, Resource
    from chalicelib.core.scheduling.cooling import Cooling
    from chalicelib.core.scheduling.launch_permits import LaunchPermits
    from chalicelib.core.scheduling.snapshot import Capacity
    from chalicelib.core.spec import Spec
    from chalicelib.core.states import JobStatus
    from chalicelib.core.triggers.bundles import BundleSlice, Head
    from chalicelib.core.triggers.firing import Firing, FiringPage
    from chalicelib.core.triggers.gathered import Item, Origin, Refused
    from chalicelib.core.triggers.overlap_lock import OverlapLock


class JobStore(Protocol):
    """Jobs, the children of arrays, nodes, and the specs of jobs."""

    def find_jobs(self, keys: Iterable[JobKey]) -> dict[JobKey, Job]:
        """Return the jobs, children and nodes among `keys` that have a row."""

    def find_all(self, keys: Iterable[JobKey]) -> dict[JobKey, Job]:
        """Return the jobs, children and nodes that exist among `keys`, and the children's parents.

        A virtual child is computed from its parent, at version 0.
        """

    def find_job(self, key: JobKey) -> Job | None:
        """Return the job, child or node if it has a row."""

    def find_specs(self, job_ids: Iterable[str]) -> dict[str, Spec]:
        """Return the specs that exist among `job_ids`, by job id."""

    def submit(
        self,
        job: Job,
        spec: Spec,
        edges: Sequence[Edge] = (),
        overlap_lock: OverlapLock | None = None,
    ) -> bool:
        """Write a new job, its spec, its ready row and its dependency edges: all or nothing.

        Returns False when a job of that id exists: the submission is a retry of an accepted one.
        `overlap_lock` is written in the same transaction; OverlapLockLostError when another firing
        has taken the lock.
        """

    def commit(
        self,
        moves: Sequence[Move],
        capacity_limits: Mapping[str, CapacityLimit] | None = None,
        advances: Sequence[Advance] = (),
    ) -> tuple[Move, ...]:
        """Write the moves and advances; return the moves that were not written.

        A move is not written when the row is no longer at the version it was decided for. When an
        environment has less left under its limit in `capacity_limits` than the moves of one
        transaction take together, none of these moves is written. An advance is written with all
        of its moves or with none.
        """

    def list_children(
        self, job_id: str, first: int, last: int, *, limit: int | None = None
    ) -> tuple[Job, ...]:
        """Return the children with a row, numbered `first` to `last`, in order of number."""

    def find_children(
        self,
        job_id: str,
        first: int,
        *,
        status: JobStatus | None = None,
        limit: int,
        rows_limit: int,
    ) -> ChildPage:
        """Return at most `limit` children with a row, from number `first` on; one page of a query.

        Of at most `rows_limit` rows that are looked at, those in `status` if it is given. The page
        may be short or empty and still say where to go on. Eventually consistent.
        """

    def list_by_status(
        self, queue: str, status: JobStatus, *, before: str | None, limit: int
    ) -> tuple[Job, ...]:
        """Return at most `limit` jobs of the queue, newest first; eventually consistent.

        Only jobs older than the created key `before` are returned; no children, no nodes.
        """

    def list_oldest(
        self, queue: str, status: JobStatus, *, after: str | None = None, limit: int
    ) -> tuple[Job, ...]:
        """Return at most `limit` jobs of the queue, oldest first; eventually consistent.

        Only jobs younger than the created key `after` are returned; no children, no nodes.
        """

    def restore_ready(self, job: Job) -> bool:
        """Write the ready row that must exist beside this job, which was read, and does not.

        Returns False when the job has changed since, or the row exists.
        """

    def put_tags(
        self, job_id: str, tags: Mapping[str, str], *, replacing: Mapping[str, str]
    ) -> bool:
        """Replace the tags `replacing`, which were read, by `tags`.

        Returns False when the tags have changed since, or the job has expired.
        """

    def add_task_token(self, job_id: str, token: str) -> bool:
        """Add a Step Functions task to those that get the job's result; idempotent.

        Returns False when the job has expired.
        """

    def forget(self, job_id: str) -> None:
        """Delete the spec of an expired job; idempotent."""


class LaneStore(Protocol):
    """Ready rows by lane, dependency edges, child ranges, and the capacity in use."""

    def heads(self, lane: Lane, limit: int) -> tuple[Ready, ...]:
        """Return the first `limit` ready rows of the lane, in rank order."""

    def has_work(self, queue: str) -> bool:
        """Return whether the queue's lane holds a ready row."""

    def capacities(self, environments: Iterable[str]) -> dict[str, Capacity]:
        """Return the capacity in use, and the cooling, by environment.

        One that never ran a job is absent.
        """

    def correct_capacity(self, seen: Capacity | None, counted: Capacity) -> bool:
        """Replace drifted figures by counted ones; False if they have changed since `seen`.

        A cooling stays as it is.
        """

    def put_cooling(
        self, environment: str, cooling: Cooling | None, *, replacing: Cooling | None
    ) -> bool:
        """Write the cooling of an environment, None to end it; False if it is not `replacing`."""

    def permits_full_at_us(self) -> int:
        """Return when the bucket of launch permits will be full; 0 if none was ever taken."""

    def take_permits(self, permits: LaunchPermits, count: int, *, in_debt: bool = False) -> bool:
        """Take launch permits from the bucket that was read as `permits`.

        Returns False when others have taken so many meanwhile that there are not enough, or when
        the bucket was full as it was read and is not any more. With `in_debt` it need not hold as
        many.
        """

    def return_permits(self, permits: LaunchPermits, count: int) -> None:
        """Give back launch permits that were taken and not used."""

    def edges(
        self, job_id: str, *, first: str = "", last: str = "~", limit: int
    ) -> tuple[Edge, ...]:
        """Return at most `limit` edges of jobs that wait for this one, ranks `first` to `last`."""

    def forget_edges(self, job_id: str) -> None:
        """Delete the edges to an expired job; idempotent."""

    def missing_ready(self, readies: Sequence[Ready]) -> tuple[Ready, ...]:
        """Return those of the ready rows that do not exist."""

    def expect_answer(self, queue: str, job_id: str) -> None:
        """Record that a Step Functions task waits for this job's end; idempotent."""

    def unanswered(self, queue: str, *, after: str = "", limit: int) -> tuple[str, ...]:
        """Return at most `limit` ids above `after` of the queue's jobs that a task waits for."""

    def drop_answer(self, queue: str, job_id: str) -> None:
        """Delete the record that a task waits for this job's end; idempotent."""

    def child_ranges(
        self,
        queue: str,
        job_id: str | None = None,
        *,
        after: int = -1,
        behind: ChildRange | None = None,
        limit: int,
    ) -> tuple[ChildRange, ...]:
        """Return child ranges of the queue that may hold children that have not ended.

        With `job_id` only those of this array, whose first number is above `after`; with `behind`
        only those after this range.
        """

    def drop_child_range(self, child_range: ChildRange) -> None:
        """Delete a child range whose children have all ended; idempotent."""

    def drop_ready(self, ready: Ready) -> bool:
        """Delete a ready row whose job is not RUNNABLE; False if the row is another job's."""


class CatalogStore(Protocol):
    """The resources of the Batch API other than jobs: by kind and name, with a version each."""

    def find(self, kind: str, name: str) -> Resource | None:
        """Return the resource, or None if there is none of that kind and name."""

    def find_many(self, kind: str, names: Iterable[str]) -> dict[str, Resource]:
        """Return the resources that exist among `names`, by name."""

    def list_kind(self, kind: str, *, after: str | None = None, limit: int = 100) -> Page:
        """Return at most `limit` resources of a kind in order of name, from behind `after`."""

    def newest(
        self, name: str, *, limit: int | None = 1, active_only: bool = False
    ) -> list[Resource]:
        """Return the newest revisions of a job definition, newest first; all if `limit` is None."""

    def put(self, resource: Resource, *, replacing: Resource | None) -> bool:
        """Write the resource in place of the one that was read; False if that has changed."""

    def put_linked(
        self,
        queue: Resource,
        *,
        replacing: Resource | None,
        link: Iterable[str] = (),
        unlink: Iterable[str] = (),
    ) -> bool:
        """Write a queue and adjust `used_by` of the environments it names: all or nothing.

        Returns False when the queue has changed, or an environment to link does not exist or is
        being deleted.
        """

    def remove_linked(self, queue: Resource, *, unlink: Sequence[str]) -> bool:
        """Delete a queue and decrement `used_by` of its environments; False if it has changed."""

    def remove(self, resource: Resource) -> bool:
        """Delete the resource that was read; False if it has changed."""


class OverlapLockStore(Protocol):
    """The overlap locks of triggers. `JobStore.submit` writes them."""

    def find(self, trigger: str, uid: str) -> OverlapLock:
        """Return the lock of a trigger; one of version 0 if it was never taken."""


class FiringStore(Protocol):
    """The record of what happened to the events of triggers."""

    def record(self, trigger: str, firings: Sequence[Firing], message_id: str) -> None:
        """Add the firings of events that arrived together; `message_id` is that of the first."""

    def page(self, trigger: str, *, limit: int, before: str | None = None) -> FiringPage:
        """Return at least `limit` firings, newest first, if there are as many; `before` a page.

        Several records of one event are merged as far as they are on one page. Eventually
        consistent.
        """


class BundleStore(Protocol):
    """The events that triggers gather into bundles. An event counts once."""

    def head(self, origin: Origin) -> Head:
        """Return the trigger's open bundle; an empty one of version 0 before the first event."""

    def heads(self, origins: Sequence[Origin]) -> dict[Origin, Head]:
        """Return the open bundles of the triggers that have gathered anything."""

    def add(
        self,
        origin: Origin,
        before: Head,
        after: Head,
        placed: Sequence[tuple[BundleSlice, Sequence[Item]]],
        now_ms: int,
    ) -> Refused | None:
        """Write the items of each slice, their places and the head: all or nothing.

        Returns None when everything is written, else what refused the write. The numbers of refused
        items count through all slices.
        """

    def move_on(self, origin: Origin, before: Head, after: Head) -> bool:
        """Replace the head alone; False if it has changed since it was read."""

    def ranks(self, origin: Origin, bundle: int) -> list[str]:
        """Return the ranks of a bundle's items, in order of arrival."""

    def items(self, origin: Origin, ranks: Sequence[str]) -> dict[str, Item]:
        """Return the items of these ranks that have not expired, by rank."""

    def leave(self, origin: Origin, bundle: int) -> None:
        """Remove the bundle from those being closed: it is done or has failed; idempotent.

        The head keeps its version: no decision about the open bundle depends on it.
        """

    def forget(self, origin: Origin, now_ms: int) -> None:
        """Let the head of a deleted trigger expire; late events still find it for a while."""

    def note_failure(self, origin: Origin, bundle: int, now_ms: int) -> None:
        """Record that the bundle has failed, so that a redriven close is accepted; idempotent."""

    def has_failed(self, origin: Origin, bundle: int) -> bool:
        """Return whether the bundle is recorded as failed."""

    def forget_failure(self, origin: Origin, bundle: int) -> None:
        """Delete the record that the bundle has failed; idempotent."""
