"""Decided transitions, as a store is asked to write them."""

from dataclasses import dataclass

from chalicelib.core.job import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One decided transition: `new` may replace the row only while it is at `old.version`.

    Where `old` is a child without a row (version 0), `parent` is what it was computed from.
    """

    old: Job
    new: Job
    parent: Job | None = None

    @classmethod
    def of(cls, old: Job, new: Job, parent: Job | None = None) -> "Move":
        """The move from `old` to `new`, however many decisions led there: they make one write."""
        return cls(old=old, new=new.at_version(old.version + 1), parent=parent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """The next children of an array are dispatched: all of `moves` or none.

    `cursor` is the parent's new one; `passed` of the children below it had a row already.
    """

    parent: Job
    cursor: int
    passed: int
    moves: tuple[Move, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityLimit:
    """The bound under which a dispatch may take capacity; None where no limit is stated."""

    limit_cpu_units: int | None
    starting_window: int
