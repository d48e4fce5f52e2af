"""The functions `sweep` and `sweep_part`: what no event will bring.

The first runs once a minute and sends a message for each queue with work; the second does what one
message asks for, and sends another one when its time is up.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from chalicelib import wiring
from chalicelib.engine.sweep.parts import part_from_detail, sweep_part
from chalicelib.engine.sweep.round import sweep
from chalicelib.handlers.partial_batch import BatchResponse, Record, batch_response, handle_messages
from chalicelib.observe import publish_samples


def on_minute() -> None:
    """Begin one round of the sweeper."""
    ports = wiring.ports()
    sweep(ports)
    publish_samples("sweep", ports.settings)


def on_parts(event: Mapping[str, Any], left_ms: Callable[[], int]) -> BatchResponse:
    """Do the parts of a sweep in these messages; `left_ms` returns how long we may still run."""
    ports = wiring.ports()

    def handle(record: Record) -> None:
        sweep_part(part_from_detail(json.loads(record["body"])), ports, left_ms)

    _, failed = handle_messages(event["Records"], handle, action="sweep.failed")
    return batch_response(failed, "sweep-part", ports.settings)
