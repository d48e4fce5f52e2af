"""The function `task_events`: what ECS, the launch machine and our own clock report about jobs.

The reports of a batch are applied together, in the order of their arrival. A message that cannot be
handled fails alone, and ends in the dead-letter queue.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from chalicelib import wiring
from chalicelib.core.scaling_failures import failed_scaling_from_message
from chalicelib.engine.continuation import Continuation
from chalicelib.engine.dispatch.failed_scaling import on_failed_scaling
from chalicelib.engine.multinode.reports import apply_node_reports
from chalicelib.engine.notify.executions import on_stopped
from chalicelib.engine.resume import resume
from chalicelib.engine.tasks.ecs_events import (
    cluster_from_message,
    continuation_from_message,
    event_from_message,
    execution_from_message,
    wake_from_message,
)
from chalicelib.engine.tasks.reports import Report, apply_reports
from chalicelib.engine.tasks.starting_window import without_idle_reports
from chalicelib.handlers.partial_batch import BatchResponse, Record, batch_response, handle_messages
from chalicelib.wiring import Ports

RESERVE_MS = 5_000  # the longest that a write takes which finds DynamoDB busy in every try


def on_messages(event: Mapping[str, Any], left_ms: Callable[[], int]) -> BatchResponse:
    """Handle a batch of the task-events queue; `left_ms` returns how long we may still run."""
    ports = wiring.ports()
    handle = partial(_handle, ports=ports)
    handled, ids = handle_messages(event["Records"], handle, action="task_events.failed")
    failed = set(ids)
    reports = without_idle_reports([one for one in handled if isinstance(one, Report)], ports)

    def has_time() -> bool:
        return left_ms() > RESERVE_MS

    failed |= apply_reports([one for one in reports if not one.key.is_node], ports, has_time)
    failed |= apply_node_reports([one for one in reports if one.key.is_node], ports, has_time)
    wakes = [one for one in handled if isinstance(one, DelayedWake)]
    if wakes:
        # The messages name the wake: those that come again wake no queue twice, and one that
        # arrives a moment later does, because what it is about may have changed since.
        named = wakes[0].message_id + wakes[-1].message_id
        cause = hashlib.sha256(named.encode()).hexdigest()[:32]
        ports.messages.send_wakes({wake.queue for wake in wakes}, f"later.{cause}")
    return batch_response(failed, "task-events", ports.settings)


class DelayedWake(NamedTuple):
    """A wake that was held back, and the message that it came by."""

    queue: str
    message_id: str


def _handle(record: Record, ports: Ports) -> Report | DelayedWake | None:
    """Return the report or the wake in a message; carry out what any other message asks for."""
    message = json.loads(record["body"])
    if queue := wake_from_message(message):
        return DelayedWake(queue, record["messageId"])
    if detail := continuation_from_message(message):
        resume(Continuation.from_detail(detail), ports)
        return None
    if stopped := execution_from_message(message):
        on_stopped(stopped, ports)
        return None
    if failed := failed_scaling_from_message(message, ports.now_ms()):
        on_failed_scaling(failed, ports)
        return None
    return _report_in(message, record["messageId"], ports.now_ms())


def _report_in(message: Mapping[str, Any], message_id: str, now_ms: int) -> Report | None:
    event = event_from_message(message, now_ms)
    if event is None or event.fence is None:
        return None
    return Report(
        message_id=message_id,
        event=event,
        key=event.fence.key,
        cluster=cluster_from_message(message),
    )
