"""Launch permits: taken before a launch is written, and given back if it was not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.scheduling.launch_permits import LaunchPermits, LaunchRate
from chalicelib.observe import logger

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import Clock, HasLanes, HasSettings

    class PermitPorts(Clock, HasLanes, HasSettings, Protocol):
        """What this module asks of the outside world."""


TRIES = 5  # others may take permits at the same moment; each try reads again


def read_permits(ports: PermitPorts) -> LaunchPermits:
    """Return the launch permits that there are now."""
    rate = LaunchRate(
        per_second=ports.settings.launches_per_second, burst=ports.settings.launch_burst
    )
    full_at_us = ports.lanes.permits_full_at_us()
    return LaunchPermits(rate=rate, now_ms=ports.now_ms(), full_at_us=full_at_us)


def take_permits(permits: LaunchPermits, count: int, ports: PermitPorts) -> LaunchPermits | None:
    """Take the permits of a plan; return the bucket they came from, None if others were faster.

    Exactly as many as the plan needs are taken, and before it is written: a process that ends in
    between loses a second of launches, and never launches without a permit.
    """
    for number in range(1, TRIES + 1):
        if permits.available < count:
            return None
        if ports.lanes.take_permits(permits, count):
            return permits
        ports.pause(number)
        permits = read_permits(ports)
    return None


def spend_permits(count: int, ports: PermitPorts) -> None:
    """Take permits for launches that do not wait for them: those of the nodes of a running job.

    The bucket may be left in debt, which the dispatchers then wait for.
    """
    for number in range(1, TRIES + 1 if count else 1):
        if ports.lanes.take_permits(read_permits(ports), count, in_debt=True):
            return
        ports.pause(number)
    logger.warning("launches without permits", action="permits.contended", launches=count)
