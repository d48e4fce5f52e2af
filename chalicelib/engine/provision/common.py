"""Steps that every kind of resource shares: accept, reject and remove its row."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from chalicelib.core.instances.advice import with_advice
from chalicelib.core.resources.resource import COMPUTE_ENVIRONMENT, Resource

if TYPE_CHECKING:
    from chalicelib.ports import AllPorts, HasCatalog

# What the machine of a row's kind does, by the row's status.
ACTIONS: Mapping[str, str] = {"CREATING": "make", "UPDATING": "make", "DELETING": "remove"}

REASON_LIMIT = 1000  # characters of a statusReason

# Takes the row as it is now; returns what the machine's next state reads, if anything.
Step = Callable[[Resource, "AllPorts"], dict[str, Any] | None]


class ChangedMeanwhileError(Exception):
    """The row changed after the step had read it; the machine's Retry runs the step again."""


def accept(resource: Resource, ports: HasCatalog, *, reason: str) -> None:
    """Make a row VALID that was CREATING or UPDATING."""
    if resource.status in {"CREATING", "UPDATING"}:
        _put_status(resource, "VALID", reason, ports)


def reject(resource: Resource, cause: str | None, ports: HasCatalog) -> None:
    """Make a row INVALID; `cause` is the error that Step Functions caught.

    For an environment the reason says what to do, where that is known.
    """
    if resource.status in ACTIONS:
        text = _text_of(cause)
        advised = with_advice(text) if resource.kind == COMPUTE_ENVIRONMENT else text
        _put_status(resource, "INVALID", f"CLIENT_ERROR - {advised}"[:REASON_LIMIT], ports)


def postpone(resource: Resource, cause: str | None, ports: HasCatalog) -> None:
    """Record what a row waits for; its status stays, because the cause passes by itself."""
    if resource.status in ACTIONS:
        reason = f"Waiting, and trying again: {_text_of(cause)}"[:REASON_LIMIT]
        _put_status(resource, str(resource.status), reason, ports)


def remove(resource: Resource, ports: HasCatalog) -> None:
    """Remove a row that is DELETING."""
    # Closes the race with an update: a row that changed after it was read stays.
    if resource.status == "DELETING" and not ports.catalog.remove(resource):
        raise ChangedMeanwhileError(resource.name)


def _put_status(resource: Resource, status: str, reason: str, ports: HasCatalog) -> None:
    changed = resource.changed(status=status, status_reason=reason)
    # Closes the race with an update: the status is that of the row that was read.
    if not ports.catalog.put(changed, replacing=resource):
        raise ChangedMeanwhileError(resource.name)


def _text_of(cause: str | None) -> str:
    """Return the part of a caught error that its reader can act on."""
    text = cause or "the provisioning failed"
    # The error of a function is a document, of which only the message is meant for a person.
    with suppress(ValueError, KeyError, TypeError):
        text = str(json.loads(text)["errorMessage"])
    return text
