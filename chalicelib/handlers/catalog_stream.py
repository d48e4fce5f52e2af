"""The function `catalog_changed`: changed rows of the catalog are provisioned."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from chalicelib import wiring
from chalicelib.engine.provision.changes import on_change
from chalicelib.handlers.partial_batch import BatchResponse, Record, batch_response, handle_stream
from chalicelib.store.catalog import resource_from_image
from chalicelib.wiring import Ports


def on_records(event: Mapping[str, Any]) -> BatchResponse:
    """React to the records of the catalog table's stream, in their order."""
    ports = wiring.ports()
    handle = partial(_handle, ports=ports)
    _, failed = handle_stream(event["Records"], handle, action="provisioning.failed")
    return batch_response(failed, "catalog-changed", ports.settings)


def _handle(record: Record, ports: Ports) -> None:
    change = record["dynamodb"]
    old = resource_from_image(change.get("OldImage"))
    new = resource_from_image(change.get("NewImage"))
    on_change(old, new, str(record["eventID"]), ports)
