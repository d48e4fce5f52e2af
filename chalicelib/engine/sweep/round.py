"""One round of the sweeper: once a minute, it finds and corrects what no event will bring.

A round sends one message for each queue that has anything to look at, and one for the capacity
figures of the queues that share environments (`parts.py` does what they ask for). A stack with
nothing to do costs a few small reads. Bundles of trigger events that were left open are closed
here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from chalicelib.core.scheduling.snapshot import Capacity, Queue
from chalicelib.core.states import JobStatus
from chalicelib.engine.dispatch.scheduling_domain import all_queues, scheduling_domain
from chalicelib.engine.sweep.parts import CapacityPart, QueuePart
from chalicelib.observe import logger
from chalicelib.triggers.bundles import close_left

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import (
        Clock,
        HasBundles,
        HasCatalog,
        HasJobs,
        HasLanes,
        HasMessages,
        HasSettings,
        Parallel,
    )

    class SweepPorts(
        Clock,
        HasBundles,
        HasCatalog,
        HasJobs,
        HasLanes,
        HasMessages,
        HasSettings,
        Parallel,
        Protocol,
    ):
        """What this module and what it calls ask of the outside world."""


OPEN_STATUSES = (JobStatus.RUNNING, JobStatus.RUNNABLE, JobStatus.PENDING, JobStatus.STARTING)


def sweep(ports: SweepPorts) -> None:
    """Have every queue swept that has jobs, and do what is common to all.

    Neither keeps the other from its turn; the first error is raised at the end.
    """
    failures = []
    for work, what in ((_send_parts, "queues"), (close_left, "bundles")):
        try:
            work(ports)
        except Exception as error:
            logger.exception(f"{what} could not be swept", action="sweep.failed")
            failures.append(error)
    if failures:
        raise failures[0]


def _send_parts(ports: SweepPorts) -> None:
    queues = all_queues(ports)
    answers = ports.run_all([partial(_has_work, queue.name, ports) for queue in queues])
    working = {queue.name for queue, works in zip(queues, answers, strict=True) if works}
    used = _environments_in_use(queues, ports)
    now_ms = ports.now_ms()
    parts = [QueuePart(queue=name, at_ms=now_ms).detail() for name in sorted(working)]
    parts += [
        CapacityPart(queues=names, at_ms=now_ms).detail()
        for names in _domains(queues, working, used)
    ]
    if parts:
        ports.messages.send_sweeps(parts)


def _has_work(queue: str, ports: SweepPorts) -> bool:
    """Return whether the queue has anything to look at.

    That is a job that has not ended, or one whose end a task waits for, or a child range that an
    ended array has left.
    """
    return (
        any(ports.jobs.list_oldest(queue, status, limit=1) for status in OPEN_STATUSES)
        or bool(ports.lanes.child_ranges(queue, limit=1))
        or bool(ports.lanes.unanswered(queue, limit=1))
    )


def _environments_in_use(queues: Iterable[Queue], ports: HasLanes) -> set[str]:
    """Return the environments whose figures are not all zero, be it by drift."""
    names = sorted({name for queue in queues for name in queue.environments})
    found = ports.lanes.capacities(names) if names else {}
    return {name for name, used in found.items() if used != Capacity(environment=name)}


def _domains(
    queues: Sequence[Queue], working: set[str], used: set[str]
) -> Iterable[tuple[str, ...]]:
    """Yield the names of queues that share environments, where there is anything to count."""
    left = {queue.name for queue in queues}
    for queue in queues:
        if queue.name not in left:
            continue
        domain = scheduling_domain(tuple(queues), queue.name)
        left -= {one.name for one in domain}
        in_use = any(name in used for one in domain for name in one.environments)
        if in_use or any(one.name in working for one in domain):
            yield tuple(sorted(one.name for one in domain))
