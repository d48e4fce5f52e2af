"""Capacity figures counted again from the placed jobs, and corrected where they differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from chalicelib.core.capacity import CapacityChange, capacity_change_of
from chalicelib.core.job import Job
from chalicelib.core.measures import Measure, Sample
from chalicelib.core.scheduling.snapshot import Capacity
from chalicelib.core.states import PLACED, JobStatus
from chalicelib.engine.dispatch.scheduling_domain import all_queues
from chalicelib.engine.sweep.children import placed_children
from chalicelib.engine.sweep.pages import child_range_pages, job_pages
from chalicelib.observe import logger, measure

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import Clock, HasCatalog, HasJobs, HasLanes

    class CapacitiesPorts(Clock, HasCatalog, HasJobs, HasLanes, Protocol):
        """What this module asks of the outside world."""


RECOUNT_DELAY_SECONDS = 3.0  # enough for the index to show what was written before


def correct_capacities(names: Sequence[str], ports: CapacitiesPorts) -> None:
    """Correct the figures of the environments of these queues, which no other queue uses.

    The count comes from the index, which lags behind the table. So a difference is trusted only if
    figure and count are both unchanged after a delay, and is written only if the figure still is.
    Nothing is corrected where a queue uses the environments that is not among `names`: it was made,
    or changed, since they were found.
    """
    queues = [queue for queue in all_queues(ports) if queue.name in set(names)]
    others = {
        environment
        for queue in all_queues(ports)
        if queue.name not in set(names)
        for environment in queue.environments
    }
    environments = sorted({name for queue in queues for name in queue.environments} - others)
    before = ports.lanes.capacities(environments)
    placed = _placed_jobs(names, ports)
    drifted = [
        name
        for name in environments
        if before.get(name, Capacity(environment=name)) != _count(placed, name)
    ]
    if not drifted:
        return
    ports.rest(RECOUNT_DELAY_SECONDS)
    placed_again = _placed_jobs(names, ports)
    after = ports.lanes.capacities(drifted)
    for name in drifted:
        counted = _count(placed_again, name)
        if counted != _count(placed, name) or after.get(name) != before.get(name):
            continue
        logger.warning("capacity drifted", action="sweep.drift", environment=name)
        measure(Sample(measure=Measure.SWEEPER_REPAIRS))
        ports.lanes.correct_capacity(before.get(name), counted)


def _placed_jobs(names: Iterable[str], ports: CapacitiesPorts) -> list[Job]:
    """Return all jobs and children of the queues that are STARTING or RUNNING."""
    placed: list[Job] = []
    for name in names:
        for status in sorted(PLACED):
            for jobs, _ in job_pages(name, JobStatus(status), None, ports):
                placed.extend(jobs)
        for child_ranges, _ in child_range_pages(name, None, ports):
            placed.extend(placed_children(child_ranges, ports))
    return placed


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
