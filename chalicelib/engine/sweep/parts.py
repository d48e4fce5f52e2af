"""The parts of a sweep: what one message has done, in bounded time, and where the next goes on.

A part is one queue, gone through step by step and page by page, or the capacity figures of the
queues that share environments. A message that runs out of time sends another one for the rest. All
of it may be done twice: it is decided by the same functions as when an event comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

from chalicelib.core.job import Job
from chalicelib.core.measures import samples_from_rows
from chalicelib.core.states import JobStatus
from chalicelib.engine.sweep.answers import answer_ended
from chalicelib.engine.sweep.capacities import correct_capacities
from chalicelib.engine.sweep.children import open_children
from chalicelib.engine.sweep.heads import explain_heads
from chalicelib.engine.sweep.pages import answer_pages, child_range_pages, job_pages
from chalicelib.engine.sweep.queues import examine
from chalicelib.engine.sweep.waiting import examine_pending, restore_ready_rows
from chalicelib.observe import logger, measure

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import (
        Clock,
        HasCatalog,
        HasEcs,
        HasJobs,
        HasKnownSpecs,
        HasKnownTaskDefinitions,
        HasLanes,
        HasMessages,
        HasSettings,
        HasWorkflows,
        Parallel,
        PassingCheck,
    )

    class PartsPorts(
        Clock,
        HasCatalog,
        HasEcs,
        HasJobs,
        HasKnownSpecs,
        HasKnownTaskDefinitions,
        HasLanes,
        HasMessages,
        HasSettings,
        HasWorkflows,
        Parallel,
        PassingCheck,
        Protocol,
    ):
        """What this module and what it calls ask of the outside world."""


PART_RESERVE_MS = 9_000  # no page begins with less time left; a page is 80 calls of ECS at most
# A round that has not begun by now is left to the next one; one that has not ended is too long.
BEGIN_LIMIT_MS = 60_000
ROUND_LIMIT_MS = 600_000
LeftMs = Callable[[], int]
JobPage = tuple[Sequence[Job], str | None]  # and the place after which the next one begins


class Step(StrEnum):
    """What is gone through in a queue, in this order."""

    STARTING = "STARTING"
    RUNNING = "RUNNING"
    CHILDREN = "CHILDREN"
    PENDING = "PENDING"
    RUNNABLE = "RUNNABLE"
    ANSWERS = "ANSWERS"
    HEADS = "HEADS"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePart:
    """The rest of a queue's sweep, from `step` on; `after` is the place in that step."""

    queue: str
    at_ms: int  # when the round began
    step: Step = Step.STARTING
    after: str | None = None

    def detail(self) -> dict[str, Any]:
        """Return the part as a message."""
        return {
            "queue": self.queue,
            "at": self.at_ms,
            "step": str(self.step),
            "after": self.after,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityPart:
    """The capacity figures of queues that share environments."""

    queues: tuple[str, ...]
    at_ms: int

    def detail(self) -> dict[str, Any]:
        """Return the part as a message."""
        return {"capacities": list(self.queues), "at": self.at_ms}


def part_from_detail(detail: Mapping[str, Any]) -> QueuePart | CapacityPart:
    """Return the part in a message."""
    if "capacities" in detail:
        names = tuple(str(name) for name in detail["capacities"])
        return CapacityPart(queues=names, at_ms=int(detail["at"]))
    return QueuePart(
        queue=str(detail["queue"]),
        at_ms=int(detail["at"]),
        step=Step(detail["step"]),
        after=detail["after"],
    )


def sweep_part(part: QueuePart | CapacityPart, ports: PartsPorts, left_ms: LeftMs) -> None:
    """Do the part, or as much of it as there is time for; `left_ms` returns how much is left."""
    age_ms = ports.now_ms() - part.at_ms
    if isinstance(part, CapacityPart):
        if age_ms < BEGIN_LIMIT_MS:
            correct_capacities(part.queues, ports)
        return
    begins = part == QueuePart(queue=part.queue, at_ms=part.at_ms)
    if age_ms >= (BEGIN_LIMIT_MS if begins else ROUND_LIMIT_MS):
        logger.warning("a sweep came too late", action="sweep.late", queue=part.queue)
        return
    _sweep_queue(part, ports, left_ms)


def _sweep_queue(part: QueuePart, ports: PartsPorts, left_ms: LeftMs) -> None:
    """Go through the steps of a queue.

    A step that fails does not keep the others from their turn; the first error is raised at the
    end.
    """
    failures: list[Exception] = []
    steps = list(Step)
    for step in steps[steps.index(part.step) :]:
        current = part if step is part.step else replace(part, step=step, after=None)
        try:
            for after in _work(current, ports):
                if after is not None and left_ms() < PART_RESERVE_MS:
                    ports.messages.send_sweeps([replace(current, after=after).detail()])
                    return _raise_first(failures)
        except Exception as error:
            logger.exception(
                "a queue could not be swept", action="sweep.failed", queue=part.queue, step=step
            )
            failures.append(error)
        if step is not steps[-1] and left_ms() < PART_RESERVE_MS:
            following = steps[steps.index(step) + 1]
            ports.messages.send_sweeps([replace(part, step=following, after=None).detail()])
            break
    return _raise_first(failures)


def _raise_first(failures: list[Exception]) -> None:
    if failures:
        raise failures[0]


def _work(part: QueuePart, ports: PartsPorts) -> Iterator[str | None]:
    """Do a step page by page; yield the place after which the next begins, None at the end."""
    queue, after = part.queue, part.after
    match part.step:
        case Step.STARTING | Step.RUNNING:
            pages = _measured(job_pages(queue, JobStatus(part.step), after, ports), ports)
            yield from _each(pages, partial(examine, ports=ports))
        case Step.CHILDREN:
            for child_ranges, place in child_range_pages(queue, after, ports):
                children = open_children(child_ranges, ports)
                examine([child for child in children if child.holds_capacity], ports)
                restore_ready_rows(children, ports)
                yield place
        case Step.PENDING:
            pages = _measured(job_pages(queue, JobStatus.PENDING, after, ports), ports)
            yield from _each(pages, partial(examine_pending, ports=ports))
        case Step.RUNNABLE:
            pages = _measured(job_pages(queue, JobStatus.RUNNABLE, after, ports), ports)
            yield from _each(pages, partial(restore_ready_rows, ports=ports))
        case Step.ANSWERS:
            pages_of_ids = answer_pages(queue, after, ports)
            yield from _each(pages_of_ids, partial(answer_ended, queue, ports=ports))
        case Step.HEADS:
            explain_heads(queue, ports)
            yield None


def _measured(pages: Iterable[JobPage], ports: Clock) -> Iterator[JobPage]:
    """Yield the pages, and measure how many jobs wait and run: they are read anyway."""
    for page, place in pages:
        measure(*samples_from_rows(page, ports.now_ms()))
        yield page, place


def _each(
    pages: Iterator[tuple[Any, str | None]], handle: Callable[[Any], None]
) -> Iterator[str | None]:
    for page, place in pages:
        if page:
            handle(page)
        yield place
