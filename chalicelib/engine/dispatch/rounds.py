"""The dispatcher's rounds: snapshot, plan, commit, until nothing more can be placed."""

from collections.abc import Callable

from chalicelib.core.scheduling.plan import Plan, Why, make_plan
from chalicelib.engine.dispatch.blocked import LASTING, record_reason
from chalicelib.engine.dispatch.commit_plan import carry_out
from chalicelib.engine.dispatch.read_snapshot import PLACEMENTS_LIMIT, read_snapshot
from chalicelib.observe import logger
from chalicelib.wiring import Ports

WINDOW_DELAY_SECONDS = 1
ROUNDS_LIMIT = 20  # 1800 placements a wake; what is left then is woken for again
ROUND_RESERVE_MS = 4_000  # no round begins with less time than the slowest has taken
LeftMs = Callable[[], int]


def on_wake(queue: str, ports: Ports, left_ms: LeftMs) -> int:
    """Place what can be placed in the neighbourhood of `queue`; returns how many jobs were.

    Whatever is left when the time is, is woken for again: a message group must not stand still
    behind an invocation that was cut off.
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
            # All that was seen is placed or blocked; whatever came since comes with a wake.
            _handle_blocked(plan, ports)
            return placed
    if placed or not in_time:
        ports.messages.send_wakes([queue], f"more.{ports.new_id()}")
    else:
        # Others write the same rows all the time; without a pause the two would go on for ever.
        ports.messages.send_wakes_later([queue], WINDOW_DELAY_SECONDS)
    return placed


def _handle_blocked(plan: Plan, ports: Ports) -> None:
    """Say why each head waits, and come back for those that wait only for launches to pass.

    Ended jobs wake the dispatcher, started ones do not: that would be a wake for every job.
    """
    for queue, blocked in plan.blocked.items():
        logger.info(
            blocked.sentence,
            action="dispatch.blocked",
            queue=queue,
            why=str(blocked.why),
            job=blocked.ready.job_id,
        )
        if blocked.why in LASTING:
            record_reason(blocked, ports)
    window_full = [q for q, b in plan.blocked.items() if b.why is Why.STARTING_WINDOW_FULL]
    if window_full:
        ports.messages.send_wakes_later(window_full, WINDOW_DELAY_SECONDS)
