"""The reactor: what the jobs table's stream tells is made to happen in the world.

Every record becomes effects (`core/consequences.py`), and the effects of a batch are performed
together, side by side. The stream delivers again after any failure, so each effect is safe to
repeat. A record that cannot be read is reported by its number; the ones before it are done.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.core.consequences import (
    Effect,
    effects_of,
)
from chalicelib.engine.reactor import perform
from chalicelib.observe import logger
from chalicelib.store.codec import job_of_image
from chalicelib.wiring import Ports

BatchAnswer = dict[str, list[dict[str, str]]]


def on_records(records: Sequence[Mapping[str, Any]], ports: Ports) -> BatchAnswer:
    """React to a batch of stream records; answers in the form of ReportBatchItemFailures."""
    effects: list[Effect] = []
    unread: list[dict[str, str]] = []
    cause: list[str] = []
    for record in records:
        try:
            change = record["dynamodb"]
            seen = effects_of(
                job_of_image(change.get("OldImage")), job_of_image(change.get("NewImage"))
            )
        except Exception:
            logger.exception("a stream record cannot be read", action="react.unreadable")
            unread.append({"itemIdentifier": record["dynamodb"]["SequenceNumber"]})
            break
        effects.extend(seen)
        cause.append(str(record["eventID"]))
    # What was handled names the wakes of this batch: a repeated delivery wakes nobody twice, and
    # one that brings a new record along does.
    perform(effects, "".join(cause[:1] + cause[-1:]), ports)
    return {"batchItemFailures": unread}
