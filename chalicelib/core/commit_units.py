"""What of a commit is written together: units, and the groups of them that fit one transaction.

The stores decide how a unit is written and under which conditions; this module decides only what
must not be torn apart.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from chalicelib.core.arrays import count_changes
from chalicelib.core.capacity import CapacityChange, capacity_change_of
from chalicelib.core.job import ready_of
from chalicelib.core.moves import Advance, Move


@dataclass(frozen=True, slots=True, eq=False)
class CommitUnit:
    """Moves that are written together or not at all."""

    moves: tuple[Move, ...]
    advance: Advance | None = None

    @property
    def actions(self) -> int:
        """How many actions of a transaction the unit's own rows take at most."""
        return sum(1 + (ready_of(m.old) != ready_of(m.new)) for m in self.moves) + (
            self.advance is not None
        )

    @property
    def roots(self) -> set[str]:
        """The ids of the arrays whose parent rows the unit changes."""
        children = {move.new.job_id for move in self.moves if move.new.key.is_child}
        return children if self.advance is None else children | {self.advance.parent.job_id}


def changes_one_row(move: Move) -> bool:
    """Return whether the move changes no row but the job's own, or only the count of launches.

    Such a move needs no transaction: an update in place, or STARTING to RUNNING.
    """
    if move.new.key.is_child and count_changes(move.old, move.new):
        return False
    change = capacity_change_of(move.old, move.new)
    return ready_of(move.old) == ready_of(move.new) and (change is None or change.tasks == 0)


def units_of(moves: Iterable[Move], advances: Iterable[Advance]) -> list[CommitUnit]:
    """Return a unit for each move that changes several rows, and one for each advance."""
    units = [CommitUnit((move,)) for move in moves if not changes_one_row(move)]
    return units + [CommitUnit(advance.moves, advance) for advance in advances]


def grouped(units: Iterable[CommitUnit], actions_limit: int) -> Iterator[list[CommitUnit]]:
    """Yield the units in order, in groups of at most `actions_limit` actions.

    A parent row, a child range and an environment's figures count once in a group, whichever units
    change them. A unit that exceeds the limit alone is a group of its own.
    """
    group: list[CommitUnit] = []
    taken, shared = 0, set[tuple[str, str]]()
    for unit in units:
        rows = _shared_rows(unit)
        if group and taken + unit.actions + len(shared | rows) > actions_limit:
            yield group
            group, taken, shared = [], 0, set()
        group.append(unit)
        taken, shared = taken + unit.actions, shared | rows
    if group:
        yield group


def _shared_rows(unit: CommitUnit) -> set[tuple[str, str]]:
    """Return what the unit changes beside its own rows, at most: kind and id of each row."""
    first_rows = {m.new.job_id for m in unit.moves if m.new.key.is_child and m.old.version == 0}
    environments = {m.new.environment or m.old.environment or "" for m in unit.moves}
    return {
        *(("parent", job_id) for job_id in unit.roots),
        *(("child range", job_id) for job_id in first_rows),
        *(("environment", name) for name in environments),
    }


def by_root(units: Sequence[CommitUnit]) -> Iterator[tuple[str, list[CommitUnit]]]:
    """Yield the id of each array whose parent row changes, and the units that change it."""
    for job_id in dict.fromkeys(job_id for unit in units for job_id in sorted(unit.roots)):
        yield job_id, [unit for unit in units if job_id in unit.roots]


def capacity_changes(moves: Iterable[Move]) -> dict[str, CapacityChange]:
    """Return the sum of the moves' capacity changes by environment."""
    changes: dict[str, CapacityChange] = {}
    for move in moves:
        change = capacity_change_of(move.old, move.new)
        if change is not None:
            before = changes.get(change.environment)
            changes[change.environment] = before.plus(change) if before else change
    return changes
