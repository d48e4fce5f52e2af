"""Provisioning: environments, queues and triggers on their way to be made, changed or removed.

A catalog row in CREATING, UPDATING or DELETING starts the provision machine; each of the machine's
states calls one step here. Steps read the row anew, do what its status asks for, and may be run any
number of times. The machine ends with the row VALID, INVALID with a reason, or gone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.engine.provision.changes import react
from chalicelib.observe import logger
from chalicelib.store.catalog import resource_of_image
from chalicelib.wiring import Ports

BatchAnswer = dict[str, list[dict[str, str]]]


def on_catalog_records(records: Sequence[Mapping[str, Any]], ports: Ports) -> BatchAnswer:
    """React to the catalog's stream; answers in the form of ReportBatchItemFailures."""
    for record in records:
        change = record["dynamodb"]
        try:
            old = resource_of_image(change.get("OldImage"))
            new = resource_of_image(change.get("NewImage"))
            react(old, new, str(record["eventID"]), ports)
        except Exception:
            # An ordered stream stops at the first failure and comes back with it.
            logger.exception("a catalog record failed", action="provisioning.failed")
            return {"batchItemFailures": [{"itemIdentifier": change["SequenceNumber"]}]}
    return {"batchItemFailures": []}
