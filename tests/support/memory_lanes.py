"""The lane store in memory: the same contract as that of the DynamoDB store."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from chalicelib.core.child_range import ChildRange
from chalicelib.core.dependencies import Edge
from chalicelib.core.lane import Lane
from chalicelib.core.ready import Ready
from chalicelib.core.scheduling.cooling import Cooling
from chalicelib.core.scheduling.launch_permits import LaunchPermits
from chalicelib.core.scheduling.snapshot import Capacity
from tests.support.memory import Memory, child_range_rank, lane_of


class MemoryLaneStore:
    """Implements `chalicelib.store.lanes.LaneStore` over `Memory`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def heads(self, lane: Lane, limit: int) -> tuple[Ready, ...]:
        self._memory.call("Query")
        key = lane_of(*lane)
        ranks = sorted(rank for name, rank in self._memory.ready if name == key)
        return tuple(self._memory.ready[key, rank] for rank in ranks[:limit])

    def has_work(self, queue: str) -> bool:
        return bool(self.heads(Lane.fifo(queue), 1))

    def capacities(self, environments: Iterable[str]) -> dict[str, Capacity]:
        names = list(dict.fromkeys(environments))
        self._memory.call_batches(names)
        used = self._memory.capacities
        return {name: used[name] for name in names if name in used}

    def correct_capacity(self, seen: Capacity | None, counted: Capacity) -> bool:
        self._memory.call("UpdateItem")
        now = self._memory.capacities.get(counted.environment)
        if now != seen:
            return False
        kept = now.cooling if now is not None else None
        self._memory.capacities[counted.environment] = replace(counted, cooling=kept)
        return True

    def put_cooling(
        self, environment: str, cooling: Cooling | None, *, replacing: Cooling | None
    ) -> bool:
        self._memory.call("UpdateItem")
        used = self._memory.capacities.get(environment) or Capacity(environment=environment)
        if used.cooling != replacing:
            return False
        self._memory.capacities[environment] = replace(used, cooling=cooling)
        return True

    def permits_full_at_us(self) -> int:
        self._memory.call("BatchGetItem")
        return self._memory.permits_full_at_us or 0

    def take_permits(self, permits: LaunchPermits, count: int, *, in_debt: bool = False) -> bool:
        self._memory.call("UpdateItem")
        full_at_us, now_us = self._memory.permits_full_at_us, permits.now_ms * 1000
        cost_us = count * permits.rate.interval_us
        if permits.full_at_us <= now_us:
            if full_at_us not in {None, permits.full_at_us}:
                return False
            self._memory.permits_full_at_us = now_us + cost_us
            return True
        if full_at_us is None or full_at_us < now_us:
            return False
        if not in_debt and full_at_us > permits.latest_us(count):
            return False
        self._memory.permits_full_at_us = full_at_us + cost_us
        return True

    def return_permits(self, permits: LaunchPermits, count: int) -> None:
        self._memory.call("UpdateItem")
        before_us = self._memory.permits_full_at_us or 0
        self._memory.permits_full_at_us = before_us - count * permits.rate.interval_us

    def edges(
        self, job_id: str, *, first: str = "", last: str = "~", limit: int
    ) -> tuple[Edge, ...]:
        self._memory.call("Query")
        ranks = sorted(
            rank
            for upstream_id, rank in self._memory.edges
            if upstream_id == job_id and first <= rank <= last
        )
        return tuple(self._memory.edges[job_id, rank] for rank in ranks[:limit])

    def forget_edges(self, job_id: str) -> None:
        self._memory.call("Query")
        for key in [key for key in self._memory.edges if key[0] == job_id]:
            self._memory.call("DeleteItem")
            del self._memory.edges[key]

    def missing_ready(self, readies: Sequence[Ready]) -> tuple[Ready, ...]:
        self._memory.call_batches(readies)
        rows = self._memory.ready
        return tuple(one for one in readies if (lane_of(*one.lane), one.rank) not in rows)

    def expect_answer(self, queue: str, job_id: str) -> None:
        self._memory.call("PutItem")
        self._memory.answers.add((queue, job_id))

    def unanswered(self, queue: str, *, after: str = "", limit: int) -> tuple[str, ...]:
        self._memory.call("Query")
        ids = sorted(job_id for name, job_id in self._memory.answers if name == queue)
        return tuple(job_id for job_id in ids if job_id > after)[:limit]

    def drop_answer(self, queue: str, job_id: str) -> None:
        self._memory.call("DeleteItem")
        self._memory.answers.discard((queue, job_id))

    def child_ranges(
        self,
        queue: str,
        job_id: str | None = None,
        *,
        after: int = -1,
        behind: ChildRange | None = None,
        limit: int,
    ) -> tuple[ChildRange, ...]:
        self._memory.call("Query")
        found = {
            rank: child_range
            for (lane, rank), child_range in self._memory.child_ranges.items()
            if lane == queue and (job_id is None or child_range.job_id == job_id)
        }
        if behind is not None:
            last = child_range_rank(behind.job_id, behind.first)
            found = {rank: one for rank, one in found.items() if rank > last}
        later = [found[rank] for rank in sorted(found) if not job_id or found[rank].first > after]
        return tuple(later[:limit])

    def drop_child_range(self, child_range: ChildRange) -> None:
        self._memory.call("DeleteItem")
        self._memory.child_ranges.pop(
            (child_range.queue, child_range_rank(child_range.job_id, child_range.first)), None
        )

    def drop_ready(self, ready: Ready) -> bool:
        self._memory.call("DeleteItem")
        key = lane_of(*ready.lane), ready.rank
        row = self._memory.ready.get(key)
        if row is None or row.job_id != ready.job_id:
            return False
        del self._memory.ready[key]
        return True
