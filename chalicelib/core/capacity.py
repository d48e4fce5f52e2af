"""How a write of a job's row changes the capacity in use in its compute environment."""

from dataclasses import dataclass

from chalicelib.core.job import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityChange:
    """By how much one write changes the figures of a compute environment."""

    environment: str
    cpu_units: int = 0
    tasks: int = 0
    starting: int = 0

    @property
    def moves_anything(self) -> bool:
        return bool(self.cpu_units or self.tasks or self.starting)

    def plus(self, other: "CapacityChange") -> "CapacityChange":
        return CapacityChange(
            environment=self.environment,
            cpu_units=self.cpu_units + other.cpu_units,
            tasks=self.tasks + other.tasks,
            starting=self.starting + other.starting,
        )


def capacity_change_of(old: Job | None, new: Job) -> CapacityChange | None:
    """Return what replacing `old` with `new` takes from, or gives back to, the environment.

    None if the figures stay as they are. `old` is None for a job that had no row. Whatever order
    reports of a task come in, and however often, each of its rows counts as starting or does not.
    """
    environment = new.environment or (old.environment if old else None)
    if environment is None:
        return None
    held = int(new.holds_capacity) - int(old is not None and old.holds_capacity)
    starting = int(new.waits_for_start) - int(old is not None and old.waits_for_start)
    if held == 0 and starting == 0:
        return None
    return CapacityChange(
        environment=environment, cpu_units=held * new.cpu_units, tasks=held, starting=starting
    )
