"""The lanes table: ready rows in rank order, and what is in use in each environment.

Ready rows are written and deleted only in the transactions of `jobs.py`. This module reads them,
and keeps the figures of capacity, strongly consistent both.
"""

from collections.abc import Iterable

from pynamodb.connection import Connection
from pynamodb.expressions.update import Action as UpdateAction
from pynamodb.transactions import TransactWrite

from chalicelib.core.capacity import CapacityChange
from chalicelib.core.child_range import ChildRange, numbers_in
from chalicelib.core.dependencies import Edge
from chalicelib.core.job import FIFO_SHARE, Ready
from chalicelib.core.scheduling.snapshot import Capacity
from chalicelib.store.codec import (
    child_range_lane,
    child_range_rank,
    edge_lane_of,
    edge_of_row,
    lane_of,
    ready_of_row,
    ready_row_of,
)
from chalicelib.store.tables import CapacityRow, ChildRangeRow, EdgeRow, ReadyRow
from chalicelib.store.transactions import Action, Pause, write_alone

CAPACITY_LANE = "capacity"


class DynamoLaneStore:
    """Reads of the lanes table, and the two repairs that the sweeper makes in it.

    Takes the connection because the models must be bound to their tables before any use.
    """

    def __init__(self, connection: Connection, *, pause: Pause) -> None:
        self._connection = connection
        self._pause = pause

    def heads(self, queue: str, limit: int) -> tuple[Ready, ...]:
        """The first `limit` ready rows of the queue's lane, in rank order."""
        rows = ReadyRow.query(lane_of(queue, FIFO_SHARE), consistent_read=True, limit=limit)
        return tuple(ready_of_row(row) for row in rows)

    def has_work(self, queue: str) -> bool:
        return bool(self.heads(queue, 1))

    def capacities(self, environments: Iterable[str]) -> dict[str, Capacity]:
        """What is in use, by environment; one that never ran anything is absent."""
        keys = [(CAPACITY_LANE, name) for name in dict.fromkeys(environments)]
        rows = CapacityRow.batch_get(keys, consistent_read=True)
        return {row.rank: _capacity_of_row(row) for row in rows}

    def correct_capacity(self, seen: Capacity | None, counted: Capacity) -> bool:
        """Replace drifted figures by counted ones; False if they changed since they were seen."""
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
        """Who waits for the job: at most `limit` edges, their ranks from `first` on, to `last`."""
        ranks = EdgeRow.rank.between(first or " ", last)
        rows = EdgeRow.query(edge_lane_of(job_id), ranks, consistent_read=True, limit=limit)
        return tuple(edge_of_row(row) for row in rows)

    def forget_edges(self, job_id: str) -> None:
        """Delete the edges to an expired job; deleting them twice is the same as once."""
        for row in list(EdgeRow.query(edge_lane_of(job_id), consistent_read=True)):
            row.delete()  # unconditional because deletion is idempotent

    def child_ranges(
        self, queue: str, job_id: str | None = None, *, after: int = -1, limit: int
    ) -> tuple[ChildRange, ...]:
        """Batches of children that may not have ended: of an array after a number, or of all."""
        ranks = None
        if job_id is not None:
            first = child_range_rank(job_id, after + 1)
            ranks = ChildRangeRow.rank.between(first, f"{job_id}#~")
        rows = ChildRangeRow.query(
            child_range_lane(queue), ranks, consistent_read=True, limit=limit
        )
        return tuple(_child_range_from_row(row) for row in rows)

    def drop_child_range(self, child_range: ChildRange) -> None:
        """Forget a batch whose children have all ended; nothing brings one of them back."""
        row = ChildRangeRow(
            child_range_lane(child_range.queue),
            child_range_rank(child_range.job_id, child_range.first),
        )
        row.delete()  # unconditional because deletion is idempotent

    def drop_ready(self, ready: Ready) -> bool:
        """Delete a ready row whose job is not RUNNABLE; False if it is another's by now."""
        row = ready_row_of(ready)
        return write_alone(
            lambda: row.delete(condition=ReadyRow.job_id == ready.job_id), self._pause
        )


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
    """The update of an environment's figures inside a transaction.

    Taking capacity is bounded by what is in use at that very moment; giving back is not.
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
    """Apply a change of the launch window alone."""
    # Unconditional because an addition commutes; the job's own write fences how often it is made.
    row = CapacityRow(CAPACITY_LANE, change.environment)
    write_alone(lambda: row.update(actions=_additions(change)), pause)


def _additions(change: CapacityChange) -> list[UpdateAction]:
    additions = (
        (CapacityRow.cpu_units, change.cpu_units),
        (CapacityRow.tasks, change.tasks),
        (CapacityRow.starting, change.starting),
    )
    # Zeros too: a row that an update makes has every figure, as `mend_capacity` expects.
    return [attribute.add(amount) for attribute, amount in additions]


def _capacity_of_row(row: CapacityRow) -> Capacity:
    return Capacity(
        environment=row.rank,
        cpu_units=row.cpu_units or 0,
        tasks=row.tasks or 0,
        starting=row.starting or 0,
    )
