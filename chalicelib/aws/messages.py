"""The client of the stack's own SQS queues: wakes, task events and trigger messages."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chalicelib.core.ids import Fence
from chalicelib.core.messages import (
    CONTINUATION,
    DEADLINE,
    DELAY_LIMIT_SECONDS,
    EXECUTION_STOPPED,
    LAUNCH_FAILED,
    WAKE,
)
from chalicelib.ports import IncompleteError

SOURCE = "batchyard"


class SendError(IncompleteError):
    """SQS accepted only part of a request; the caller's delivery is repeated."""


class BotoMessages:
    def __init__(
        self,
        client: Any,
        *,
        wake_queue_url: str,
        task_events_queue_url: str,
        trigger_queue_url: str,
        sweep_queue_url: str,
    ) -> None:
        self._client = client
        self._trigger_queue_url = trigger_queue_url
        self._sweep_queue_url = sweep_queue_url
        self._wake_queue_url = wake_queue_url
        self._task_events_queue_url = task_events_queue_url

    def send_wakes(self, queues: Iterable[str], cause: str) -> None:
        """Send a message for each queue, in a message group of its own.

        Queue and cause make the deduplication id.
        """
        entries = [
            {
                "Id": str(number),
                "MessageBody": json.dumps({"queue": queue}),
                "MessageGroupId": queue,
                "MessageDeduplicationId": f"{queue[:60]}.{cause}"[:128],
            }
            for number, queue in enumerate(sorted(set(queues)))
        ]
        self._send(self._wake_queue_url, entries)

    def show_wakes_again(self, receipts: Sequence[str], delay_seconds: int) -> None:
        """Change what is left of the messages' visibility time-out; one that is gone is ignored."""
        for start in range(0, len(receipts), 10):
            entries = [
                {"Id": str(number), "ReceiptHandle": one, "VisibilityTimeout": delay_seconds}
                for number, one in enumerate(receipts[start : start + 10])
            ]
            self._client.change_message_visibility_batch(
                QueueUrl=self._wake_queue_url, Entries=entries
            )

    def send_deadlines(self, deadlines: Sequence[tuple[Fence, int]]) -> None:
        """Send a delayed message for each; a delay above the limit of SQS is cut to it."""
        entries = [
            {
                "Id": str(number),
                "DelaySeconds": max(0, min(delay_seconds, DELAY_LIMIT_SECONDS)),
                "MessageBody": json.dumps(
                    {
                        "source": SOURCE,
                        "detail-type": DEADLINE,
                        "detail": {"startedBy": str(fence)},
                    }
                ),
            }
            for number, (fence, delay_seconds) in enumerate(deadlines)
        ]
        self._send(self._task_events_queue_url, entries)

    def send_wakes_later(self, queues: Iterable[str], delay_seconds: int) -> None:
        """Send the wakes through the task-events queue: a FIFO queue cannot delay one message."""
        entries = [
            {
                "Id": str(number),
                "DelaySeconds": delay_seconds,
                "MessageBody": json.dumps(
                    {"source": SOURCE, "detail-type": WAKE, "detail": {"queue": queue}}
                ),
            }
            for number, queue in enumerate(sorted(set(queues)))
        ]
        self._send(self._task_events_queue_url, entries)

    def send_continuation(self, detail: Mapping[str, Any]) -> None:
        body = {"source": SOURCE, "detail-type": CONTINUATION, "detail": detail}
        self._send(self._task_events_queue_url, [{"Id": "0", "MessageBody": json.dumps(body)}])

    def send_execution_stopped(self, detail: Mapping[str, Any], delay_seconds: int) -> None:
        body = {"source": SOURCE, "detail-type": EXECUTION_STOPPED, "detail": detail}
        entry = {"Id": "0", "DelaySeconds": delay_seconds, "MessageBody": json.dumps(body)}
        self._send(self._task_events_queue_url, [entry])

    def send_launch_failure(self, fence: Fence, error: str, reason: str) -> None:
        detail = {"startedBy": str(fence), "reason": reason, "error": error}
        body = {"source": SOURCE, "detail-type": LAUNCH_FAILED, "detail": detail}
        self._send(self._task_events_queue_url, [{"Id": "0", "MessageBody": json.dumps(body)}])

    def send_sweeps(self, parts: Iterable[Mapping[str, Any]]) -> None:
        entries = [
            {"Id": str(number % 10), "MessageBody": json.dumps(part)}
            for number, part in enumerate(parts)
        ]
        self._send(self._sweep_queue_url, entries)

    def send_closes(self, closes: Iterable[Mapping[str, Any]], *, delay_seconds: int = 0) -> None:
        entries = [
            {
                "Id": str(number % 10),
                "DelaySeconds": max(0, min(delay_seconds, DELAY_LIMIT_SECONDS)),
                "MessageBody": json.dumps({"close": close}),
            }
            for number, close in enumerate(closes)
        ]
        self._send(self._trigger_queue_url, entries)

    def _send(self, url: str, entries: list[dict[str, Any]]) -> None:
        for start in range(0, len(entries), 10):
            answer = self._client.send_message_batch(
                QueueUrl=url, Entries=entries[start : start + 10]
            )
            if answer.get("Failed"):
                raise SendError(str(answer["Failed"][0].get("Message")))
