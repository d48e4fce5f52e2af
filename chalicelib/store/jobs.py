"""Job and spec rows: reading them, and the transactions that move jobs on.

A decision holds for the version of the job that it saw, so every write is conditional on that
version; a lost condition is an answer: the move is handed back, read again and decide again. The
ready row and the environment's capacity change in the same transaction as the status they mirror.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pynamodb.connection import Connection
from pynamodb.transactions import TransactWrite

from chalicelib.core.consequences import CapacityChange, capacity_change_of
from chalicelib.core.ids import JobKey
from chalicelib.core.job import Job, Ready, ready_of
from chalicelib.core.states import JobStatus
from chalicelib.parallel import RunAll, in_order
from chalicelib.store.codec import job_of_row, ready_row_of, row_of_job
from chalicelib.store.lanes import capacity_action, record_started
from chalicelib.store.tables import JobRow, ReadyRow, SpecRow
from chalicelib.store.transactions import ACTIONS_LIMIT, Action, Pause, transact, write_alone

SPEC_PART = "spec"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What a job was asked to do: the merged request and definition, and its tags."""

    job_id: str
    document: Mapping[str, Any]
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One decided transition: `new` may replace the row only while it is at `old.version`."""

    old: Job
    new: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The bound under which a dispatch may take capacity; None where no limit is stated."""

    limit_cpu_units: int | None
    starting_window: int


class JobStore:
    """The jobs table. `retention_seconds` is how long a terminal row is kept."""

    def __init__(
        self,
        connection: Connection,
        *,
        retention_seconds: int,
        pause: Pause,
        run_all: RunAll = in_order,
    ) -> None:
        self._connection = connection
        self._run_all = run_all
        self._retention_seconds = retention_seconds
        self._pause = pause

    def find_jobs(self, keys: Iterable[JobKey]) -> dict[JobKey, Job]:
        """The jobs, children and nodes that have a row among `keys`, strongly consistent."""
        rows = JobRow.batch_get(list(dict.fromkeys(keys)), consistent_read=True)
        return {JobKey(row.root, row.part): job_of_row(row) for row in rows}

    def find_job(self, key: JobKey) -> Job | None:
        return self.find_jobs([key]).get(key)

    def find_specs(self, job_ids: Iterable[str]) -> dict[str, Spec]:
        """The specs that exist among `job_ids`, by job id, strongly consistent."""
        keys = [(job_id, SPEC_PART) for job_id in dict.fromkeys(job_ids)]
        rows = SpecRow.batch_get(keys, consistent_read=True)
        return {row.root: _spec_of_row(row) for row in rows}

    def submit(self, job: Job, spec: Spec) -> bool:
        """Write a new job with its spec and ready row, all or nothing.

        False when a job of that id exists: the submission is a retry of one that was accepted.
        """
        spec_row = SpecRow(
            job.job_id,
            SPEC_PART,
            document=json.dumps(spec.document, separators=(",", ":")),
            tags=dict(spec.tags) or None,
        )
        actions: list[Action] = [
            # Closes the race between two tries of one submission: only the first may write.
            _put(row_of_job(job, self._retention_seconds), JobRow.root.does_not_exist()),
            _put(spec_row, SpecRow.root.does_not_exist()),
        ]
        ready = ready_of(job)
        if ready is not None:
            actions.append(_put(ready_row_of(ready)))  # fenced by the job's own condition
        return not transact(self._connection, actions, self._pause)

    def commit(
        self, moves: Sequence[Move], rooms: Mapping[str, Room] | None = None
    ) -> tuple[Move, ...]:
        """Write the moves; returns those that lost their condition and are not written.

        `rooms` bounds the capacity that moves to STARTING may take: when an environment has less
        left than its moves need, all moves of that transaction are handed back.
        """
        lost: list[Move] = []
        alone = [move for move in moves if _is_plain(move)]
        written = self._put_each(alone)
        lost.extend(move for move, done in zip(alone, written, strict=True) if not done)
        self._record_started(move for move, done in zip(alone, written, strict=True) if done)
        for group in _grouped([move for move in moves if not _is_plain(move)]):
            lost.extend(self._commit_group(group, rooms or {}))
        return tuple(lost)

    def _put_each(self, moves: Sequence[Move]) -> list[bool]:
        """Whether each move was written. They are independent, so they are written side by side."""
        return self._run_all([partial(self._put_alone, move) for move in moves])

    def _put_alone(self, move: Move) -> bool:
        """A move that touches no other row needs no transaction, which would cost twice."""
        row = row_of_job(move.new, self._retention_seconds)
        return write_alone(lambda: row.save(condition=_unchanged(move.old)), self._pause)

    def _record_started(self, moves: Iterable[Move]) -> None:
        """Free the launch window of tasks that run now.

        Outside the job's own write because it only steers how many launches are under way: a crash
        in between leaves the figure too high until the sweeper counts anew.
        """
        for change in _capacity_changes(moves).values():
            record_started(change, self._pause)

    def _commit_group(self, group: Sequence[Move], rooms: Mapping[str, Room]) -> tuple[Move, ...]:
        remaining = list(group)
        lost: list[Move] = []
        while remaining:
            actions, owners = self._actions(remaining, rooms)
            refused = transact(self._connection, actions, self._pause)
            if not refused:
                break
            losers = [owners[number] for number in refused]
            if any(owner is None for owner in losers):
                return (*lost, *remaining)  # an environment is full
            lost.extend(move for move in remaining if move in losers)
            remaining = [move for move in remaining if move not in losers]
        return tuple(lost)

    def _actions(
        self, moves: Sequence[Move], rooms: Mapping[str, Room]
    ) -> tuple[list[Action], list[Move | None]]:
        """The actions of one transaction, and for each the move it belongs to (capacity: None)."""
        actions: list[Action] = []
        owners: list[Move | None] = []
        for move in moves:
            for action in self._job_actions(move):
                actions.append(action)
                owners.append(move)
        for environment, change in _capacity_changes(moves).items():
            if not change.moves_anything:
                continue
            room = rooms.get(environment)
            actions.append(
                capacity_action(
                    change,
                    limit_cpu_units=room.limit_cpu_units if room else None,
                    starting_window=room.starting_window if room else None,
                )
            )
            owners.append(None)
        return actions, owners

    def _job_actions(self, move: Move) -> Iterator[Action]:
        # The version closes the race with every other decision about this job.
        yield _put(row_of_job(move.new, self._retention_seconds), _unchanged(move.old))
        before, after = ready_of(move.old), ready_of(move.new)
        if before == after:
            return
        if before is not None:
            # The ready row is the right to be dispatched: whoever deletes it has used it up.
            yield _delete_ready(before)
        if after is not None:
            yield _put(ready_row_of(after))  # fenced by the job's own condition

    def list_by_status(
        self, queue: str, status: JobStatus, *, before: str | None, limit: int
    ) -> tuple[Job, ...]:
        """At most `limit` root jobs, newest first, older than the created key `before`."""
        older = JobRow.created_key < before if before else None
        rows = JobRow.by_status.query(
            f"{queue}#{status}",
            range_key_condition=older,
            scan_index_forward=False,
            limit=limit,
        )
        return tuple(job_of_row(row) for row in rows)

    def list_oldest(self, queue: str, status: JobStatus, *, limit: int) -> tuple[Job, ...]:
        """At most `limit` root jobs of one status, oldest first."""
        rows = JobRow.by_status.query(f"{queue}#{status}", limit=limit)
        return tuple(job_of_row(row) for row in rows)

    def put_tags(
        self, job_id: str, tags: Mapping[str, str], *, replacing: Mapping[str, str]
    ) -> bool:
        """Put `tags` in place of those that were read.

        False if they have changed meanwhile, or the job has expired, whose spec must not come back.
        """
        row = SpecRow(job_id, SPEC_PART)
        action = SpecRow.tags.set(dict(tags)) if tags else SpecRow.tags.remove()
        unchanged = SpecRow.tags == dict(replacing) if replacing else SpecRow.tags.does_not_exist()
        # Closes the race between two changes of one job's tags: the later must read again.
        condition = SpecRow.root.exists() & unchanged
        return write_alone(lambda: row.update(actions=[action], condition=condition), self._pause)

    def forget(self, job_id: str) -> None:
        """Delete the spec of an expired job; deleting it twice is the same as once."""
        SpecRow(job_id, SPEC_PART).delete()  # unconditional because deletion is idempotent


def _spec_of_row(row: SpecRow) -> Spec:
    return Spec(job_id=row.root, document=json.loads(row.document), tags=row.tags or {})


def _unchanged(old: Job) -> Any:
    """Closes the race with every other decision about this job, or with its first row."""
    if old.version == 0:
        return JobRow.root.does_not_exist()
    return JobRow.version == old.version


def _put(row: Any, condition: Any = None) -> Action:
    def action(transaction: TransactWrite) -> None:
        transaction.save(row, condition=condition)

    return action


def _delete_ready(ready: Ready) -> Action:
    def action(transaction: TransactWrite) -> None:
        transaction.delete(ready_row_of(ready), condition=ReadyRow.job_id == ready.job_id)

    return action


def _is_plain(move: Move) -> bool:
    """Whether the job's row is all that must change at once (an update, or STARTING to RUNNING)."""
    change = capacity_change_of(move.old, move.new)
    return ready_of(move.old) == ready_of(move.new) and (change is None or change.tasks == 0)


def _capacity_changes(moves: Iterable[Move]) -> dict[str, CapacityChange]:
    """The moves' capacity by environment, so that one transaction writes each figure once."""
    changes: dict[str, CapacityChange] = {}
    for move in moves:
        change = capacity_change_of(move.old, move.new)
        if change is not None:
            before = changes.get(change.environment)
            changes[change.environment] = before.plus(change) if before else change
    return changes


def _grouped(moves: Sequence[Move]) -> Iterator[list[Move]]:
    """The moves in groups that fit one transaction: two actions each, three for a new lane rank."""
    # The environments' figures need an action each; a queue has at most 3, a batch seldom over 10.
    per_group = (ACTIONS_LIMIT - 10) // 2
    for start in range(0, len(moves), per_group):
        yield list(moves[start : start + per_group])
