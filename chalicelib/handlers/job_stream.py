"""The function `react`: changed rows of the jobs table become effects.

The effects of a batch are performed together (`engine/reactor.py`). The stream delivers again after
any failure, so each effect is safe to repeat. `batchyard replay` invokes the function too: with
records that failed before, or with the keys of rows whose records are lost.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from chalicelib import wiring
from chalicelib.core.consequences import effects_of, effects_of_row
from chalicelib.core.effects import Effect
from chalicelib.core.ids import JOB_PART, JobKey
from chalicelib.engine.reactor import perform
from chalicelib.handlers.partial_batch import BatchResponse, Record, batch_response, handle_stream
from chalicelib.handlers.set_aside import is_at_fault, set_aside
from chalicelib.store.codec import job_from_image
from chalicelib.wiring import Ports

FUNCTION = "react"
Read = tuple[Record, tuple[Effect, ...]]


def on_records(event: Mapping[str, Any]) -> BatchResponse:
    """Perform what follows from the records of the jobs table's stream, or from rows as they are.

    A replay sets nothing aside: what fails again is left where it lies.
    """
    ports = wiring.ports()
    if "keys" in event:
        _perform_rows([JobKey(root, part) for root, part in event["keys"]], ports)
        return batch_response([])
    aside = None if event.get("replay") else partial(set_aside, function=FUNCTION, ports=ports)
    read, failed = handle_stream(
        event["Records"], _effects_in, action="react.unreadable", set_aside=aside
    )
    try:
        _perform(read, ports)
    except Exception as error:
        if aside is None or not is_at_fault(read[0][0], error, ports):
            raise
        # Halving the batch has not helped, or not yet: each alone, in their order.
        _, alone = handle_stream(
            [record for record, _ in read],
            lambda record: _perform([_effects_in(record)], ports),
            action="react.failed",
            set_aside=aside,
        )
        failed = alone or failed
    return batch_response(failed)


def _perform(read: Sequence[Read], ports: Ports) -> None:
    effects = [effect for _, in_record in read for effect in in_record]
    event_ids = [str(record["eventID"]) for record, _ in read]
    # The first and the last record name the wakes of this batch: the same batch delivered again
    # wakes no queue twice, and one that brings a new record along does.
    perform(effects, "".join(event_ids[:1] + event_ids[-1:]), ports)


def _perform_rows(keys: Sequence[JobKey], ports: Ports) -> None:
    """Perform what follows from the rows as they are now; those that have expired are passed by."""
    rows = ports.jobs.find_jobs(keys)
    effects = [effect for row in rows.values() for effect in effects_of_row(row)]
    perform(effects, ports.new_id(), ports)


def _effects_in(record: Record) -> Read:
    """Return the record, and the effects of the changed row in it."""
    change = record["dynamodb"]
    part = change.get("Keys", {}).get("part", {}).get("S", JOB_PART)
    key = JobKey("", part)
    if part != JOB_PART and not key.is_child and not key.is_node:
        return record, ()  # of a spec: nothing follows from it, and the mapping's filter drops it
    old, new = job_from_image(change.get("OldImage")), job_from_image(change.get("NewImage"))
    return record, effects_of(old, new)
