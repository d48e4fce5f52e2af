"""The function `dispatch`: wakes of job queues become rounds of the dispatcher.

Wakes come from a FIFO queue with one message group for each job queue. Several wakes of one job
queue in a batch are one wake. When its round fails, all its messages fail, so that the order within
the group holds, and they come again after seconds: until then their group stands still.
"""

import json
from collections.abc import Callable, Mapping, Sequence
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
from chalicelib.observe import logger
from chalicelib.wiring import Ports

AGAIN_SECONDS_LIMIT = 15  # the longest that a message group stands still for an error of ours


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
    _come_again_soon(event["Records"], set(failed), ports)
    return batch_response(failed, "dispatch", ports.settings)


def _come_again_soon(records: Sequence[Record], failed: set[str], ports: Ports) -> None:
    """Show the failed messages again after a delay that doubles with each time they came.

    Where even that fails, they come again when their visibility ends.
    """
    by_delay: dict[int, list[str]] = {}
    for record in records:
        if record["messageId"] in failed and "receiptHandle" in record:
            received = int(record.get("attributes", {}).get("ApproximateReceiveCount", 1))
            delay_seconds = min(2**received, AGAIN_SECONDS_LIMIT)
            by_delay.setdefault(delay_seconds, []).append(record["receiptHandle"])
    for delay_seconds, receipts in by_delay.items():
        try:
            ports.messages.show_wakes_again(receipts, delay_seconds)
        except Exception:
            logger.exception("failed wakes stay hidden", action="dispatch.hidden")


def _wake_in(record: Record) -> tuple[str, str]:
    """Return the job queue that a message wakes, and the message's id."""
    return str(json.loads(record["body"])["queue"]), record["messageId"]
