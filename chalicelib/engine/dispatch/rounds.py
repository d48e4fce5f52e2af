"""The rounds of the dispatcher: snapshot, plan, commit, until nothing more can be placed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from chalicelib.core.scheduling.plan import Plan, Why, make_plan
from chalicelib.engine.dispatch.blocked import LASTING, record_reason
from chalicelib.engine.dispatch.commit_plan import carry_out
from chalicelib.engine.dispatch.read_snapshot import PLACEMENTS_LIMIT, read_snapshot
from chalicelib.observe import logger

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.engine.dispatch.blocked import BlockedPorts
    from chalicelib.engine.dispatch.commit_plan import CommitPlanPorts
    from chalicelib.engine.dispatch.read_snapshot import ReadSnapshotPorts
    from chalicelib.ports import HasMessages, Ids

    class RoundsPorts(BlockedPorts, CommitPlanPorts, ReadSnapshotPorts, HasMessages, Ids, Protocol):
        """What this module and what it calls ask of the outside world."""


WINDOW_DELAY_SECONDS = 1
ROUNDS_LIMIT = 20  # 1800 placements for one wake; another wake is sent for the rest
ROUND_RESERVE_MS = 4_000  # the slowest round measured; no round begins with less time left
LeftMs = Callable[[], int]


def on_wake(queue: str, ports: RoundsPorts, left_ms: LeftMs) -> int:
    """Place what can be placed in the scheduling domain of `queue`; return how many jobs were.

    Sends another wake for what is left when the time is up: an invocation that is cut off would
    keep the next wakes of its message group waiting until the visibility timeout.
    """
    placed, in_time = 0, True
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
        if written == plan.count < PLACEMENTS_LIMIT:
            # All jobs of the snapshot are placed or blocked; a later job sends its own wake.
            _handle_blocked(plan, ports)
            return placed
    if placed or not in_time:
        ports.messages.send_wakes([queue], f"more.{ports.new_id()}")
    else:
        # Others keep writing the same rows; without a pause both could repeat this for ever.
        ports.messages.send_wakes_later([queue], WINDOW_DELAY_SECONDS)
    return placed


def _handle_blocked(plan: Plan, ports: RoundsPorts) -> None:
    """Log why each head waits, record lasting reasons, and come back for full starting windows.

    A job that ends wakes the dispatcher. One that reaches RUNNING does not, because that would be
    a wake for every job, so a queue whose starting window is full is woken later.
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
        if blocked.why in LASTING:
            record_reason(blocked, ports)
    window_full = {
        lane.queue
        for lane, blocked in plan.blocked.items()
        if blocked.why is Why.STARTING_WINDOW_FULL
    }
    if window_full:
        ports.messages.send_wakes_later(sorted(window_full), WINDOW_DELAY_SECONDS)
