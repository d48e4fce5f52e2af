"""The job store in memory: the same contract and round trips as the one over DynamoDB.

A row is a value in a dictionary, a condition is a comparison, and there is no contention. This
module states once more which rows change together, what each change requires, and which moves are
returned where that does not hold. `tests/unit/store/test_contract*.py` compare both stores.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from chalicelib.core.arrays import ChildPage, array_of, child_at, count_changes
from chalicelib.core.child_range import ChildRange
from chalicelib.core.commit_units import (
    CommitUnit,
    by_root,
    capacity_changes,
    changes_one_row,
    grouped,
    units_of,
)
from chalicelib.core.dependencies import Edge
from chalicelib.core.ids import JobKey
from chalicelib.core.job import ArrayState, Job, created_key_of, ready_of
from chalicelib.core.moves import Advance, CapacityLimit, Move
from chalicelib.core.ready import Ready
from chalicelib.core.spec import Spec
from chalicelib.core.states import JobStatus
from chalicelib.core.triggers.overlap_lock import OverlapLock
from chalicelib.ports import OverlapLockLostError
from tests.support.memory import Memory, child_range_rank, lane_of

ACTIONS_LIMIT = 100  # DynamoDB's limit on the actions of one transaction
GOING_ON = frozenset({JobStatus.RUNNABLE, JobStatus.STARTING})
# What the writes of children change in their parent, without a decision about it.
COUNTED = frozenset({"cursor", "singled", "counts"})
# In the order in which a parent's row has them.
COUNTED_STATUSES = (
    JobStatus.PENDING,
    JobStatus.RUNNABLE,
    JobStatus.STARTING,
    JobStatus.RUNNING,
    JobStatus.SUCCEEDED,
    JobStatus.FAILED,
)
REASONS_TO_WAIT = ("status_reason", "blocked_why", "blocked_since_ms")


class MemoryJobStore:
    """A `JobStore` over `Memory`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    # Reading

    def find_jobs(self, keys: Iterable[JobKey]) -> dict[JobKey, Job]:
        wanted = [JobKey(*key) for key in dict.fromkeys(keys)]
        self._memory.call_batches(wanted)
        rows = self._memory.jobs
        return {key: rows[key] for key in wanted if key in rows}

    def find_all(self, keys: Iterable[JobKey]) -> dict[JobKey, Job]:
        wanted = list(keys)
        found = self.find_jobs([*wanted, *(key.root for key in wanted if key.is_child)])
        for key in wanted:
            if key not in found and key.root in found:
                child = child_at(found[key.root], key)
                found |= {key: child} if child is not None else {}
        return found

    def find_job(self, key: JobKey) -> Job | None:
        return self.find_jobs([key]).get(key)

    def find_specs(self, job_ids: Iterable[str]) -> dict[str, Spec]:
        wanted = list(dict.fromkeys(job_ids))
        self._memory.call_batches(wanted)
        specs = self._memory.specs
        return {job_id: _copy(specs[job_id]) for job_id in wanted if job_id in specs}

    def list_children(
        self, job_id: str, first: int, last: int, *, limit: int | None = None
    ) -> tuple[Job, ...]:
        self._memory.call("Query")
        wanted = range(first, last + 1)
        children = {
            key.part: job
            for key, job in self._memory.jobs.items()
            if key.job_id == job_id and key.is_child and key.number in wanted
        }
        return tuple(job for _, job in sorted(children.items()))[:limit]

    def find_children(
        self,
        job_id: str,
        first: int,
        *,
        status: JobStatus | None = None,
        limit: int,
        rows_limit: int,
    ) -> ChildPage:
        self._memory.call("Query")
        rows = [
            job
            for key, job in self._memory.jobs.items()
            if key.job_id == job_id and key.is_child and (key.number or 0) >= first
        ]
        rows.sort(key=_number_of)
        looked_at = rows[:rows_limit]
        found = [job for job in looked_at if status is None or job.status is status]
        if len(found) > limit:
            return ChildPage(tuple(found[:limit]), _number_of(found[limit]))
        # As DynamoDB, which does not look ahead when it has stopped because of the limit.
        stopped = len(looked_at) == rows_limit
        return ChildPage(tuple(found), _number_of(looked_at[-1]) + 1 if stopped else None)

    def list_by_status(
        self, queue: str, status: JobStatus, *, before: str | None, limit: int
    ) -> tuple[Job, ...]:
        jobs = reversed(self._roots(queue, status))
        return tuple(job for job in jobs if not before or created_key_of(job) < before)[:limit]

    def list_oldest(
        self, queue: str, status: JobStatus, *, after: str | None = None, limit: int
    ) -> tuple[Job, ...]:
        jobs = self._roots(queue, status)
        return tuple(job for job in jobs if not after or created_key_of(job) > after)[:limit]

    def restore_ready(self, job: Job) -> bool:
        ready = ready_of(job)
        if ready is None:
            return False
        self._memory.call("TransactWriteItems")
        row = self._memory.jobs.get(job.key)
        if row is None or row.version != job.version:
            return False
        if (lane_of(*ready.lane), ready.rank) in self._memory.ready:
            return False
        self._put_ready(ready)
        return True

    def _roots(self, queue: str, status: JobStatus) -> list[Job]:
        self._memory.call("Query")
        jobs = [
            job
            for key, job in self._memory.jobs.items()
            if key == key.root and (job.queue, job.status) == (queue, status)
        ]
        return sorted(jobs, key=created_key_of)

    # Submitting, and changing specs

    def submit(
        self,
        job: Job,
        spec: Spec,
        edges: Sequence[Edge] = (),
        overlap_lock: OverlapLock | None = None,
    ) -> bool:
        self._memory.call("TransactWriteItems")
        if job.key in self._memory.jobs or job.job_id in self._memory.specs:
            return False
        if overlap_lock is not None:
            self._take(overlap_lock)
        self._memory.put_job(job)
        self._memory.specs[job.job_id] = _copy(spec)
        self._put_ready(ready_of(job))
        if spec.task_tokens:
            self._memory.answers.add((job.queue, job.job_id))
        self._memory.edges |= {(edge.upstream_id, edge.rank): edge for edge in edges}
        return True

    def _take(self, overlap_lock: OverlapLock) -> None:
        owner = (overlap_lock.trigger, overlap_lock.uid)
        taken = self._memory.overlap_locks.get(owner)
        if overlap_lock.version != (taken.version if taken else 0) + 1:
            raise OverlapLockLostError(overlap_lock.trigger)
        self._memory.overlap_locks[owner] = overlap_lock

    def put_tags(
        self, job_id: str, tags: Mapping[str, str], *, replacing: Mapping[str, str]
    ) -> bool:
        self._memory.call("UpdateItem")
        spec = self._memory.specs.get(job_id)
        if spec is None or dict(spec.tags) != dict(replacing):
            return False
        self._memory.specs[job_id] = replace(spec, tags=dict(tags))
        return True

    def add_task_token(self, job_id: str, token: str) -> bool:
        self._memory.call("UpdateItem")
        spec = self._memory.specs.get(job_id)
        if spec is None:
            return False
        tokens = spec.task_tokens | {token}
        self._memory.specs[job_id] = replace(spec, task_tokens=tokens)
        return True

    def forget(self, job_id: str) -> None:
        self._memory.call("DeleteItem")
        self._memory.specs.pop(job_id, None)

    # Committing

    def commit(
        self,
        moves: Sequence[Move],
        capacity_limits: Mapping[str, CapacityLimit] | None = None,
        advances: Sequence[Advance] = (),
    ) -> tuple[Move, ...]:
        written, lost = self._commit_alone([move for move in moves if changes_one_row(move)])
        for change in capacity_changes(written).values():
            self._memory.call("UpdateItem")
            self._memory.add_capacity(change)
        for group in grouped(units_of(moves, advances), ACTIONS_LIMIT):
            lost.extend(self._commit_group(group, capacity_limits or {}))
        return tuple(lost)

    def _commit_alone(self, moves: Iterable[Move]) -> tuple[list[Move], list[Move]]:
        """Write moves of one row, each alone; return the written ones and the lost ones."""
        written: list[Move] = []
        lost: list[Move] = []
        for move in moves:
            self._memory.call("PutItem" if move.old.version == 0 else "UpdateItem")
            if self._is_unchanged(move):
                self._memory.put_job(self._after(move))
                written.append(move)
            else:
                lost.append(move)
        return written, lost

    def _commit_group(
        self, group: Sequence[CommitUnit], capacity_limits: Mapping[str, CapacityLimit]
    ) -> list[Move]:
        """Write one transaction, and try again without the units whose conditions failed."""
        remaining, lost = list(group), list[Move]()
        while remaining:
            self._memory.call("TransactWriteItems")
            _refuse_a_row_twice(remaining)
            refused = self._refused(remaining, capacity_limits)
            if not refused:
                self._write(remaining, capacity_limits)
                break
            lost.extend(move for unit in remaining if unit in refused for move in unit.moves)
            remaining = [unit for unit in remaining if unit not in refused]
        return lost

    # Conditions

    def _refused(
        self, units: Sequence[CommitUnit], capacity_limits: Mapping[str, CapacityLimit]
    ) -> set[CommitUnit]:
        """Return the units whose conditions fail; all of them where an environment is full."""
        refused = {unit for unit in units if not self._holds(unit)}
        for job_id, members in by_root(units):
            if not self._parent_allows(job_id, members):
                refused.update(members)
        return refused if self._have_capacity(units, capacity_limits) else set(units)

    def _holds(self, unit: CommitUnit) -> bool:
        """Return whether every row is unchanged, and every ready row to delete exists.

        The last children of an array use the ready row of its parent.
        """
        spent = [ready_of(m.old) for m in unit.moves if ready_of(m.old) != ready_of(m.new)]
        if unit.advance is not None and _is_last(unit.advance):
            spent.append(ready_of(unit.advance.parent))
        return all(map(self._is_unchanged, unit.moves)) and all(
            ready is None or self._is_there(ready) for ready in spent
        )

    def _is_unchanged(self, move: Move) -> bool:
        row = self._memory.jobs.get(move.old.key)
        return move.old.version == (row.version if row is not None else 0)

    def _is_there(self, ready: Ready) -> bool:
        row = self._memory.ready.get(_lane_and_rank(ready))
        return row is not None and row.job_id == ready.job_id

    def _parent_allows(self, job_id: str, units: Sequence[CommitUnit]) -> bool:
        """Return whether the conditions on an array's parent hold.

        The first row of a child needs the parent it was computed from. A child that gets its row
        out of order must be at or above the cursor. A child that enters RUNNABLE or STARTING needs
        an array that has not been stopped. Other moves of children only change counts.
        """
        row, (moves, advance) = self._memory.jobs.get(JobKey(job_id)), _of_root(job_id, units)
        first_rows = [move for move in moves if move.old.version == 0]
        if advance is not None or first_rows:
            parent = advance.parent if advance is not None else first_rows[0].parent
            assert parent is not None, (
                "the first row of a child needs the parent it was computed from"
            )
            if row is None or row.version != parent.version:
                return False
            if advance is not None:
                return array_of(row).cursor == array_of(parent).cursor
            return array_of(row).cursor <= min(_number(move) for move in first_rows)
        goes_on = any(move.new.status in GOING_ON for move in moves)
        return not goes_on or row is None or row.stop_cause is None

    def _have_capacity(
        self, units: Sequence[CommitUnit], capacity_limits: Mapping[str, CapacityLimit]
    ) -> bool:
        """Return whether all units together stay within the limits; a new environment has none."""
        moves = [move for unit in units for move in unit.moves]
        for name, change in capacity_changes(moves).items():
            used, capacity_limit = self._memory.capacities.get(name), capacity_limits.get(name)
            if used is None or capacity_limit is None:
                continue
            limit, cpu_units = capacity_limit.limit_cpu_units, used.cpu_units + change.cpu_units
            if change.cpu_units > 0 and limit is not None and cpu_units > limit:
                return False
            if (
                change.starting > 0
                and used.starting + change.starting > capacity_limit.starting_window
            ):
                return False
            if change.starting > 0 and used.cooling != capacity_limit.cooling:
                return False
        return True

    # Effects

    def _write(
        self, units: Sequence[CommitUnit], capacity_limits: Mapping[str, CapacityLimit]
    ) -> None:
        moves = [move for unit in units for move in unit.moves]
        # As in a transaction of PynamoDB, which sends puts before updates.
        for move in sorted(moves, key=lambda one: one.old.version != 0):
            self._memory.put_job(self._after(move))
            before, after = ready_of(move.old), ready_of(move.new)
            if before != after:
                self._drop_ready(before)
                self._put_ready(after)
        for unit in units:
            if unit.advance is not None and _is_last(unit.advance):
                self._drop_ready(ready_of(unit.advance.parent))
        for job_id, members in by_root(units):
            self._count(job_id, members)
        for name, change in capacity_changes(moves).items():
            if change.moves_anything:
                self._memory.add_capacity(change)
            capacity_limit = capacity_limits.get(name)
            if change.starting > 0 and capacity_limit and capacity_limit.probed:
                used = self._memory.capacities[name]
                self._memory.capacities[name] = replace(used, cooling=capacity_limit.probed)

    def _after(self, move: Move) -> Job:
        """Return the row after the move; the row of a parent keeps its counts."""
        row = self._memory.jobs.get(move.old.key)
        if row is None or row.array is None:
            return move.new
        array = replace(row.array, **_decided(array_of(move.old), array_of(move.new), but=COUNTED))
        return replace(row, **_decided(move.old, move.new, but={"array"}), array=array)

    def _count(self, job_id: str, units: Sequence[CommitUnit]) -> None:
        """Change an array's parent for the moves of its children, and add their child range."""
        moves, advance = _of_root(job_id, units)
        row = self._memory.jobs[JobKey(job_id)]
        array, counts = array_of(row), Counter(dict(array_of(row).counts))
        for move in moves:
            counts.update(count_changes(move.old, move.new))
        first_rows = [move for move in moves if move.old.version == 0]
        placed: dict[str, Any] = {}
        if advance is not None:
            array = replace(array, cursor=advance.cursor, singled=array.singled - advance.passed)
            if advance.parent.status_reason is not None:
                placed = dict.fromkeys(REASONS_TO_WAIT)  # placed children are not blocked
        else:
            array = replace(array, singled=array.singled + len(first_rows))
        ordered = tuple((status, counts[status]) for status in COUNTED_STATUSES if counts[status])
        self._memory.put_job(replace(row, array=replace(array, counts=ordered), **placed))
        alive = sorted(_number(move) for move in first_rows if not move.new.is_terminal)
        if alive:
            rank = child_range_rank(job_id, alive[0])
            self._memory.child_ranges[row.queue, rank] = ChildRange(
                queue=row.queue, job_id=job_id, first=alive[0], numbers=tuple(alive)
            )

    def _put_ready(self, ready: Ready | None) -> None:
        if ready is not None:
            self._memory.ready[_lane_and_rank(ready)] = ready

    def _drop_ready(self, ready: Ready | None) -> None:
        if ready is not None:
            del self._memory.ready[_lane_and_rank(ready)]


def _copy(spec: Spec) -> Spec:
    """Return a copy of the spec, as JSON makes it."""
    return replace(spec, document=json.loads(json.dumps(spec.document)), tags=dict(spec.tags))


def _lane_and_rank(ready: Ready) -> tuple[str, str]:
    return lane_of(ready.queue, ready.share), ready.rank


def _number(move: Move) -> int:
    number = move.new.key.number
    assert number is not None, "a child has a number"
    return number


def _is_last(advance: Advance) -> bool:
    return advance.cursor == array_of(advance.parent).size


def _of_root(job_id: str, units: Sequence[CommitUnit]) -> tuple[list[Move], Advance | None]:
    """Return the moves of the array's children, and the advance of the array if there is one."""
    moves = [m for u in units for m in u.moves if m.new.job_id == job_id and m.new.key.is_child]
    advances = [u.advance for u in units if u.advance and u.advance.parent.job_id == job_id]
    assert len(advances) <= 1, "a commit dispatches the next children of an array once"
    return moves, advances[0] if advances else None


def _decided(
    old: Job | ArrayState, new: Job | ArrayState, *, but: Collection[str]
) -> dict[str, Any]:
    """Return the fields that a decision changed."""
    names = [field.name for field in fields(new) if field.name not in but]
    return {name: getattr(new, name) for name in names if getattr(new, name) != getattr(old, name)}


def _refuse_a_row_twice(units: Sequence[CommitUnit]) -> None:
    """Fail on two actions for one row, which DynamoDB refuses in a transaction."""
    rows = [move.new.key for unit in units for move in unit.moves]
    rows += [JobKey(job_id) for job_id, _ in by_root(units)]
    assert len(set(rows)) == len(rows), f"a row twice in one transaction: {sorted(rows)}"


def _number_of(child: Job) -> int:
    return child.key.number or 0
