"""The function `react`: changed rows of the jobs table become effects.

The effects of a batch are performed together (`engine/reactor.py`). The stream delivers again after
any failure, so each effect is safe to repeat.
"""

from collections.abc import Mapping
from typing import Any

from chalicelib import wiring
from chalicelib.core.consequences import effects_of
from chalicelib.core.effects import Effect
from chalicelib.engine.reactor import perform
from chalicelib.handlers.partial_batch import BatchResponse, Record, batch_response, handle_stream
from chalicelib.store.codec import job_from_image


def on_records(event: Mapping[str, Any]) -> BatchResponse:
    """Perform what follows from the records of the jobs table's stream."""
    read, failed = handle_stream(event["Records"], _effects_in, action="react.unreadable")
    effects = [effect for in_record, _ in read for effect in in_record]
    event_ids = [event_id for _, event_id in read]
    # The first and the last record name the wakes of this batch: the same batch delivered again
    # wakes no queue twice, and one that brings a new record along does.
    perform(effects, "".join(event_ids[:1] + event_ids[-1:]), wiring.ports())
    return batch_response(failed)


def _effects_in(record: Record) -> tuple[tuple[Effect, ...], str]:
    """Return the effects of one changed row, and the id of its record."""
    change = record["dynamodb"]
    old, new = job_from_image(change.get("OldImage")), job_from_image(change.get("NewImage"))
    return effects_of(old, new), str(record["eventID"])
