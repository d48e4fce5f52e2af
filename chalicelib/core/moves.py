"""Decided transitions in the form that the store writes."""

from dataclasses import dataclass

from chalicelib.core.job import Job
from chalicelib.core.scheduling.cooling import Cooling


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A decided transition: `new` may replace the row only while the row is at `old.version`.

    Where `old` is a virtual child (version 0), `parent` is the job that it was computed from.
    """

    old: Job
    new: Job
    parent: Job | None = None

    @classmethod
    def of(cls, old: Job, new: Job, parent: Job | None = None) -> "Move":
        """Return the move from `old` to `new`; several decisions in between make one write."""
        return cls(old=old, new=new.at_version(old.version + 1), parent=parent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """The dispatch of an array's next children, written as a whole or not at all.

    `cursor` is the new cursor of the parent; `passed` of the children that it moved past had a row
    already.
    """

    parent: Job
    cursor: int
    passed: int
    moves: tuple[Move, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityLimit:
    """The limits of an environment when a dispatch takes capacity; None means no limit.

    `cooling` is what the plan knew of; `probed` is what it becomes if the plan launches a probe.
    """

    limit_cpu_units: int | None
    starting_window: int
    cooling: Cooling | None = None
    probed: Cooling | None = None
