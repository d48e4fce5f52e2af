"""The transactions that move jobs on: what is written together, and under which conditions.

A decision holds for the version of the job that it saw, so every write is conditional on that
version. The ready row, the environment's capacity and the counts of an array change in the same
transaction as the status they mirror. Counts are added to and so need no version of the parent's;
what makes new rows of children does, because the parent decides whether there may be any.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pynamodb.transactions import TransactWrite

from chalicelib.core.arrays import array_of, count_changes
from chalicelib.core.commit_units import CommitUnit, by_root, capacity_changes
from chalicelib.core.ids import JOB_PART
from chalicelib.core.job import Job, Ready, ready_of
from chalicelib.core.moves import Advance, CapacityLimit, Move
from chalicelib.core.states import JobStatus
from chalicelib.store.codec import COUNTERS, child_range_row, ready_row_of, row_of_job
from chalicelib.store.lanes import capacity_action
from chalicelib.store.tables import JobRow, ReadyRow
from chalicelib.store.transactions import Action, put_action

# In these a child goes on by itself; an array that is stopped lets none begin to.
_GOING_ON = frozenset({JobStatus.RUNNABLE, JobStatus.STARTING})
_NOT_DECIDED = frozenset(
    {"root", "part", "array_cursor", "array_singled"} | {one.attr_name for one in COUNTERS.values()}
)


@dataclass(slots=True)
class Built:
    """A transaction: its actions, and whose each is (None: an environment's)."""

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
    """The transaction that carries out all these units."""
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
        capacity_limit = capacity_limits.get(environment)
        action = capacity_action(
            change,
            limit_cpu_units=capacity_limit.limit_cpu_units if capacity_limit else None,
            starting_window=capacity_limit.starting_window if capacity_limit else None,
        )
        built.add(action, None)
    return built


def _job_actions(move: Move, retention_seconds: int) -> Iterator[Action]:
    if move.new.array is not None:
        changes, condition = parent_update(move, retention_seconds)
        yield _update(move.new.job_id, changes, condition)
    else:
        yield put_action(row_of_job(move.new, retention_seconds), unchanged(move.old))
    before, after = ready_of(move.old), ready_of(move.new)
    if before == after:
        return
    if before is not None:
        # The ready row is the right to be dispatched: whoever deletes it has used it up.
        yield _delete_ready(before)
    if after is not None:
        yield put_action(ready_row_of(after))  # fenced by the job's own condition


def unchanged(old: Job) -> Any:
    """Closes the race with every other decision about this job, or with its first row."""
    if old.version == 0:
        return JobRow.root.does_not_exist()
    return JobRow.version == old.version


def parent_update(move: Move, retention_seconds: int) -> tuple[list[Any], Any]:
    """(what a decision about an array's parent changes, its condition); counts are left alone."""
    before = row_of_job(move.old, retention_seconds)
    after = row_of_job(move.new, retention_seconds)
    changes = []
    for name, attribute in JobRow.get_attributes().items():
        value = getattr(after, name)
        if name not in _NOT_DECIDED and value != getattr(before, name):
            changes.append(attribute.remove() if value is None else attribute.set(value))
    return changes, JobRow.version == move.old.version


def _add_parent(job_id: str, units: Sequence[CommitUnit], built: Built) -> None:
    """What the moves of an array's children change in its parent, in one update."""
    moves = [m for u in units for m in u.moves if m.new.job_id == job_id and m.new.key.is_child]
    advance = next(
        (u.advance for u in units if u.advance and u.advance.parent.job_id == job_id), None
    )
    counts: Counter[JobStatus] = Counter()
    for move in moves:
        counts.update(count_changes(move.old, move.new))
    changes: list[Any] = [COUNTERS[s].add(number) for s, number in counts.items() if number]
    born = [move for move in moves if move.old.version == 0]
    condition = _parent_condition(moves, born, advance)
    if advance is not None:
        changes.append(JobRow.array_cursor.set(advance.cursor))
        if advance.passed:
            changes.append(JobRow.array_singled.add(-advance.passed))
        if advance.parent.status_reason is not None:
            changes += [one.remove() for one in _BLOCK]  # they are placed: nothing is in the way
    elif born:
        changes.append(JobRow.array_singled.add(len(born)))
    if changes or condition is not None:
        # Adding commutes; how often it is done is fenced by the children's own conditions.
        built.add(_update(job_id, changes, condition), units)
    alive = [move.new.key.number or 0 for move in born if not move.new.is_terminal]
    if alive:
        # Unconditional because a child gets its first row once, so no other range has this key.
        built.add(put_action(child_range_row(born[0].new.queue, job_id, alive)), units)


_BLOCK = (JobRow.status_reason, JobRow.blocked_why, JobRow.blocked_since_ms)


def _parent_condition(
    moves: Sequence[Move], born: Sequence[Move], advance: Advance | None
) -> Any | None:
    if advance is not None:
        # Closes the races with a stop of the array and with another dispatcher.
        return (JobRow.version == advance.parent.version) & (
            JobRow.array_cursor == array_of(advance.parent).cursor
        )
    if born:
        parent = born[0].parent
        assert parent is not None, "a child's first row needs the parent that it was made of"
        # Closes the races with a decision about the array and with the dispatch of this very child.
        first = min(move.new.key.number or 0 for move in born)
        return (JobRow.version == parent.version) & (JobRow.array_cursor <= first)
    if any(move.new.status in _GOING_ON for move in moves):
        # Closes the race with a stop of the array: a child that begins after it would be missed.
        return JobRow.stop_cause.does_not_exist()
    return None


def _update(job_id: str, changes: list[Any], condition: Any) -> Action:
    def action(transaction: TransactWrite) -> None:
        # Where counts cancel out, the condition alone is left, and an update must change something.
        actions = changes or [JobRow.n_runnable.add(0)]
        transaction.update(JobRow(job_id, JOB_PART), actions=actions, condition=condition)

    return action


def _delete_ready(ready: Ready) -> Action:
    def action(transaction: TransactWrite) -> None:
        transaction.delete(ready_row_of(ready), condition=ReadyRow.job_id == ready.job_id)

    return action
