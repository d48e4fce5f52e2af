"""The rounds of the dispatcher: snapshot, plan, commit, until nothing more can be placed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from chalicelib.core.measures import Measure, Sample
from chalicelib.core.messages import DELAY_LIMIT_SECONDS
from chalicelib.core.scheduling.blocked import Blocked, Why
from chalicelib.core.scheduling.plan import Plan, make_plan
from chalicelib.engine.dispatch.blocked import RECORDED_AT_ONCE, record_reason
from chalicelib.engine.dispatch.commit_plan import carry_out
from chalicelib.engine.dispatch.read_snapshot import PLACEMENTS_LIMIT, read_snapshot
from chalicelib.observe import logger, measure

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.engine.dispatch.blocked import BlockedPorts
    from chalicelib.engine.dispatch.commit_plan import CommitPlanPorts
    from chalicelib.engine.dispatch.read_snapshot import ReadSnapshotPorts
    from chalicelib.ports import HasMessages, Ids

    class RoundsPorts(BlockedPorts, CommitPlanPorts, ReadSnapshotPorts, HasMessages, Ids, Protocol):
        """What this module and what it calls ask of the outside world."""


WINDOW_DELAY_SECONDS = 1
PERMITS_REST_SECONDS = 1.0
ROUNDS_LIMIT = 20  # 1800 placements for one wake; another wake is sent for the rest
ROUND_RESERVE_MS = 4_000  # the slowest round measured; no round begins with less time left
LeftMs = Callable[[], int]


def on_wake(queue: str, ports: RoundsPorts, left_ms: LeftMs) -> int:
    """Place what can be placed in the scheduling domain of `queue`; return how many jobs were.

    Sends another wake for what is left when the time is up: an invocation that is cut off would
    keep the next wakes of its message group waiting until the visibility timeout.
    """
    placed, in_time, has_rested, began_ms = 0, True, False, ports.now_ms()
    for _ in range(ROUNDS_LIMIT):
        in_time = left_ms() >= ROUND_RESERVE_MS
        if not in_time:
            break
        snapshot = read_snapshot(queue, ports)
        plan = make_plan(
            snapshot,
            starting_window=ports.settings.starting_window,
            placements_limit=PLACEMENTS_LIMIT,
        )
        written = carry_out(plan, snapshot, ports) if plan.placements else 0
        placed += written
        if plan.placements:
            measure(
                Sample(measure=Measure.DISPATCH_ROUNDS),
                Sample(measure=Measure.JOBS_PLACED, value=written),
            )
        if written == plan.count < PLACEMENTS_LIMIT:
            if written and not has_rested and _waits_for_permits(plan, ports.now_ms(), left_ms):
                ports.rest(PERMITS_REST_SECONDS)
                has_rested = True
                continue
            # All jobs of the snapshot are placed or blocked; a later job sends its own wake.
            _handle_blocked(plan, ports, began_ms)
            return placed
    if placed or not in_time:
        ports.messages.send_wakes([queue], f"more.{ports.new_id()}")
    else:
        # Others keep writing the same rows; without a pause both could repeat this for ever.
        ports.messages.send_wakes_later([queue], WINDOW_DELAY_SECONDS)
    return placed


def _waits_for_permits(plan: Plan, now_ms: int, left_ms: LeftMs) -> bool:
    """Return whether a head waits only for launch permits that a short rest brings.

    A message takes up to two seconds, in which the bucket would be full for a while: launches would
    fall behind the rate. So each wake waits once for the permits of a second, and then sends one.
    """
    rest_ms = round(PERMITS_REST_SECONDS * 1000)
    return left_ms() >= ROUND_RESERVE_MS + rest_ms and any(
        head.why is Why.LAUNCH_RATE and (head.due_ms or 0) <= now_ms + rest_ms
        for head in plan.blocked.values()
    )


def _handle_blocked(plan: Plan, ports: RoundsPorts, began_ms: int) -> None:
    """Log why each head waits, record what lasts, and come back for what time alone brings.

    A job that ends wakes the dispatcher, and so does a probe that runs. A start does not, because
    that would be a wake for every job, so a queue whose starting window is full is woken later.
    """
    for lane, blocked in plan.blocked.items():
        logger.info(
            blocked.sentence,
            action="dispatch.blocked",
            queue=lane.queue,
            share=lane.share,
            why=str(blocked.why),
            job=blocked.ready.job_id,
        )
        if blocked.why in RECORDED_AT_ONCE:
            record_reason(blocked, ports)
    _come_back(plan.blocked.values(), ports, began_ms)


def _come_back(blocked: Iterable[Blocked], ports: RoundsPorts, began_ms: int) -> None:
    """Send a delayed wake for the moment at which the first of these heads may be placed.

    One queue is enough, since its scheduling domain is planned as a whole, and whoever is woken
    comes back for the next. Delayed wakes of one queue that arrive in the same second are one wake,
    so only a dispatcher that has been at work for a second may send one without a delay.
    """
    now_ms = ports.now_ms()
    soonest_seconds = 0 if now_ms - began_ms >= 1000 else 1
    delays = [
        (delay, head.ready.queue)
        for head in blocked
        if (delay := _delay_seconds(head, now_ms, soonest_seconds)) is not None
    ]
    if not delays:
        return
    delay_seconds, queue = min(delays)
    ports.messages.send_wakes_later([queue], delay_seconds)


def _delay_seconds(blocked: Blocked, now_ms: int, soonest_seconds: int) -> int | None:
    """Return after how many seconds time alone may have let this head go on; None for never."""
    if blocked.why is Why.STARTING_WINDOW_FULL:
        return WINDOW_DELAY_SECONDS
    if blocked.due_ms is None:
        return None
    left_ms = min(blocked.due_ms - now_ms, DELAY_LIMIT_SECONDS * 1000)
    if blocked.why is Why.LAUNCH_RATE:
        return max(soonest_seconds, left_ms // 1000)
    return max(1, -(-left_ms // 1000))
