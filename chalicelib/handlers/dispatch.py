"""The function `dispatch`: wakes of job queues become rounds of the dispatcher.

Wakes come from a FIFO queue with one message group for each job queue. Several wakes of one job
queue in a batch are one wake. When its round fails, all its messages fail, so that the order within
the group holds.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from chalicelib import wiring
from chalicelib.engine.dispatch.rounds import on_wake
from chalicelib.handlers.partial_batch import (
    BatchResponse,
    Record,
    batch_response,
    handle_groups,
    handle_messages,
)


def on_wakes(event: Mapping[str, Any], left_ms: Callable[[], int]) -> BatchResponse:
    """Dispatch for each job queue that is woken; `left_ms` returns how long we may still run."""
    ports = wiring.ports()
    wakes, failed = handle_messages(event["Records"], _wake_in, action="dispatch.unreadable")
    messages: dict[str, list[str]] = {}
    for queue, message_id in wakes:
        messages.setdefault(queue, []).append(message_id)
    failed += handle_groups(
        messages, lambda queue: on_wake(queue, ports, left_ms), action="dispatch.failed"
    )
    return batch_response(failed, "dispatch", ports.settings)


def _wake_in(record: Record) -> tuple[str, str]:
    """Return the job queue that a message wakes, and the message's id."""
    return str(json.loads(record["body"])["queue"]), record["messageId"]
