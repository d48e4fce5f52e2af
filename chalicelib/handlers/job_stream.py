"""The function `react`: changed rows of the jobs table become effects.

The effects of a batch are performed together (`engine/reactor.py`). The stream delivers again after
any failure, so each effect is safe to repeat.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib import wiring
from chalicelib.core.consequences import effects_of
from chalicelib.core.effects import Effect
from chalicelib.core.measures import Sample, samples_from_change
from chalicelib.engine.reactor import perform
from chalicelib.handlers.partial_batch import BatchResponse, Record, batch_response, handle_stream
from chalicelib.observe import measure
from chalicelib.store.codec import job_from_image


def on_records(event: Mapping[str, Any]) -> BatchResponse:
    """Perform what follows from the records of the jobs table's stream."""
    read, failed = handle_stream(event["Records"], _change_in, action="react.unreadable")
    ports = wiring.ports()
    effects = [effect for change in read for effect in change.effects]
    event_ids = [change.event_id for change in read]
    # The first and the last record name the wakes of this batch: the same batch delivered again
    # wakes no queue twice, and one that brings a new record along does.
    perform(effects, "".join(event_ids[:1] + event_ids[-1:]), ports)
    # Last, so that a batch that failed, and comes again, counts once.
    measure(*(sample for change in read for sample in change.samples))
    return batch_response(failed, "react", ports.settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """What a record of the stream leads to."""

    event_id: str
    effects: tuple[Effect, ...]
    samples: tuple[Sample, ...]


def _change_in(record: Record) -> _Change:
    """Return the effects and the samples of one changed row."""
    change = record["dynamodb"]
    old, new = job_from_image(change.get("OldImage")), job_from_image(change.get("NewImage"))
    return _Change(
        event_id=str(record["eventID"]),
        effects=effects_of(old, new),
        samples=tuple(samples_from_change(old, new)),
    )
