"""The function `catalog_changed`: changed rows of the catalog are provisioned.

`batchyard replay` invokes it too: with records that failed before, or for all rows as they are.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from chalicelib import wiring
from chalicelib.engine.provision.changes import on_change, replay_rows
from chalicelib.handlers.partial_batch import BatchResponse, Record, batch_response, handle_stream
from chalicelib.handlers.set_aside import set_aside
from chalicelib.store.catalog import resource_from_image
from chalicelib.wiring import Ports

FUNCTION = "catalog-changed"


def on_records(event: Mapping[str, Any]) -> BatchResponse:
    """React to the records of the catalog table's stream, in their order, or to rows as they are.

    A replay sets nothing aside: what fails again is left where it lies.
    """
    ports = wiring.ports()
    if event.get("replay") == "rows":
        replay_rows(ports.new_id(), ports)
        return batch_response([], FUNCTION, ports.settings)
    handle = partial(_handle, ports=ports)
    aside = None if event.get("replay") else partial(set_aside, function=FUNCTION, ports=ports)
    _, failed = handle_stream(
        event["Records"], handle, action="provisioning.failed", set_aside=aside
    )
    return batch_response(failed, FUNCTION, ports.settings)


def _handle(record: Record, ports: Ports) -> None:
    change = record["dynamodb"]
    old = resource_from_image(change.get("OldImage"))
    new = resource_from_image(change.get("NewImage"))
    on_change(old, new, str(record["eventID"]), ports)
