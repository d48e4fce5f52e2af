"""The lanes table: ready rows in rank order, and the capacity in use in each environment.

Ready rows are written and deleted in the transactions of `jobs.py`; this module reads them, and
drops one that was left without a job. It also reads and corrects the capacity figures, the
dependency edges and the child ranges. All reads are strongly consistent.
"""

from collections.abc import Iterable, Sequence

from pynamodb.connection import Connection
from pynamodb.expressions.condition import Between, Comparison
from pynamodb.expressions.update import Action as UpdateAction
from pynamodb.transactions import TransactWrite

from chalicelib.core.capacity import CapacityChange
from chalicelib.core.child_range import ChildRange, numbers_in
from chalicelib.core.dependencies import Edge
from chalicelib.core.job import Ready
from chalicelib.core.lane import Lane
from chalicelib.core.scheduling.snapshot import Capacity
from chalicelib.store.codec import (
    answer_lane,
    child_range_lane,
    child_range_rank,
    edge_from_row,
    edge_lane_of,
    lane_of,
    ready_from_row,
    row_from_ready,
)
from chalicelib.store.tables import AnswerRow, CapacityRow, ChildRangeRow, EdgeRow, ReadyRow
from chalicelib.store.transactions import Action, Pause, write_alone

CAPACITY_LANE = "capacity"


class DynamoLaneStore:
    """Reads of the lanes table, and the corrections of rows that are wrong or no longer needed.

    The connection is a parameter because the models must be bound to their tables before any use.
    """

    def __init__(self, connection: Connection, *, pause: Pause) -> None:
        self._connection = connection
        self._pause = pause

    def heads(self, lane: Lane, limit: int) -> tuple[Ready, ...]:
        """Return the first `limit` ready rows of the lane, in rank order."""
        rows = ReadyRow.query(lane_of(*lane), consistent_read=True, limit=limit)
        return tuple(ready_from_row(row) for row in rows)

    def has_work(self, queue: str) -> bool:
        """Return whether the queue has a ready row."""
        return bool(self.heads(Lane.fifo(queue), 1))

    def capacities(self, environments: Iterable[str]) -> dict[str, Capacity]:
        """Return the capacity in use by environment, without those that never ran anything."""
        keys = [(CAPACITY_LANE, name) for name in dict.fromkeys(environments)]
        rows = CapacityRow.batch_get(keys, consistent_read=True)
        return {row.rank: _capacity_from_row(row) for row in rows}

    def correct_capacity(self, seen: Capacity | None, counted: Capacity) -> bool:
        """Replace wrong figures with counted ones; return False if they changed since `seen`."""
        unchanged = CapacityRow.lane.does_not_exist()
        if seen is not None:
            # Closes the race with a dispatch or an end between the count and this write.
            unchanged = (
                (CapacityRow.cpu_units == seen.cpu_units)
                & (CapacityRow.tasks == seen.tasks)
                & (CapacityRow.starting == seen.starting)
            )
        row = CapacityRow(
            CAPACITY_LANE,
            counted.environment,
            cpu_units=counted.cpu_units,
            tasks=counted.tasks,
            starting=counted.starting,
        )
        return write_alone(lambda: row.save(condition=unchanged), self._pause)

    def edges(
        self, job_id: str, *, first: str = "", last: str = "~", limit: int
    ) -> tuple[Edge, ...]:
        """Return at most `limit` edges of jobs that wait for this one, ranks `first` to `last`."""
        ranks = EdgeRow.rank.between(first or " ", last)
        rows = EdgeRow.query(edge_lane_of(job_id), ranks, consistent_read=True, limit=limit)
        return tuple(edge_from_row(row) for row in rows)

    def forget_edges(self, job_id: str) -> None:
        """Delete the edges to an expired job; may be repeated."""
        for row in list(EdgeRow.query(edge_lane_of(job_id), consistent_read=True)):
            row.delete()  # unconditional because deletion is idempotent

    def missing_ready(self, readies: Sequence[Ready]) -> tuple[Ready, ...]:
        """Return those of the ready rows that do not exist."""
        keys = [(lane_of(*ready.lane), ready.rank) for ready in readies]
        found = {(row.lane, row.rank) for row in ReadyRow.batch_get(keys, consistent_read=True)}
        return tuple(ready for ready, key in zip(readies, keys, strict=True) if key not in found)

    def expect_answer(self, queue: str, job_id: str) -> None:
        """Record that a Step Functions task waits for this job's end; may be repeated."""
        AnswerRow(answer_lane(queue), job_id).save()  # unconditional because it is idempotent

    def unanswered(self, queue: str, *, after: str = "", limit: int) -> tuple[str, ...]:
        """Return at most `limit` jobs of the queue that a task still waits for, above `after`."""
        later = AnswerRow.rank > after if after else None
        rows = AnswerRow.query(answer_lane(queue), later, consistent_read=True, limit=limit)
        return tuple(row.rank for row in rows)

    def drop_answer(self, queue: str, job_id: str) -> None:
        """Delete the record that a task waits for this job; may be repeated."""
        AnswerRow(answer_lane(queue), job_id).delete()  # unconditional because it is idempotent

    def child_ranges(
        self,
        queue: str,
        job_id: str | None = None,
        *,
        after: int = -1,
        behind: ChildRange | None = None,
        limit: int,
    ) -> tuple[ChildRange, ...]:
        """Return child ranges with children that may not have ended, at most `limit`.

        With `job_id`, only those of that array whose first number is greater than `after`; with
        `behind`, only those after that range.
        """
        ranks: Comparison | Between | None = None
        if behind is not None:
            ranks = ChildRangeRow.rank > child_range_rank(behind.job_id, behind.first)
        if job_id is not None:
            first = child_range_rank(job_id, after + 1)
            ranks = ChildRangeRow.rank.between(first, f"{job_id}#~")
        rows = ChildRangeRow.query(
            child_range_lane(queue), ranks, consistent_read=True, limit=limit
        )
        return tuple(_child_range_from_row(row) for row in rows)

    def drop_child_range(self, child_range: ChildRange) -> None:
        """Delete a child range whose children have all ended; they never become active again."""
        row = ChildRangeRow(
            child_range_lane(child_range.queue),
            child_range_rank(child_range.job_id, child_range.first),
        )
        row.delete()  # unconditional because deletion is idempotent

    def drop_ready(self, ready: Ready) -> bool:
        """Delete a ready row whose job is not RUNNABLE; may be repeated.

        Returns False if the row is gone or belongs to another job.
        """
        row = row_from_ready(ready)
        # Closes the race with the transaction that deletes or replaces the row.
        own = ReadyRow.job_id == ready.job_id
        return write_alone(lambda: row.delete(condition=own), self._pause)


def _child_range_from_row(row: ChildRangeRow) -> ChildRange:
    job_id, _, first = row.rank.rpartition("#")
    return ChildRange(
        queue=row.lane.rpartition("/")[2],
        job_id=job_id,
        first=int(first),
        numbers=tuple(numbers_in(row.numbers)),
    )


def capacity_action(
    change: CapacityChange, *, limit_cpu_units: int | None, starting_window: int | None
) -> Action:
    """Return the update of an environment's figures as part of a transaction.

    Taking capacity has a condition on the figures of that moment: it closes the race with another
    dispatch. Giving capacity back has none.
    """
    conditions = []
    if change.cpu_units > 0 and limit_cpu_units is not None:
        conditions.append(CapacityRow.cpu_units <= limit_cpu_units - change.cpu_units)
    if change.starting > 0 and starting_window is not None:
        conditions.append(CapacityRow.starting <= starting_window - change.starting)
    condition = None
    for bound in conditions:
        condition = bound if condition is None else condition & bound
    if condition is not None:
        condition = CapacityRow.lane.does_not_exist() | condition

    def action(transaction: TransactWrite) -> None:
        row = CapacityRow(CAPACITY_LANE, change.environment)
        transaction.update(row, actions=_additions(change), condition=condition)

    return action


def record_started(change: CapacityChange, pause: Pause) -> None:
    """Apply a change of the figures on its own, outside a transaction."""
    # Unconditional because an addition commutes; the write of the job makes sure that it happens
    # once.
    row = CapacityRow(CAPACITY_LANE, change.environment)
    write_alone(lambda: row.update(actions=_additions(change)), pause)


def _additions(change: CapacityChange) -> list[UpdateAction]:
    additions = (
        (CapacityRow.cpu_units, change.cpu_units),
        (CapacityRow.tasks, change.tasks),
        (CapacityRow.starting, change.starting),
    )
    # Zeros too: a row that an update creates has every figure, as `correct_capacity` expects.
    return [attribute.add(amount) for attribute, amount in additions]


def _capacity_from_row(row: CapacityRow) -> Capacity:
    return Capacity(
        environment=row.rank,
        cpu_units=row.cpu_units or 0,
        tasks=row.tasks or 0,
        starting=row.starting or 0,
    )
