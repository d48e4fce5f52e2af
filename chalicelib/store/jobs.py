"""Job and spec rows: reads, submissions, and the writing of decided moves.

A move whose condition fails is returned, so that its caller reads and decides again. What is
written together is in `core/commit_units.py`, and under which conditions in `commits.py`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from pynamodb.connection import Connection
from pynamodb.transactions import TransactWrite

from chalicelib.core.arrays import ChildPage, child_at
from chalicelib.core.commit_units import (
    CommitUnit,
    capacity_changes,
    changes_one_row,
    grouped,
    units_of,
)
from chalicelib.core.dependencies import Edge
from chalicelib.core.ids import JobKey, child_part
from chalicelib.core.job import Job, ready_of
from chalicelib.core.moves import Advance, CapacityLimit, Move
from chalicelib.core.spec import Spec
from chalicelib.core.states import JobStatus
from chalicelib.core.triggers.overlap_lock import OverlapLock
from chalicelib.parallel import RunAll, in_order
from chalicelib.ports import OverlapLockLostError
from chalicelib.store.codec import (
    answer_lane,
    job_from_row,
    row_from_edge,
    row_from_job,
    row_from_ready,
)
from chalicelib.store.commits import build, job_changes, parent_update, unchanged
from chalicelib.store.lanes import record_started
from chalicelib.store.overlap_locks import OVERLAP_LOCK_SECONDS, overlap_lock_action
from chalicelib.store.tables import AnswerRow, JobRow, LaneItem, SpecRow
from chalicelib.store.transactions import (
    ACTIONS_LIMIT,
    Action,
    put_action,
    transact,
    write_alone,
)

SPEC_PART = "spec"


class DynamoJobStore:
    """The jobs table. `retention_seconds` is how long a terminal row is kept."""

    def __init__(
        self,
        connection: Connection,
        *,
        retention_seconds: int,
        run_all: RunAll = in_order,
    ) -> None:
        self._connection = connection
        self._run_all = run_all
        self._retention_seconds = retention_seconds

    def find_jobs(self, keys: Iterable[JobKey]) -> dict[JobKey, Job]:
        rows = JobRow.batch_get(list(dict.fromkeys(keys)), consistent_read=True)
        return {JobKey(row.root, row.part): job_from_row(row) for row in rows}

    def find_all(self, keys: Iterable[JobKey]) -> dict[JobKey, Job]:
        wanted = list(keys)
        found = self.find_jobs([*wanted, *(key.root for key in wanted if key.is_child)])
        for key in wanted:
            parent = found.get(key.root)
            child = child_at(parent, key) if parent is not None and key not in found else None
            if child is not None:
                found[key] = child
        return found

    def find_job(self, key: JobKey) -> Job | None:
        return self.find_jobs([key]).get(key)

    def find_specs(self, job_ids: Iterable[str]) -> dict[str, Spec]:
        keys = [(job_id, SPEC_PART) for job_id in dict.fromkeys(job_ids)]
        rows = SpecRow.batch_get(keys, consistent_read=True)
        return {row.root: _spec_from_row(row) for row in rows}

    def submit(
        self,
        job: Job,
        spec: Spec,
        edges: Sequence[Edge] = (),
        overlap_lock: OverlapLock | None = None,
    ) -> bool:
        spec_row = SpecRow(
            job.job_id,
            SPEC_PART,
            document=json.dumps(spec.document, separators=(",", ":")),
            tags=dict(spec.tags) or None,
            task_tokens=set(spec.task_tokens) or None,
        )
        actions: list[Action] = [
            # Closes the race between two tries of one submission: only the first may write.
            put_action(row_from_job(job, self._retention_seconds), JobRow.root.does_not_exist()),
            put_action(spec_row, SpecRow.root.does_not_exist()),
        ]
        ready = ready_of(job)
        if ready is not None:
            actions.append(put_action(row_from_ready(ready)))  # fenced by the job's own condition
        actions.extend(put_action(row_from_edge(edge)) for edge in edges)  # likewise
        if spec.task_tokens:
            actions.append(put_action(AnswerRow(answer_lane(job.queue), job.job_id)))  # likewise
        if overlap_lock is not None:
            actions.append(
                overlap_lock_action(overlap_lock, job.created_at_ms // 1000 + OVERLAP_LOCK_SECONDS)
            )
        refused = transact(self._connection, actions)
        if overlap_lock is not None and refused == (len(actions) - 1,):
            raise OverlapLockLostError(overlap_lock.trigger)
        return not refused

    def commit(
        self,
        moves: Sequence[Move],
        capacity_limits: Mapping[str, CapacityLimit] | None = None,
        advances: Sequence[Advance] = (),
    ) -> tuple[Move, ...]:
        """Write moves of one row alone, in parallel, and all others in transactions."""
        lost: list[Move] = []
        alone = [move for move in moves if changes_one_row(move)]
        written = self._put_each(alone)
        lost.extend(move for move, done in zip(alone, written, strict=True) if not done)
        self._record_started(move for move, done in zip(alone, written, strict=True) if done)
        for group in grouped(units_of(moves, advances), ACTIONS_LIMIT):
            lost.extend(self._commit_group(group, capacity_limits or {}))
        return tuple(lost)

    def _put_each(self, moves: Sequence[Move]) -> list[bool]:
        """Return whether each move was written. They are independent, so they run in parallel."""
        return self._run_all([partial(self._put_alone, move) for move in moves])

    def _put_alone(self, move: Move) -> bool:
        """Write a move of one row without a transaction, which would cost twice as much."""
        if move.new.array is not None:
            changes, condition = parent_update(move, self._retention_seconds)
            parent = JobRow(move.new.job_id, move.new.part)
            return write_alone(lambda: parent.update(actions=changes, condition=condition))
        condition = unchanged(move.old)
        if move.old.version == 0:
            first = row_from_job(move.new, self._retention_seconds)
            return write_alone(lambda: first.save(condition=condition))
        changes = job_changes(move, self._retention_seconds)
        row = JobRow(move.new.job_id, move.new.part)
        return write_alone(lambda: row.update(actions=changes, condition=condition))

    def _record_started(self, moves: Iterable[Move]) -> None:
        """Subtract tasks that now run from their environments' number of starting tasks.

        Not in the job's own write, because the number only limits concurrent launches: a crash in
        between leaves it too high until the sweeper counts again.
        """
        for change in capacity_changes(moves).values():
            record_started(change)

    def _commit_group(
        self, group: Sequence[CommitUnit], capacity_limits: Mapping[str, CapacityLimit]
    ) -> list[Move]:
        """Write the group; return the moves that were not written.

        Units whose conditions fail are left out, and the others are tried again.
        """
        remaining, lost = list(group), list[Move]()
        while remaining:
            built = build(remaining, capacity_limits, self._retention_seconds)
            refused = transact(self._connection, built.actions)
            if not refused:
                break
            owners = [built.owners[number] for number in refused]
            # An action without an owner is an environment's, whose limit holds for all units.
            losers = {unit for owner in owners for unit in (remaining if owner is None else owner)}
            lost.extend(move for unit in remaining if unit in losers for move in unit.moves)
            remaining = [unit for unit in remaining if unit not in losers]
        return lost

    def list_children(
        self, job_id: str, first: int, last: int, *, limit: int | None = None
    ) -> tuple[Job, ...]:
        numbers = JobRow.part.between(child_part(first), child_part(last))
        rows = JobRow.query(job_id, numbers, consistent_read=True, limit=limit)
        return tuple(job_from_row(row) for row in rows)

    def find_children(
        self,
        job_id: str,
        first: int,
        *,
        status: JobStatus | None = None,
        limit: int,
        rows_limit: int,
    ) -> ChildPage:
        """Begin after a key, and not with a range: children are the first parts of their job."""
        start = {"root": {"S": job_id}, "part": {"S": child_part(first - 1)}} if first else None
        answer = self._connection.query(
            JobRow.Meta.table_name,
            job_id,
            filter_condition=None if status is None else JobRow.status == str(status),
            exclusive_start_key=start,
            limit=rows_limit,
        )
        items = [item for item in answer["Items"] if JobKey(*_key_in(item)).is_child]
        rows = [JobRow.from_raw_data(item) for item in items[:limit]]
        next_number = None
        if len(items) > limit:
            next_number = JobKey(*_key_in(items[limit])).number
        elif last := answer.get("LastEvaluatedKey"):
            key = JobKey(*_key_in(last))
            next_number = (key.number or 0) + 1 if key.is_child else None
        return ChildPage(tuple(job_from_row(row) for row in rows), next_number)

    def list_by_status(
        self, queue: str, status: JobStatus, *, before: str | None, limit: int
    ) -> tuple[Job, ...]:
        older = JobRow.created_key < before if before else None
        rows = JobRow.by_status.query(
            f"{queue}#{status}",
            range_key_condition=older,
            scan_index_forward=False,
            limit=limit,
        )
        return tuple(job_from_row(row) for row in rows)

    def list_oldest(
        self, queue: str, status: JobStatus, *, after: str | None = None, limit: int
    ) -> tuple[Job, ...]:
        younger = JobRow.created_key > after if after else None
        rows = JobRow.by_status.query(f"{queue}#{status}", range_key_condition=younger, limit=limit)
        return tuple(job_from_row(row) for row in rows)

    def restore_ready(self, job: Job) -> bool:
        ready = ready_of(job)
        if ready is None:
            return False

        def is_unchanged(transaction: TransactWrite) -> None:
            # Closes the race with the dispatch of the job, which deletes the ready row.
            transaction.condition_check(JobRow, job.job_id, job.part, JobRow.version == job.version)

        absent = LaneItem.lane.does_not_exist()
        actions = [is_unchanged, put_action(row_from_ready(ready), absent)]
        return not transact(self._connection, actions)

    def put_tags(
        self, job_id: str, tags: Mapping[str, str], *, replacing: Mapping[str, str]
    ) -> bool:
        row = SpecRow(job_id, SPEC_PART)
        action = SpecRow.tags.set(dict(tags)) if tags else SpecRow.tags.remove()
        unchanged = SpecRow.tags == dict(replacing) if replacing else SpecRow.tags.does_not_exist()
        # Closes the race between two changes of one job's tags: the later must read again. The spec
        # of an expired job must not be created anew.
        condition = SpecRow.root.exists() & unchanged
        return write_alone(lambda: row.update(actions=[action], condition=condition))

    def add_task_token(self, job_id: str, token: str) -> bool:
        row = SpecRow(job_id, SPEC_PART)
        action = SpecRow.task_tokens.add({token})
        # The spec of an expired job must not be created anew. Adding twice is the same as once.
        condition = SpecRow.root.exists()
        return write_alone(lambda: row.update(actions=[action], condition=condition))

    def forget(self, job_id: str) -> None:
        SpecRow(job_id, SPEC_PART).delete()  # unconditional because deletion is idempotent


def _key_in(item: Mapping[str, Any]) -> tuple[str, str]:
    return item["root"]["S"], item["part"]["S"]


def _spec_from_row(row: SpecRow) -> Spec:
    return Spec(
        job_id=row.root,
        document=json.loads(row.document),
        tags=row.tags or {},
        task_tokens=frozenset(row.task_tokens or ()),
    )
