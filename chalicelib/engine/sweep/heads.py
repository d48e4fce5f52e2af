"""The head of a queue: waking its queue if it can be placed, recording why it waits if not."""

from chalicelib.core.events import Event, EventKind
from chalicelib.core.job import Job
from chalicelib.core.resources.resource import JOB_QUEUE
from chalicelib.core.scheduling.plan import Blocked, make_plan
from chalicelib.engine.dispatch.blocked import block_event, commit_to_head
from chalicelib.engine.dispatch.read_snapshot import read_snapshot
from chalicelib.wiring import Ports

TIME_LIMIT_REASON = "Canceled by JobStateTimeLimit action due to reason: {why}"


def explain_head(queue: str, ports: Ports) -> None:
    """Wake a queue whose head can be placed; otherwise record in the head's row why it waits."""
    snapshot = read_snapshot(queue, ports)
    if not snapshot.lanes.get(queue):
        return
    plan = make_plan(
        snapshot, starting_window=ports.settings.starting_window, placements_limit=10_000
    )
    blocked = plan.blocked.get(queue)
    if blocked is None or blocked.ready is not snapshot.lanes[queue][0]:
        # Some of its jobs can be placed but have not been: the wake for them was lost.
        ports.messages.send_wakes([queue], f"sweep.{ports.now_ms() // 60_000}")
        return
    _record_block(queue, blocked, ports)


def _record_block(queue: str, blocked: Blocked, ports: Ports) -> None:
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


def _limit_exceeded(queue: str, job: Job, blocked: Blocked, now_ms: int, ports: Ports) -> bool:
    """Return whether a jobStateTimeLimitAction of the queue applies to its head."""
    if job.blocked_why != str(blocked.why) or job.blocked_since_ms is None:
        return False
    resource = ports.catalog.find(JOB_QUEUE, queue)
    actions = resource.document.get("jobStateTimeLimitActions") or [] if resource else []
    waited_seconds = (now_ms - job.blocked_since_ms) / 1000
    return any(
        action["reason"] == str(blocked.why) and waited_seconds >= action["maxTimeSeconds"]
        for action in actions
    )
