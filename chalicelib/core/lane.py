"""Lanes: where the ready rows of a queue wait, one lane for each share of the queue."""

from typing import NamedTuple

FIFO_SHARE = "-"  # the only share of a FIFO queue, whose jobs have no share identifier


class Lane(NamedTuple):
    """The key of a lane. A FIFO queue has one lane, with the share `FIFO_SHARE`."""

    queue: str
    share: str

    @classmethod
    def fifo(cls, queue: str) -> "Lane":
        """Return the single lane of a FIFO queue."""
        return cls(queue, FIFO_SHARE)
