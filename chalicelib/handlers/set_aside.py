"""Stream records that are themselves at fault: set aside, so that those behind them are handled.

A stream is ordered, and its mappings try again without end, so that no outage drops a record. One
that fails for minutes although AWS is not at fault would hold its shard up until it expires. It is
sent to the dead-letter queue whole, with the reason, from where `batchyard replay` delivers it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from chalicelib.handlers.partial_batch import Record
from chalicelib.observe import logger

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import Clock, HasStreamDeadLetters, OutageCheck

    class SetAsidePorts(Clock, HasStreamDeadLetters, OutageCheck, Protocol):
        """What this module asks of the outside world."""


AT_FAULT_AFTER_SECONDS = 600
LETTER_LIMIT_BYTES = 200_000  # of SQS's 256 KiB, in characters of JSON
REASON_LIMIT = 500
SetAside = Callable[[Record, Exception], bool]


def is_at_fault(record: Record, error: Exception, ports: SetAsidePorts) -> bool:
    """Return whether the record has failed for long, and for no outage."""
    written_at = record["dynamodb"].get("ApproximateCreationDateTime")
    if written_at is None or ports.is_outage(error):
        return False
    return ports.now_ms() - float(written_at) * 1000 > AT_FAULT_AFTER_SECONDS * 1000


def set_aside(record: Record, error: Exception, *, function: str, ports: SetAsidePorts) -> bool:
    """Send a record that is at fault to the dead-letter queue; return whether it was.

    Raises the queue's error if that fails: the record is then delivered again.
    """
    if not is_at_fault(record, error, ports):
        return False
    reason = f"{type(error).__name__}: {error}"[:REASON_LIMIT]
    letter = {"function": function, "reason": reason, "record": record}
    body = json.dumps(letter)
    if len(body) > LETTER_LIMIT_BYTES:
        keys = {"Keys": record["dynamodb"].get("Keys")}
        body = json.dumps({**letter, "record": {**record, "dynamodb": keys}})
    ports.stream_dead_letters.send(body, reason)
    logger.error("a stream record is set aside", action="stream.set_aside", reason=reason)
    return True
