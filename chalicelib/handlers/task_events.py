"""Task events: what ECS, the launch machine and our own clock report about placed jobs.

A batch of messages is read, decided job by job in the order of arrival, and written in as few
transactions as fit. A move that lost its condition is read and decided again. A message that cannot
be handled is reported by its id, and ends in the dead-letter queue; the others are done.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.engine.continuation import Continuation
from chalicelib.engine.multinode.reports import apply_node_reports
from chalicelib.engine.notify.executions import on_stopped
from chalicelib.engine.resume import resume
from chalicelib.engine.tasks.ecs_events import (
    cluster_of_message,
    continuation_in_message,
    event_of_message,
    execution_of_message,
    wake_of_message,
)
from chalicelib.engine.tasks.reports import Report, apply_reports
from chalicelib.observe import logger
from chalicelib.wiring import Ports

BatchAnswer = dict[str, list[dict[str, str]]]


def on_messages(records: Sequence[Mapping[str, Any]], ports: Ports) -> BatchAnswer:
    """Handle a batch of the task-events queue; answers in the form of ReportBatchItemFailures."""
    reports: list[Report] = []
    failed: set[str] = set()
    wakes: set[str] = set()
    for record in records:
        try:
            message = json.loads(record["body"])
            if queue := wake_of_message(message):
                wakes.add(queue)
                continue
            if detail := continuation_in_message(message):
                resume(Continuation.from_detail(detail), ports)
                continue
            if stopped := execution_of_message(message):
                on_stopped(stopped, ports)
                continue
            report = _report_of(message, record["messageId"], ports.now_ms())
        except Exception:
            logger.exception("a message cannot be handled", action="task_events.failed")
            failed.add(record["messageId"])
            continue
        if report is not None:
            reports.append(report)
    failed |= apply_reports([one for one in reports if not one.key.is_node], ports)
    failed |= apply_node_reports([one for one in reports if one.key.is_node], ports)
    if wakes:
        # However many delayed wakes of a queue fall into one second, they are one wake.
        ports.messages.send_wakes(wakes, f"later.{ports.now_ms() // 1000}")
    return {"batchItemFailures": [{"itemIdentifier": name} for name in sorted(failed)]}


def _report_of(message: Mapping[str, Any], message_id: str, now_ms: int) -> Report | None:
    event = event_of_message(message, now_ms)
    if event is None or event.fence is None:
        return None
    return Report(
        message_id=message_id,
        event=event,
        key=event.fence.key,
        cluster=cluster_of_message(message),
    )
