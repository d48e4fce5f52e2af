"""The function `fire_triggers`: messages of the trigger queue fire triggers and close bundles."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from chalicelib import wiring
from chalicelib.core.triggers.arrivals import read_message
from chalicelib.handlers.partial_batch import BatchResponse, Record, batch_response, handle_messages
from chalicelib.triggers.fire import Message, handle_trigger_messages


def on_messages(event: Mapping[str, Any]) -> BatchResponse:
    """Handle a batch of the trigger queue."""
    ports = wiring.ports()
    read = partial(_message_in, now_ms=ports.now_ms())
    messages, failed = handle_messages(event["Records"], read, action="triggers.unreadable")
    failed += handle_trigger_messages(messages, ports)
    return batch_response(failed, "fire-triggers", ports.settings)


def _message_in(record: Record, now_ms: int) -> Message:
    return Message(
        message_id=record["messageId"],
        body=record["body"],
        sent_at_ms=int(record.get("attributes", {}).get("SentTimestamp", now_ms)),
        content=read_message(record["body"]),
    )
