"""One round of the sweeper: once a minute, it finds and corrects what no event will bring.

For each queue: launches and tasks whose events were lost, deadlines, stops that had no effect, and
why the heads wait. Then capacity figures that drifted, and bundles of trigger events that were left
open. Everything is decided by the same functions as when an event comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.job import Job
from chalicelib.engine.dispatch.scheduling_domain import all_queues
from chalicelib.engine.sweep.capacities import correct_capacities
from chalicelib.engine.sweep.heads import explain_heads
from chalicelib.engine.sweep.queues import examine, placed_jobs
from chalicelib.observe import logger
from chalicelib.triggers.bundles import close_left

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.engine.sweep.capacities import CapacitiesPorts
    from chalicelib.engine.sweep.heads import HeadsPorts
    from chalicelib.engine.sweep.queues import QueuesPorts
    from chalicelib.triggers.bundles import LeftBundlePorts

    class SweepPorts(CapacitiesPorts, HeadsPorts, QueuesPorts, LeftBundlePorts, Protocol):
        """What this module and what it calls ask of the outside world."""


def sweep(ports: SweepPorts) -> None:
    """Sweep every queue, then what is common to all.

    A part that fails does not keep the others from their turn; the first error is raised at the
    end. Capacity is counted only when the placed jobs of all queues are known.
    """
    failures = []
    placed: list[Job] = []
    for queue in all_queues(ports):
        try:
            jobs = placed_jobs(queue.name, ports)
            placed.extend(jobs)
            examine(jobs, ports)
            explain_heads(queue.name, ports)
        except Exception as error:
            logger.exception("a queue could not be swept", action="sweep.failed", queue=queue.name)
            failures.append(error)
    if not failures:
        correct_capacities(placed, ports)
    try:
        close_left(ports)
    except Exception as error:
        logger.exception("bundles could not be swept", action="sweep.failed")
        failures.append(error)
    if failures:
        raise failures[0]
