"""The dispatcher: reads the lanes' heads, plans, and commits the plan.

Woken for a queue, it plans all queues that share an environment with it, so that priority counts
between them and freed capacity reaches whoever waits. The plan is pure (`core/scheduling`); the
transaction that carries it out holds only if the rows are still as they were. What is refused is
read and planned anew, a bounded number of times: whoever took the place woke the dispatcher too.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.engine.dispatch.rounds import LeftMs, on_wake
from chalicelib.observe import logger
from chalicelib.wiring import Ports

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
