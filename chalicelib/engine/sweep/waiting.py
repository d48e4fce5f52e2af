"""Jobs that wait although nothing will let them go on: the record that should have was lost.

A PENDING job whose dependencies have ended, an array whose children have all ended or that was
stopped, and a job without the ready row that it should have. What needs further reads is done for a
part of the jobs in each round, so that a round costs the same however many wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from zlib import crc32

from chalicelib.core.arrays import array_of, children_ended
from chalicelib.core.job import Job, ready_of
from chalicelib.core.measures import Measure, Sample
from chalicelib.engine.arrays.children import end_array, reconcile_children
from chalicelib.engine.dependencies.dependents import check_dependencies
from chalicelib.observe import logger, measure

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import Clock, HasJobs, HasLanes, HasMessages

    class WaitingPorts(Clock, HasJobs, HasLanes, HasMessages, Protocol):
        """What this module asks of the outside world."""


WAITING_GRACE_MS = 60_000  # until then the record that lets a job go on may be on its way
CHECKED_LIMIT = 100  # jobs of a page that are all checked in every round
TURNS = 10  # of more jobs, each is checked in one round of so many
MINUTE_MS = 60_000


def examine_pending(jobs: Sequence[Job], ports: WaitingPorts) -> None:
    """Let go on what waits in vain among these PENDING jobs and arrays."""
    now_ms = ports.now_ms()
    aged = [job for job in jobs if now_ms - job.changed_at_ms >= WAITING_GRACE_MS]
    for parent in aged:
        if parent.array is not None:
            _examine_array(parent, ports)
    waiting = [job for job in aged if job.waiting_on]
    # The children of an array that wait for one another are many reads, so they always take turns.
    by_child = [job for job in aged if not job.waiting_on and _waits_by_child(job)]
    due = [*_in_turn(waiting, now_ms), *_in_turn(by_child, now_ms, limit=0)]
    specs = ports.jobs.find_specs(job.job_id for job in due) if due else {}
    for job in due:
        if job.job_id in specs:
            check_dependencies(job, specs[job.job_id], ports)
    restore_ready_rows([job for job in aged if job.array is not None], ports)


def _examine_array(parent: Job, ports: WaitingPorts) -> None:
    if children_ended(parent):
        end_array(parent, ports)
    elif parent.stop_cause is not None or array_of(parent).closed_at_ms is not None:
        reconcile_children(parent.job_id, -1, ports)


def _waits_by_child(job: Job) -> bool:
    return job.array is not None and job.array.waits_by_child


def restore_ready_rows(jobs: Iterable[Job], ports: WaitingPorts) -> None:
    """Write the ready rows that some of these jobs, arrays and children lack; wake their queues."""
    now_ms = ports.now_ms()
    expected = {
        job.key: (job, ready)
        for job in _in_turn(list(jobs), now_ms)
        if now_ms - job.changed_at_ms >= WAITING_GRACE_MS and (ready := ready_of(job)) is not None
    }
    if not expected:
        return
    missing = {ready.key for ready in ports.lanes.missing_ready([r for _, r in expected.values()])}
    if not missing:
        return
    # The jobs were read before their ready rows, so most of these have just been dispatched.
    current = ports.jobs.find_jobs(missing)
    lacking = [job for job in current.values() if ready_of(job) is not None]
    restored = [job for job in lacking if ports.jobs.restore_ready(job)]
    for job in restored:
        logger.error("a ready row was missing", action="sweep.ready", job=job.key.public_id)
    if restored:
        measure(Sample(measure=Measure.SWEEPER_REPAIRS, value=len(restored)))
        ports.messages.send_wakes({job.queue for job in restored}, f"ready.{now_ms // MINUTE_MS}")


def _in_turn(jobs: Sequence[Job], now_ms: int, *, limit: int = CHECKED_LIMIT) -> list[Job]:
    """Return all of a few jobs, and those of many whose turn it is in this minute."""
    if len(jobs) <= limit:
        return list(jobs)
    turn = now_ms // MINUTE_MS % TURNS
    return [job for job in jobs if crc32(job.key.public_id.encode()) % TURNS == turn]
