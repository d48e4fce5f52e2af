"""The lanes table: ready rows, the capacity in use and the cooling of environments, launch permits.

Ready rows are written and deleted in the transactions of `jobs.py`; this module reads them, and
drops one that was left without a job. It also reads and corrects the capacity figures, the
dependency edges and the child ranges, writes coolings, and takes launch permits. All reads are
strongly consistent.
"""

from collections.abc import Iterable, Sequence

from pynamodb.connection import Connection
from pynamodb.expressions.condition import Between, Comparison, Condition
from pynamodb.expressions.update import Action as UpdateAction
from pynamodb.transactions import TransactWrite

from chalicelib.core.capacity import CapacityChange
from chalicelib.core.child_range import ChildRange, numbers_in
from chalicelib.core.dependencies import Edge
from chalicelib.core.lane import Lane
from chalicelib.core.moves import CapacityLimit
from chalicelib.core.ready import Ready
from chalicelib.core.scheduling.cooling import Cooling
from chalicelib.core.scheduling.launch_permits import LaunchPermits
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
from chalicelib.store.tables import (
    AnswerRow,
    CapacityRow,
    ChildRangeRow,
    EdgeRow,
    PermitsRow,
    ReadyRow,
)
from chalicelib.store.transactions import Action, write_alone

CAPACITY_LANE = "capacity"
PERMITS_KEY = ("/launch-permits", "account")


class DynamoLaneStore:
    """Reads of the lanes table, and the corrections of rows that are wrong or no longer needed.

    The connection is a parameter because the models must be bound to their tables before any use.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def heads(self, lane: Lane, limit: int) -> tuple[Ready, ...]:
        """Return the first `limit` ready rows of the lane, in rank order."""
        rows = ReadyRow.query(lane_of(*lane), consistent_read=True, limit=limit)
        return tuple(ready_from_row(row) for row in rows)

    def has_work(self, queue: str) -> bool:
        """Return whether the queue has a ready row."""
        return bool(self.heads(Lane.fifo(queue), 1))

    def capacities(self, environments: Iterable[str]) -> dict[str, Capacity]:
        """Return the capacity in use and the cooling, without those that never ran anything."""
        keys = [(CAPACITY_LANE, name) for name in dict.fromkeys(environments)]
        rows = CapacityRow.batch_get(keys, consistent_read=True)
        return {row.rank: capacity_from_row(row) for row in rows}

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
        row = CapacityRow(CAPACITY_LANE, counted.environment)
        figures: list[UpdateAction] = [
            CapacityRow.cpu_units.set(counted.cpu_units),
            CapacityRow.tasks.set(counted.tasks),
            CapacityRow.starting.set(counted.starting),
        ]
        return write_alone(lambda: row.update(actions=figures, condition=unchanged))

    def put_cooling(
        self, environment: str, cooling: Cooling | None, *, replacing: Cooling | None
    ) -> bool:
        """Write the cooling of an environment, None to end it; False if it is not `replacing`."""
        row = CapacityRow(CAPACITY_LANE, environment)
        # Closes the races with another refusal, with a probe that is dispatched, and with its end.
        unchanged = same_cooling(replacing)
        actions = set_cooling(cooling) + _additions(CapacityChange(environment=environment))
        return write_alone(lambda: row.update(actions=actions, condition=unchanged))

    def permits_full_at_us(self) -> int:
        """Return when the bucket of launch permits will be full; 0 if none was ever taken."""
        rows = list(PermitsRow.batch_get([PERMITS_KEY], consistent_read=True))
        return rows[0].full_at_us if rows else 0

    def take_permits(self, permits: LaunchPermits, count: int, *, in_debt: bool = False) -> bool:
        """Take launch permits by one conditional update.

        While the bucket is not full, taking is an addition, which commutes with that of another
        dispatcher as long as there are enough for both. A full bucket is set, once.
        """
        row, now_us = PermitsRow(*PERMITS_KEY), permits.now_ms * 1000
        cost_us = count * permits.rate.interval_us
        if permits.full_at_us <= now_us:
            action: UpdateAction = PermitsRow.full_at_us.set(now_us + cost_us)
            # Closes the race with another dispatcher that found the bucket full.
            condition = PermitsRow.lane.does_not_exist() | (
                PermitsRow.full_at_us == permits.full_at_us
            )
        else:
            action = PermitsRow.full_at_us.add(cost_us)
            # Closes the race with another dispatcher that takes what is left.
            condition = PermitsRow.full_at_us >= now_us
            if not in_debt:
                condition &= PermitsRow.full_at_us <= permits.latest_us(count)
        return write_alone(lambda: row.update(actions=[action], condition=condition))

    def return_permits(self, permits: LaunchPermits, count: int) -> None:
        """Give back launch permits that were taken and not used."""
        row, cost_us = PermitsRow(*PERMITS_KEY), count * permits.rate.interval_us
        # Unconditional because an addition commutes, and a bucket is never more than full.
        action = PermitsRow.full_at_us.add(-cost_us)
        write_alone(lambda: row.update(actions=[action]))

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
        return write_alone(lambda: row.delete(condition=own))


def _child_range_from_row(row: ChildRangeRow) -> ChildRange:
    job_id, _, first = row.rank.rpartition("#")
    return ChildRange(
        queue=row.lane.rpartition("/")[2],
        job_id=job_id,
        first=int(first),
        numbers=tuple(numbers_in(row.numbers)),
    )


def capacity_action(change: CapacityChange, capacity_limit: CapacityLimit | None) -> Action:
    """Return the update of an environment's figures as part of a transaction.

    Taking capacity has a condition on the figures of that moment: it closes the race with another
    dispatch, and with a launch that is refused meanwhile. Giving capacity back has none.
    """
    condition, actions = None, _additions(change)
    if capacity_limit is not None and change.starting > 0:
        condition = CapacityRow.starting <= capacity_limit.starting_window - change.starting
        if capacity_limit.limit_cpu_units is not None and change.cpu_units > 0:
            condition &= CapacityRow.cpu_units <= capacity_limit.limit_cpu_units - change.cpu_units
        condition &= same_cooling(capacity_limit.cooling)
        condition = CapacityRow.lane.does_not_exist() | condition
        if capacity_limit.probed is not None:
            actions += set_cooling(capacity_limit.probed)

    def action(transaction: TransactWrite) -> None:
        row = CapacityRow(CAPACITY_LANE, change.environment)
        transaction.update(row, actions=actions, condition=condition)

    return action


def same_cooling(seen: Cooling | None) -> Condition:
    """Return the condition that the cooling of an environment is still the one that was read."""
    if seen is None:
        return CapacityRow.cooling_until_ms.does_not_exist()
    # Each write of a cooling moves its end, or its beginning.
    same_end: Condition = CapacityRow.cooling_until_ms == seen.until_ms
    same: Condition = same_end & (CapacityRow.cooling_since_ms == seen.since_ms)
    return same


def set_cooling(cooling: Cooling | None) -> list[UpdateAction]:
    """Return the changes of an environment's row that give it this cooling, or end it."""
    if cooling is None:
        return [
            CapacityRow.cooling_since_ms.remove(),
            CapacityRow.cooling_until_ms.remove(),
            CapacityRow.cooling_seconds.remove(),
            CapacityRow.cooling_reason.remove(),
            CapacityRow.cooling_running.remove(),
        ]
    return [
        CapacityRow.cooling_since_ms.set(cooling.since_ms),
        CapacityRow.cooling_until_ms.set(cooling.until_ms),
        CapacityRow.cooling_seconds.set(cooling.seconds),
        CapacityRow.cooling_reason.set(cooling.reason),
        CapacityRow.cooling_running.set(cooling.running),
    ]


def record_started(change: CapacityChange) -> None:
    """Apply a change of the figures on its own, outside a transaction."""
    # Unconditional because an addition commutes; the write of the job makes sure that it happens
    # once.
    row = CapacityRow(CAPACITY_LANE, change.environment)
    write_alone(lambda: row.update(actions=_additions(change)))


def _additions(change: CapacityChange) -> list[UpdateAction]:
    additions = (
        (CapacityRow.cpu_units, change.cpu_units),
        (CapacityRow.tasks, change.tasks),
        (CapacityRow.starting, change.starting),
    )
    # Zeros too: a row that an update creates has every figure, as `correct_capacity` expects.
    return [attribute.add(amount) for attribute, amount in additions]


def capacity_from_row(row: CapacityRow) -> Capacity:
    """Return the figures and the cooling of an environment."""
    return Capacity(
        environment=row.rank,
        cpu_units=row.cpu_units or 0,
        tasks=row.tasks or 0,
        starting=row.starting or 0,
        cooling=_cooling_from_row(row),
    )


def _cooling_from_row(row: CapacityRow) -> Cooling | None:
    if row.cooling_until_ms is None:
        return None
    return Cooling(
        since_ms=row.cooling_since_ms or 0,
        until_ms=row.cooling_until_ms,
        seconds=row.cooling_seconds or 0,
        reason=row.cooling_reason or "",
        running=row.cooling_running or 0,
    )
