"""The plan: which waiting jobs are placed in which environments, and why the others wait.

Queues are served by descending priority; among queues of equal priority, the one with the oldest
head first. The queue's `order` chooses between its lanes, and a lane is served in rank order. A
head that cannot be placed blocks its lane, or its whole queue where the order says so; so does a
head whose last launch made no task, until its time. A job takes the first environment of its queue
that has enough free capacity and is not cooling. Each blocked head gets a label from a closed set
and a sentence for the user (`blocked.py`).
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from chalicelib.core.lane import Lane
from chalicelib.core.ready import Ready
from chalicelib.core.scheduling.blocked import (
    Blocked,
    blocked_by_environments,
    held_back,
    passing_over,
    without_permit,
)
from chalicelib.core.scheduling.free_capacity import FreeCapacity, FreePermits, without_spot
from chalicelib.core.scheduling.snapshot import Queue, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A job that is given to an environment, or the next `count` children of an array."""

    ready: Ready
    environment: str
    count: int = 1
    probe: bool = False  # the one launch that tries an environment which is cooling


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The placements in the order in which they were decided, and the blocked head of each lane."""

    placements: tuple[Placement, ...]
    blocked: Mapping[Lane, Blocked]

    @property
    def count(self) -> int:
        """How many jobs and children are placed."""
        return _count(self.placements)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Backlog:
    """The ready rows of a queue that are still to be planned, lane by lane, heads first."""

    queue: Queue
    lanes: Mapping[Lane, deque[Ready]]

    @property
    def head(self) -> Ready | None:
        """The ready row to be planned next, or None if none is left."""
        heads = {lane: rows[0] for lane, rows in self.lanes.items() if rows}
        return heads[self.queue.order.next_lane(heads)] if heads else None

    def remove(self, head: Ready) -> None:
        self.lanes[head.lane].popleft()

    def block(self, lane: Lane) -> None:
        """Plan nothing more from this lane, or from the whole queue if its order says so."""
        for each in self.lanes if self.queue.order.blocks_queue else (lane,):
            self.lanes[each].clear()


@dataclass(slots=True, kw_only=True)
class _Draft:
    """A plan that is being made: what is left, what is placed, and which heads are blocked."""

    snapshot: Snapshot
    free: Mapping[str, FreeCapacity]
    permits: FreePermits
    budget: int  # how many more may be placed
    placements: list[Placement] = field(default_factory=list)
    blocked: dict[Lane, Blocked] = field(default_factory=dict)

    def serve(self, backlog: _Backlog, head: Ready) -> None:
        """Place the head, or as many of its children as fit; block its lane if some are left."""
        backlog.remove(head)
        children = self.snapshot.children.get(head.key, 1) if head.is_array else 1
        wanted = min(children, self.budget)
        if head.held_until_ms is not None and head.held_until_ms > self.snapshot.now_ms:
            self._block(backlog, held_back(head))
            return
        usable = _candidates(backlog.queue, self.free)
        candidates = without_spot(head, usable)
        allowed = self.permits.allow(wanted)
        placed = _place(head, allowed, candidates)
        count = _count(placed)
        self.placements.extend(placed)
        self.permits.left -= count
        self.budget -= count
        if count == wanted:
            return
        if count == allowed and any(one.fits(head) for one in candidates):
            self._block(backlog, without_permit(head, self.permits.next_ms))
        else:
            known = [self.free[n].environment for n in backlog.queue.environments if n in self.free]
            reason = blocked_by_environments(head, backlog.queue, known, candidates)
            self._block(backlog, passing_over(reason, usable, candidates))

    def _block(self, backlog: _Backlog, blocked: Blocked) -> None:
        self.blocked[blocked.ready.lane] = blocked
        backlog.block(blocked.ready.lane)


def make_plan(snapshot: Snapshot, *, starting_window: int, placements_limit: int) -> Plan:
    """Place as many jobs and children as fit and have permits, at most `placements_limit`.

    At most `starting_window` tasks of one environment are STARTING at the same time, and fewer
    where ECS bounds it.
    """
    draft = _Draft(
        snapshot=snapshot,
        free={
            name: FreeCapacity.of(
                environment,
                snapshot.capacities.get(name),
                starting_window=starting_window,
                now_ms=snapshot.now_ms,
            )
            for name, environment in snapshot.environments.items()
        },
        permits=FreePermits.of(snapshot.permits),
        budget=placements_limit,
    )
    for backlogs in _backlogs_by_priority(snapshot):
        while draft.budget > 0 and (found := _next_head(backlogs)):
            draft.serve(*found)
    return Plan(placements=tuple(draft.placements), blocked=draft.blocked)


def _backlogs_by_priority(snapshot: Snapshot) -> Iterator[list[_Backlog]]:
    """Yield the backlogs of the usable queues, those of equal priority together."""
    usable = [queue for queue in snapshot.queues if queue.usable]
    usable.sort(key=lambda queue: -queue.priority)
    for _, peers in groupby(usable, key=lambda queue: queue.priority):
        yield [
            _Backlog(
                queue=queue,
                lanes={lane: deque(snapshot.lanes.get(lane, ())) for lane in queue.lanes},
            )
            for queue in peers
        ]


def _next_head(backlogs: Sequence[_Backlog]) -> tuple[_Backlog, Ready] | None:
    """Return the oldest of the queues' heads with its backlog; None if no queue has one."""
    found = [(backlog, head) for backlog in backlogs if (head := backlog.head)]
    return min(found, key=lambda pair: (pair[1].rank, pair[0].queue.name), default=None)


def _candidates(queue: Queue, free: Mapping[str, FreeCapacity]) -> list[FreeCapacity]:
    """Return the queue's usable environments in its order; one that was deleted is left out."""
    known = [free[name] for name in queue.environments if name in free]
    return [candidate for candidate in known if candidate.environment.usable]


def _place(ready: Ready, wanted: int, candidates: Sequence[FreeCapacity]) -> list[Placement]:
    """Place as many of `wanted` as fit, filling the first environment first."""
    placed = []
    for candidate in candidates:
        is_probe = candidate.cooling is not None and not candidate.replacements
        taken = candidate.take(ready, wanted)
        wanted -= taken
        if taken > 0:
            placed.append(
                Placement(
                    ready=ready,
                    environment=candidate.environment.name,
                    count=taken,
                    probe=is_probe,
                )
            )
    return placed


def _count(placements: Sequence[Placement]) -> int:
    return sum(placement.count for placement in placements)
