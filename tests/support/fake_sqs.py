"""SQS in memory: the two queues of the stack, with delay, order, deduplication and redrive."""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.support import stack
from tests.support.clients import FakeClient, OnCall, client_error

WAKE_QUEUE_URL = "https://sqs.test/wake.fifo"
TASK_EVENTS_QUEUE_URL = "https://sqs.test/task-events"
TRIGGER_QUEUE_URL = "https://sqs.test/triggers"
SWEEP_QUEUE_URL = "https://sqs.test/sweep"
TRIGGER_DEAD_LETTERS_URL = "https://sqs.test/triggers-dead"
STREAM_DEAD_LETTERS_URL = "https://sqs.test/stream-dead"
DEDUPLICATION_MS = 5 * 60 * 1000
BODY_LIMIT_BYTES = 256 * 1024


@dataclass(slots=True, kw_only=True)
class Message:
    message_id: str
    body: str
    group: str | None
    visible_at_ms: int
    receives: int = 0
    sent_at_ms: int = 0
    attributes: dict[str, str] = field(default_factory=dict)
    shown_again_at_ms: int | None = None  # set by its receiver, instead of the queue's time-out

    def record(self) -> dict[str, Any]:
        """Return the message as a Lambda function receives it."""
        attributes = {
            "SentTimestamp": str(self.sent_at_ms),
            "ApproximateReceiveCount": str(self.receives + 1),
        }
        return {
            "messageId": self.message_id,
            "receiptHandle": f"receipt-{self.message_id}-{self.receives + 1}",
            "body": self.body,
            "attributes": attributes,
        }


class Queue:
    """One queue: messages in the order of their arrival, and its dead letters."""

    def __init__(self, logical_id: str) -> None:
        properties = stack.properties(logical_id)
        self.fifo = bool(properties.get("FifoQueue"))
        self.visibility_ms = int(properties.get("VisibilityTimeout", 30)) * 1000
        redrive = properties.get("RedrivePolicy")  # a queue of dead letters has none
        self.receives_limit = int(redrive["maxReceiveCount"]) if redrive else 0
        self.messages: list[Message] = []
        self.dead: list[Message] = []
        self.seen: dict[tuple[str, str], int] = {}  # (group, deduplication id) -> when, in ms
        # For how long the reader still gathers messages into a batch when one arrives.
        self.gathering_ms: Callable[[], int] = lambda: 0

    def deliverable(self, now_ms: int) -> list[Message]:
        """Return the messages for a reader now: a hidden one holds back the rest of its group."""
        held: set[str | None] = set()
        ready = []
        for message in self.messages:
            if message.visible_at_ms > now_ms:
                held.add(message.group)
            elif not self.fifo or message.group not in held:
                ready.append(message)
        return ready

    def acknowledge(self, delivered: Iterable[Message], failed: set[str], now_ms: int) -> None:
        """Delete what was handled; hide what failed, or make it a dead letter in the end."""
        for message in delivered:
            if message.message_id not in failed:
                self.remove(message)
                continue
            message.receives += 1
            hidden_until_ms, message.shown_again_at_ms = message.shown_again_at_ms, None
            message.visible_at_ms = hidden_until_ms or now_ms + self.visibility_ms
            if message.receives >= self.receives_limit:
                self.remove(message)
                self.dead.append(message)

    def remove(self, message: Message) -> None:
        """Remove the message; a duplicate delivery may have removed it before."""
        self.messages = [other for other in self.messages if other is not message]


class FakeSqs(FakeClient):
    service = "sqs"

    def __init__(self, now_ms: Callable[[], int], on_call: OnCall) -> None:
        super().__init__(now_ms, on_call)
        self.queues = {
            WAKE_QUEUE_URL: Queue("WakeQueue"),
            TASK_EVENTS_QUEUE_URL: Queue("TaskEventsQueue"),
            TRIGGER_QUEUE_URL: Queue("TriggerQueue"),
            SWEEP_QUEUE_URL: Queue("SweepQueue"),
            TRIGGER_DEAD_LETTERS_URL: Queue("TriggerDeadLetters"),
            STREAM_DEAD_LETTERS_URL: Queue("StreamDeadLetters"),
        }
        self._numbers = itertools.count(1)

    @property
    def wakes(self) -> Queue:
        return self.queues[WAKE_QUEUE_URL]

    @property
    def task_events(self) -> Queue:
        return self.queues[TASK_EVENTS_QUEUE_URL]

    @property
    def triggers(self) -> Queue:
        return self.queues[TRIGGER_QUEUE_URL]

    @property
    def sweeps(self) -> Queue:
        return self.queues[SWEEP_QUEUE_URL]

    @property
    def trigger_dead_letters(self) -> Queue:
        return self.queues[TRIGGER_DEAD_LETTERS_URL]

    @property
    def stream_dead_letters(self) -> Queue:
        return self.queues[STREAM_DEAD_LETTERS_URL]

    def do_send_message_batch(self, params: dict[str, Any]) -> dict[str, Any]:
        entries = params["Entries"]
        if not 1 <= len(entries) <= 10:
            raise client_error("TooManyEntriesInBatchRequest", str(len(entries)), "SendMessage")
        for entry in entries:
            self.put(self.queues[params["QueueUrl"]], entry)
        return {"Successful": [{"Id": entry["Id"]} for entry in entries], "Failed": []}

    def do_send_message(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"MessageId": self.put(self.queues[params["QueueUrl"]], params)}

    def do_change_message_visibility_batch(self, params: dict[str, Any]) -> dict[str, Any]:
        now_ms = self.now_ms()
        by_receipt = {
            message.record()["receiptHandle"]: message
            for message in self.queues[params["QueueUrl"]].messages
        }
        for entry in params["Entries"]:
            message = by_receipt[entry["ReceiptHandle"]]
            message.shown_again_at_ms = now_ms + entry["VisibilityTimeout"] * 1000
        return {"Successful": [{"Id": entry["Id"]} for entry in params["Entries"]], "Failed": []}

    def put(self, queue: Queue, entry: dict[str, Any]) -> str:
        """Add one message, unless the FIFO queue has seen it within five minutes."""
        now_ms = self.now_ms()
        body, delay = str(entry["MessageBody"]), int(entry.get("DelaySeconds", 0))
        assert len(body.encode()) <= BODY_LIMIT_BYTES, "a message over 256 KiB"
        assert 0 <= delay <= 900, f"SQS holds no message back for {delay} seconds"
        group = entry.get("MessageGroupId")
        if queue.fifo:
            assert group is not None, "a FIFO queue takes no message without a group"
            assert not delay, "a FIFO queue delays no single message"
            key = (group, entry["MessageDeduplicationId"])
            if now_ms - queue.seen.get(key, -DEDUPLICATION_MS) < DEDUPLICATION_MS:
                return "duplicate"
            queue.seen[key] = now_ms
        message = Message(
            message_id=f"message-{next(self._numbers)}",
            body=body,
            group=group,
            visible_at_ms=now_ms + delay * 1000 + queue.gathering_ms(),
            sent_at_ms=now_ms,
            attributes={
                name: str(value["StringValue"])
                for name, value in entry.get("MessageAttributes", {}).items()
            },
        )
        queue.messages.append(message)
        return message.message_id
