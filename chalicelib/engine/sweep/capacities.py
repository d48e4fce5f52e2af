"""Capacity figures counted again from the placed jobs, and corrected where they differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from chalicelib.core.capacity import CapacityChange, capacity_change_of
from chalicelib.core.job import Job
from chalicelib.core.scheduling.snapshot import Capacity
from chalicelib.engine.dispatch.scheduling_domain import all_queues
from chalicelib.engine.sweep.queues import placed_jobs
from chalicelib.observe import logger

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import Clock, HasCatalog, HasJobs, HasLanes

    class CapacitiesPorts(Clock, HasCatalog, HasJobs, HasLanes, Protocol):
        """What this module asks of the outside world."""


RECOUNT_DELAY_SECONDS = 3.0  # enough for the index to show what was written before


def correct_capacities(placed: Sequence[Job], ports: CapacitiesPorts) -> None:
    """Correct the figures that differ from the count of `placed`, the placed jobs of all queues.

    The count comes from the index, which lags behind the table. So a difference is trusted only if
    figure and count are both unchanged after a delay, and is written only if the figure still is.
    """
    queues = all_queues(ports)
    names = sorted({name for queue in queues for name in queue.environments})
    before = ports.lanes.capacities(names)
    drifted = [
        name
        for name in names
        if before.get(name, Capacity(environment=name)) != _count(placed, name)
    ]
    if not drifted:
        return
    ports.rest(RECOUNT_DELAY_SECONDS)
    placed_again = [job for queue in queues for job in placed_jobs(queue.name, ports)]
    after = ports.lanes.capacities(drifted)
    for name in drifted:
        counted = _count(placed_again, name)
        if counted != _count(placed, name) or after.get(name) != before.get(name):
            continue
        logger.warning("capacity drifted", action="sweep.drift", environment=name)
        ports.lanes.correct_capacity(before.get(name), counted)


def _count(jobs: Iterable[Job], environment: str) -> Capacity:
    """Return the capacity that these jobs hold in the environment."""
    total = CapacityChange(environment=environment)
    for job in jobs:
        change = capacity_change_of(None, job)
        if change is not None and change.environment == environment:
            total = total.plus(change)
    return Capacity(
        environment=environment,
        cpu_units=total.cpu_units,
        tasks=total.tasks,
        starting=total.starting,
    )
