"""The transactions that write decided moves, and the conditions of each write.

A decision holds for the version of the job it was made for, so every write is conditional on that
version. Ready rows, the capacity in use and the counts of an array change in the same transaction
as the status they mirror. Counts are only added to, so they need no version of the parent. The
first row of a child does, because the parent decides whether it may have one.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pynamodb.transactions import TransactWrite

from chalicelib.core.arrays import array_of, count_changes
from chalicelib.core.commit_units import CommitUnit, by_root, capacity_changes
from chalicelib.core.ids import JOB_PART
from chalicelib.core.job import Job, ready_of
from chalicelib.core.moves import Advance, CapacityLimit, Move
from chalicelib.core.ready import Ready
from chalicelib.core.states import JobStatus
from chalicelib.store.codec import (
    COUNTERS,
    child_range_row,
    row_from_job,
    row_from_ready,
    values_of_job,
)
from chalicelib.store.lanes import capacity_action
from chalicelib.store.row_changes import changes_of
from chalicelib.store.tables import JobRow, ReadyRow
from chalicelib.store.transactions import Action, put_action

# A child that enters one of these will run; it must not do so once its array is stopped.
_GOING_ON = frozenset({JobStatus.RUNNABLE, JobStatus.STARTING})
_NOT_DECIDED = frozenset(
    {"array_cursor", "array_singled"} | {one.attr_name for one in COUNTERS.values()}
)


@dataclass(slots=True)
class Built:
    """A transaction: its actions, and the units that own each (None for an environment's)."""

    actions: list[Action] = field(default_factory=list)
    owners: list[frozenset[CommitUnit] | None] = field(default_factory=list)

    def add(self, action: Action, owner: Iterable[CommitUnit] | None) -> None:
        self.actions.append(action)
        self.owners.append(None if owner is None else frozenset(owner))


def build(
    units: Sequence[CommitUnit],
    capacity_limits: Mapping[str, CapacityLimit],
    retention_seconds: int,
) -> Built:
    """Return the transaction that writes all these units."""
    built = Built()
    for unit in units:
        for move in unit.moves:
            for action in _job_actions(move, retention_seconds):
                built.add(action, [unit])
        if unit.advance is not None and unit.advance.cursor == array_of(unit.advance.parent).size:
            ready = ready_of(unit.advance.parent)
            if ready is not None:
                built.add(_delete_ready(ready), [unit])
    for job_id, members in by_root(units):
        _add_parent(job_id, members, built)
    moves = [move for unit in units for move in unit.moves]
    for environment, change in capacity_changes(moves).items():
        if not change.moves_anything:
            continue
        built.add(capacity_action(change, capacity_limits.get(environment)), None)
    return built


def _job_actions(move: Move, retention_seconds: int) -> Iterator[Action]:
    if move.new.array is not None:
        changes, condition = parent_update(move, retention_seconds)
        yield _update(move.new.job_id, changes, condition)
    else:
        yield job_action(move, retention_seconds)
    before, after = ready_of(move.old), ready_of(move.new)
    if before == after:
        return
    if before is not None:
        # The ready row is the right to be dispatched once: deleting it uses the right.
        yield _delete_ready(before)
    if after is not None:
        yield put_action(row_from_ready(after))  # fenced by the job's own condition


def job_action(move: Move, retention_seconds: int) -> Action:
    """Return the action that writes a move of one job: its first row, or what it changes."""
    if move.old.version == 0:
        return put_action(row_from_job(move.new, retention_seconds), unchanged(move.old))
    changes = job_changes(move, retention_seconds)

    def action(transaction: TransactWrite) -> None:
        row = JobRow(move.new.job_id, move.new.part)
        transaction.update(row, actions=changes, condition=unchanged(move.old))

    return action


def job_changes(move: Move, retention_seconds: int, *, leave: Collection[str] = ()) -> list[Any]:
    """Return the update of a job's row that a move makes, without the attributes in `leave`."""
    before = values_of_job(move.old, retention_seconds)
    return changes_of(JobRow, before, values_of_job(move.new, retention_seconds), leave=leave)


def unchanged(old: Job) -> Any:
    """Return the condition that closes the race with other decisions about this job."""
    if old.version == 0:
        return JobRow.root.does_not_exist()
    return JobRow.version == old.version


def parent_update(move: Move, retention_seconds: int) -> tuple[list[Any], Any]:
    """Return a decision's changes of an array's parent, without counts, and their condition."""
    changes = job_changes(move, retention_seconds, leave=_NOT_DECIDED)
    return changes, JobRow.version == move.old.version


def _add_parent(job_id: str, units: Sequence[CommitUnit], built: Built) -> None:
    """Add the update of an array's parent that the units make together, and the new child range."""
    moves = [m for u in units for m in u.moves if m.new.job_id == job_id and m.new.key.is_child]
    advance = next(
        (u.advance for u in units if u.advance and u.advance.parent.job_id == job_id), None
    )
    counts: Counter[JobStatus] = Counter()
    for move in moves:
        counts.update(count_changes(move.old, move.new))
    changes: list[Any] = [COUNTERS[s].add(number) for s, number in counts.items() if number]
    first_rows = [move for move in moves if move.old.version == 0]
    condition = _parent_condition(moves, first_rows, advance)
    if advance is not None:
        changes.append(JobRow.array_cursor.set(advance.cursor))
        if advance.passed:
            changes.append(JobRow.array_singled.add(-advance.passed))
        if advance.parent.status_reason is not None:
            changes += [one.remove() for one in _BLOCK]  # placed, so not blocked
    elif first_rows:
        changes.append(JobRow.array_singled.add(len(first_rows)))
    if changes or condition is not None:
        # Additions commute; the children's own conditions fence how often they are made.
        built.add(_update(job_id, changes, condition), units)
    alive = [move.new.key.number or 0 for move in first_rows if not move.new.is_terminal]
    if alive:
        # Unconditional because a child gets its first row once, so no other range has this key.
        built.add(put_action(child_range_row(first_rows[0].new.queue, job_id, alive)), units)


_BLOCK = (JobRow.status_reason, JobRow.blocked_why, JobRow.blocked_since_ms)


def _parent_condition(
    moves: Sequence[Move], first_rows: Sequence[Move], advance: Advance | None
) -> Any | None:
    if advance is not None:
        # Closes the races with a stop of the array and with another dispatcher.
        return (JobRow.version == advance.parent.version) & (
            JobRow.array_cursor == array_of(advance.parent).cursor
        )
    if first_rows:
        parent = first_rows[0].parent
        assert parent is not None, "the first row of a child needs the parent it was computed from"
        # Closes the races with a decision about the array and with a dispatch of the same child.
        first = min(move.new.key.number or 0 for move in first_rows)
        return (JobRow.version == parent.version) & (JobRow.array_cursor <= first)
    if any(move.new.status in _GOING_ON for move in moves):
        # Closes the race with a stop of the array, which would miss a child that starts after it.
        return JobRow.stop_cause.does_not_exist()
    return None


def _update(job_id: str, changes: list[Any], condition: Any) -> Action:
    def action(transaction: TransactWrite) -> None:
        # Counts may cancel out, which leaves only the condition, but an update needs an action.
        actions = changes or [JobRow.n_runnable.add(0)]
        transaction.update(JobRow(job_id, JOB_PART), actions=actions, condition=condition)

    return action


def _delete_ready(ready: Ready) -> Action:
    def action(transaction: TransactWrite) -> None:
        transaction.delete(row_from_ready(ready), condition=ReadyRow.job_id == ready.job_id)

    return action
