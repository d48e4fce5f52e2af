"""The heads of a queue's lanes: waking their queue if some can be placed, explaining the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.events import Event, EventKind
from chalicelib.core.job import Job
from chalicelib.core.resources.job_queue import JobQueue
from chalicelib.core.resources.resource import JOB_QUEUE
from chalicelib.core.scheduling.blocked import Blocked, Why
from chalicelib.core.scheduling.plan import make_plan
from chalicelib.engine.dispatch.blocked import block_event, commit_to_head
from chalicelib.engine.dispatch.read_snapshot import read_snapshot

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import Clock, HasCatalog, HasJobs, HasLanes, HasMessages, HasSettings

    class HeadsPorts(Clock, HasCatalog, HasJobs, HasLanes, HasMessages, HasSettings, Protocol):
        """What this module asks of the outside world."""


TIME_LIMIT_REASON = "Canceled by JobStateTimeLimit action due to reason: {why}"


def explain_heads(queue: str, ports: HeadsPorts) -> None:
    """Wake a queue that has jobs to place; record in each blocked head why it waits."""
    snapshot = read_snapshot(queue, ports)
    if not any(heads and lane.queue == queue for lane, heads in snapshot.lanes.items()):
        return
    plan = make_plan(
        snapshot, starting_window=ports.settings.starting_window, placements_limit=10_000
    )
    served = {placement.ready.lane for placement in plan.placements}
    blocked = {lane: head for lane, head in plan.blocked.items() if lane.queue == queue}
    waits_for_rate = any(head.why is Why.LAUNCH_RATE for head in blocked.values())
    if not blocked or waits_for_rate or any(lane.queue == queue for lane in served):
        # Some of its jobs can be placed, but were not: the wake for them was lost.
        ports.messages.send_wakes([queue], f"sweep.{ports.now_ms() // 60_000}")
    for lane, head in blocked.items():
        # The row of a job that is held back says more than the plan knows.
        if lane not in served and head.why is not Why.BACKING_OFF:
            _record_block(queue, head, ports)


def _record_block(queue: str, blocked: Blocked, ports: HeadsPorts) -> None:
    """Record why the head waits, or cancel it if the queue limits how long it may wait for that."""
    job = ports.jobs.find_job(blocked.ready.key)
    if job is None:
        return
    now_ms = ports.now_ms()
    event = block_event(blocked, now_ms)
    if _limit_exceeded(queue, job, blocked, now_ms, ports):
        reason = TIME_LIMIT_REASON.format(why=blocked.why)
        event = Event(kind=EventKind.CANCEL, at_ms=now_ms, reason=reason)
    commit_to_head(job, event, ports)


def _limit_exceeded(queue: str, job: Job, blocked: Blocked, now_ms: int, ports: HasCatalog) -> bool:
    """Return whether a jobStateTimeLimitAction of the queue applies to its head."""
    if job.blocked_why != str(blocked.why) or job.blocked_since_ms is None:
        return False
    resource = ports.catalog.find(JOB_QUEUE, queue)
    limits = JobQueue.from_resource(resource).time_limits if resource else ()
    waited_seconds = (now_ms - job.blocked_since_ms) / 1000
    return any(
        limit.reason == str(blocked.why) and waited_seconds >= limit.limit_seconds
        for limit in limits
    )
