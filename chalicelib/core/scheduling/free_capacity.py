"""What is left of environments and launch permits while a plan is being made."""

from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.core.ready import Ready
from chalicelib.core.scheduling.cooling import PROBE_SECONDS, Cooling, current_cooling
from chalicelib.core.scheduling.launch_permits import LaunchPermits
from chalicelib.core.scheduling.snapshot import Capacity, Environment

# An UNMANAGED environment has no maximum; ECS itself refuses what does not fit.
_UNLIMITED_CPU_UNITS = 2**62


@dataclass(slots=True, kw_only=True)
class FreeCapacity:
    """What is still free in an environment.

    `cooling` is None unless it counts now; `next_probe_ms` is then when the next launch may try.
    """

    environment: Environment
    cpu_units: int
    starting: int  # how many more tasks may start
    cooling: Cooling | None
    replacements: int = 0  # how many more may start in place of those that ended while it cools
    probes: int = 0  # how many more may start beside those, because the time is over
    next_probe_ms: int | None = None

    @classmethod
    def of(
        cls, environment: Environment, used: Capacity | None, *, starting_window: int, now_ms: int
    ) -> "FreeCapacity":
        """Return what an environment has free beside what is in use."""
        used = used or Capacity(environment=environment.name)
        limit = environment.limit_cpu_units
        cooling = current_cooling(used.cooling, now_ms)
        next_probe_ms = cooling.until_ms if cooling is not None else None
        is_due = next_probe_ms is not None and next_probe_ms <= now_ms
        return cls(
            environment=environment,
            cpu_units=_UNLIMITED_CPU_UNITS if limit is None else limit - used.cpu_units,
            starting=environment.starting_window(starting_window) - used.starting,
            cooling=cooling,
            replacements=_ended_since(cooling, environment, used),
            probes=int(is_due),
            next_probe_ms=now_ms + PROBE_SECONDS * 1000 if is_due else next_probe_ms,
        )

    def fits(self, ready: Ready, wanted: int = 1) -> int:
        """Return for how many of `wanted` tasks of this size there is capacity."""
        if not can_ever_hold(self.environment, ready):
            return 0
        fitting = self.cpu_units // ready.cpu_units if ready.cpu_units else wanted
        launchable = self.starting
        if self.cooling is not None:
            # A probe must be alone to be known as one.
            launchable = min(launchable, self.replacements or self.probes)
        return max(0, min(wanted, fitting, launchable))

    def take(self, ready: Ready, wanted: int) -> int:
        """Take capacity for up to `wanted` tasks; return for how many there was."""
        taken = self.fits(ready, wanted)
        self.cpu_units -= taken * ready.cpu_units
        self.starting -= taken
        if self.cooling is not None and self.replacements:
            self.replacements -= taken
        elif self.cooling is not None:
            self.probes -= taken
        return taken


@dataclass(slots=True, kw_only=True)
class FreePermits:
    """The launch permits that are left. None: launches are not limited."""

    permits: LaunchPermits | None
    left: int

    @classmethod
    def of(cls, permits: LaunchPermits | None) -> "FreePermits":
        """Return all the permits that there are now."""
        return cls(permits=permits, left=permits.available if permits else 0)

    @property
    def next_ms(self) -> int:
        """The time at which the next permit can be taken, once there is none left."""
        return self.permits.next_ms if self.permits is not None else 0

    def allow(self, wanted: int) -> int:
        """Return for how many of `wanted` launches there are permits."""
        return wanted if self.permits is None else max(0, min(wanted, self.left))


def _ended_since(cooling: Cooling | None, environment: Environment, used: Capacity) -> int:
    """Return how many tasks fewer are placed than ran when an environment of instances was full.

    Fargate says nothing of the kind: the capacity of a task that ended may go to anyone.
    """
    if cooling is None or not environment.is_on_instances:
        return 0
    return max(0, cooling.running - used.tasks)


def without_spot(ready: Ready, candidates: Sequence[FreeCapacity]) -> Sequence[FreeCapacity]:
    """Return the environments that the job may be placed in, of those that are usable.

    One that has lost its attempts on Spot passes over Spot, unless nothing else could ever hold it.
    """
    if ready.spot_losses is None:
        return candidates
    others = [one for one in candidates if not one.environment.is_spot]
    return others if any(can_ever_hold(one.environment, ready) for one in others) else candidates


def exceeds_maximum(environment: Environment, ready: Ready) -> bool:
    """Return whether the job needs more than all jobs of the environment can use together."""
    limit = environment.limit_cpu_units
    return limit is not None and ready.cpu_units > limit


def can_ever_hold(environment: Environment, ready: Ready) -> bool:
    """Return whether the job could run in the environment if it were empty.

    True for every size where it is not known what the environment's instances hold.
    """
    if exceeds_maximum(environment, ready) or (ready.has_nodes and not environment.runs_nodes):
        return False
    if not environment.holds:
        return True
    return all(any(one.holds(task) for one in environment.holds) for task in ready.task_sizes)
