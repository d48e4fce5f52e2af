"""The order in which the lanes of one queue are served.

A queue carries its order as a value, and `make_plan` asks it for the next lane. Inside a lane the
order is always that of the ranks. FIFO is the only order so far; another one is a class here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from chalicelib.core.lane import Lane
from chalicelib.core.ready import Ready


class LaneOrder(Protocol):
    """What decides between the lanes of a queue. Implementations are pure and hashable."""

    @property
    def blocks_queue(self) -> bool:
        """Whether a head that cannot be placed blocks all lanes of its queue, or only its own."""

    def next_lane(self, heads: Mapping[Lane, Ready]) -> Lane:
        """Return the lane to serve next, from the head of each lane that has one (at least one)."""


@dataclass(frozen=True, slots=True)
class Fifo:
    """First in, first out: the smallest rank of the whole queue, and nothing passes its head.

    This is the rule of AWS Batch's FIFO queues: one job that cannot be placed blocks its queue.
    """

    @property
    def blocks_queue(self) -> bool:
        return True

    def next_lane(self, heads: Mapping[Lane, Ready]) -> Lane:
        return min(heads, key=lambda lane: (heads[lane].rank, lane))


FIFO = Fifo()
