"""The dispatcher: reads the lanes' heads, plans, and commits the plan.

Woken for a queue, it plans all queues that share an environment with it, so that priority counts
between them and freed capacity reaches whoever waits. The plan is pure (`core/scheduling`); the
transaction that carries it out holds only if the rows are still as they were. What is refused is
read and planned anew, a bounded number of times: whoever took the place woke the dispatcher too.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chalicelib.core.arrays import children_to_dispatch
from chalicelib.core.scheduling.plan import Plan, Why, make_plan
from chalicelib.core.scheduling.snapshot import ComputeType, Environment, Snapshot
from chalicelib.observe import logger
from chalicelib.engine.dispatch.blocked import LASTING, tell_why
from chalicelib.engine.dispatch.scheduling_domain import all_queues, neighbourhood
from chalicelib.engine.dispatch.commit_plan import carry_out
from chalicelib.store.catalog import COMPUTE_ENVIRONMENT, Resource
from chalicelib.wiring import Ports

PLACEMENTS_LIMIT = 90  # so many children of an array fit one transaction, with all that is theirs
WINDOW_DELAY_SECONDS = 1
ROUNDS_LIMIT = 20  # 1800 placements a wake; what is left then is woken for again

ROUND_RESERVE_MS = 4_000  # no round begins with less time than the slowest has taken

LeftMs = Callable[[], int]
BatchAnswer = dict[str, list[dict[str, str]]]


def on_wakes(records: Sequence[Mapping[str, Any]], ports: Ports, left_ms: LeftMs) -> BatchAnswer:
    """Handle a batch of the wake queue; answers in the form of ReportBatchItemFailures.

    `left_ms` tells how long this invocation may go on.

    Several wakes of one queue in a batch are one wake. A queue that fails fails all its messages,
    so that the order within its group holds.
    """
    messages: dict[str, list[str]] = {}
    failed: list[str] = []
    for record in records:
        try:
            queue = str(json.loads(record["body"])["queue"])
        except (ValueError, KeyError, TypeError):
            logger.exception("a wake cannot be read", action="dispatch.unreadable")
            failed.append(record["messageId"])
            continue
        messages.setdefault(queue, []).append(record["messageId"])
    for queue, ids in messages.items():
        try:
            on_wake(queue, ports, left_ms)
        except Exception:
            logger.exception("a wake failed", action="dispatch.failed", queue=queue)
            failed.extend(ids)
    return {"batchItemFailures": [{"itemIdentifier": name} for name in failed]}


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
            _settle_blocked(plan, ports)
            return placed
    if placed or not in_time:
        ports.messages.send_wakes([queue], f"more.{ports.new_id()}")
    else:
        # Others write the same rows all the time; without a pause the two would go on for ever.
        ports.messages.send_wakes_later([queue], WINDOW_DELAY_SECONDS)
    return placed


def read_snapshot(queue_name: str, ports: Ports) -> Snapshot:
    """Everything a plan for this queue and its neighbours is made of."""
    queues = neighbourhood(all_queues(ports), queue_name)
    names = [name for queue in queues for name in queue.environments]
    environments = ports.catalog.find_many(COMPUTE_ENVIRONMENT, names)
    lanes = {queue.name: ports.lanes.heads(queue.name, PLACEMENTS_LIMIT) for queue in queues}
    arrays = [ready.key for lane in lanes.values() for ready in lane if ready.is_array]
    parents = ports.jobs.find_jobs(arrays) if arrays else {}
    return Snapshot(
        queues=queues,
        environments={
            name: environment_of_resource(resource) for name, resource in environments.items()
        },
        capacities=ports.lanes.capacities(names) if any(lanes.values()) else {},
        lanes=lanes,
        # An array of which all is dispatched but the row says otherwise is looked at like any.
        children={key: max(1, children_to_dispatch(parent)) for key, parent in parents.items()},
    )


def environment_of_resource(resource: Resource) -> Environment:
    """A compute environment as placement sees it."""
    resources: Mapping[str, Any] = resource.document.get("computeResources") or {}
    limit = resources.get("maxvCpus")
    return Environment(
        name=resource.name,
        compute_type=ComputeType(resources.get("type", "UNMANAGED")),
        usable=resource.state == "ENABLED" and resource.status in {"VALID", "UPDATING"},
        limit_cpu_units=None if limit is None else int(limit) * 1024,
    )


def _settle_blocked(plan: Plan, ports: Ports) -> None:
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
            tell_why(blocked, ports)
    window_full = [q for q, b in plan.blocked.items() if b.why is Why.STARTING_WINDOW_FULL]
    if window_full:
        ports.messages.send_wakes_later(window_full, WINDOW_DELAY_SECONDS)
