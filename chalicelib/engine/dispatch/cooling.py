"""Beginning, prolonging and ending the cooling of environments that have no capacity."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.core.scheduling.cooling import cooling_after_refusal
from chalicelib.core.scheduling.snapshot import Capacity
from chalicelib.observe import logger

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import Clock, HasLanes

    class CoolingPorts(Clock, HasLanes, Protocol):
        """What this module asks of the outside world."""


TRIES = 5  # a lost condition means that another refusal, or a probe, came first


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityRefusal:
    """A launch that an environment had no capacity for, in ECS's words."""

    environment: str
    launched_at_ms: int
    reason: str


def cool_down(refusals: Iterable[CapacityRefusal], ports: CoolingPorts) -> None:
    """Set the environments of these refusals aside, or prolong it; may be repeated.

    Must come before the jobs are given back: whoever sees them in their lane again then sees the
    cooling too. The latest launch of an environment speaks for all of its refusals.
    """
    latest: dict[str, CapacityRefusal] = {}
    for refusal in sorted(refusals, key=lambda one: one.launched_at_ms):
        latest[refusal.environment] = refusal
    for refusal in latest.values():
        _cool_down(refusal, ports)


def _cool_down(refusal: CapacityRefusal, ports: CoolingPorts) -> None:
    for number in range(1, TRIES + 1):
        used = _capacity_of(refusal.environment, ports)
        cooling = cooling_after_refusal(
            used.cooling,
            launched_at_ms=refusal.launched_at_ms,
            reason=refusal.reason,
            now_ms=ports.now_ms(),
            running=used.tasks - used.starting,
        )
        if cooling is None:
            return
        if ports.lanes.put_cooling(refusal.environment, cooling, replacing=used.cooling):
            logger.warning(
                "an environment has no capacity and is set aside",
                action="cooling.begun",
                environment=refusal.environment,
                seconds=cooling.seconds,
                reason=refusal.reason,
            )
            return
        ports.pause(number)


def end_cooling(environment: str, launched_at_ms: int, ports: CoolingPorts) -> None:
    """End the environment's cooling, because a task launched at that time runs; may be repeated."""
    seen = _capacity_of(environment, ports).cooling
    if seen is None or not seen.is_ended_by(launched_at_ms):
        return
    # Not repeated: a lost condition means a newer refusal, or another probe that will report.
    if ports.lanes.put_cooling(environment, None, replacing=seen):
        logger.info(
            "an environment has capacity again", action="cooling.ended", environment=environment
        )


def _capacity_of(environment: str, ports: HasLanes) -> Capacity:
    found = ports.lanes.capacities([environment])
    return found.get(environment, Capacity(environment=environment))
