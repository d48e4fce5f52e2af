"""The function `react`: changed rows of the jobs table become effects.

The effects of a batch are performed together (`engine/reactor.py`). The stream delivers again after
any failure, so each effect is safe to repeat. `batchyard replay` invokes the function too: with
records that failed before, or with the keys of rows whose records are lost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from chalicelib import wiring
from chalicelib.core.consequences import effects_of, effects_of_row
from chalicelib.core.effects import Effect
from chalicelib.core.ids import JOB_PART, JobKey
from chalicelib.core.measures import Sample, samples_from_change
from chalicelib.engine.reactor import perform
from chalicelib.handlers.partial_batch import BatchResponse, Record, batch_response, handle_stream
from chalicelib.handlers.set_aside import is_at_fault, set_aside
from chalicelib.observe import measure
from chalicelib.store.codec import job_from_image
from chalicelib.wiring import Ports

FUNCTION = "react"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """A record of the stream, and what it leads to."""

    record: Record
    effects: tuple[Effect, ...] = ()
    samples: tuple[Sample, ...] = ()


def on_records(event: Mapping[str, Any]) -> BatchResponse:
    """Perform what follows from the records of the jobs table's stream, or from rows as they are.

    A replay sets nothing aside: what fails again is left where it lies.
    """
    ports = wiring.ports()
    if "keys" in event:
        _perform_rows([JobKey(root, part) for root, part in event["keys"]], ports)
        return batch_response([], FUNCTION, ports.settings)
    aside = None if event.get("replay") else partial(set_aside, function=FUNCTION, ports=ports)
    read, failed = handle_stream(
        event["Records"], _change_in, action="react.unreadable", set_aside=aside
    )
    try:
        _perform(read, ports)
    except Exception as error:
        if aside is None or not is_at_fault(read[0].record, error, ports):
            raise
        # Halving the batch has not helped, or not yet: each alone, in their order.
        _, alone = handle_stream(
            [change.record for change in read],
            lambda record: _perform([_change_in(record)], ports),
            action="react.failed",
            set_aside=aside,
        )
        failed = alone or failed
    return batch_response(failed, FUNCTION, ports.settings)


def _perform(read: Sequence[_Change], ports: Ports) -> None:
    effects = [effect for change in read for effect in change.effects]
    event_ids = [str(change.record["eventID"]) for change in read]
    # The first and the last record name the wakes of this batch: the same batch delivered again
    # wakes no queue twice, and one that brings a new record along does.
    perform(effects, "".join(event_ids[:1] + event_ids[-1:]), ports)
    # Last, so that a batch that failed, and comes again, counts once.
    measure(*(sample for change in read for sample in change.samples))


def _perform_rows(keys: Sequence[JobKey], ports: Ports) -> None:
    """Perform what follows from the rows as they are now; those that have expired are passed by."""
    rows = ports.jobs.find_jobs(keys)
    effects = [effect for row in rows.values() for effect in effects_of_row(row)]
    perform(effects, ports.new_id(), ports)


def _change_in(record: Record) -> _Change:
    """Return the effects and the samples of one changed row."""
    change = record["dynamodb"]
    part = change.get("Keys", {}).get("part", {}).get("S", JOB_PART)
    key = JobKey("", part)
    if part != JOB_PART and not key.is_child and not key.is_node:
        # Of a spec: nothing follows from it, and the mapping's filter drops it.
        return _Change(record=record)
    old, new = job_from_image(change.get("OldImage")), job_from_image(change.get("NewImage"))
    return _Change(
        record=record,
        effects=effects_of(old, new),
        samples=tuple(samples_from_change(old, new)),
    )
