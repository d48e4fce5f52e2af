"""What a changed row of the catalog starts: a provision machine, and wakes of job queues."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from chalicelib.core.resources.compute_environment import PROVISIONED_MEMBERS
from chalicelib.core.resources.resource import (
    COMPUTE_ENVIRONMENT,
    JOB_QUEUE,
    TRIGGER,
    Resource,
)
from chalicelib.engine.dispatch.scheduling_domain import all_queues
from chalicelib.engine.provision.common import ACTIONS

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import HasCatalog, HasMessages, HasWorkflows

    class ChangesPorts(HasCatalog, HasMessages, HasWorkflows, Protocol):
        """What this module asks of the outside world."""


def on_change(
    old: Resource | None, new: Resource | None, event_id: str, ports: ChangesPorts
) -> None:
    """Start the machine that the row's status asks for; wake the queues whose jobs may now run.

    `event_id` names the change: the same change delivered again starts and wakes nothing.
    """
    if new is None or (old is not None and not _differs(old, new)):
        return
    digest = hashlib.sha256(event_id.encode()).hexdigest()[:24]
    action = ACTIONS.get(new.status or "")
    if action is not None:
        # A Standard machine runs once for each name, so a change names its execution.
        name = f"{action}-{new.name[:48]}-{digest}"
        ports.workflows.start_provision(new.kind, name, {"name": new.name, "action": action})
    queues = _queues_to_wake(new, ports)
    if queues:
        ports.messages.send_wakes(queues, digest)


def replay_rows(cause: str, ports: ChangesPorts) -> None:
    """Do what follows from the rows as they are now; `cause` names this replay."""
    for kind in (COMPUTE_ENVIRONMENT, JOB_QUEUE, TRIGGER):
        after: str | None = None
        while True:
            page = ports.catalog.list_kind(kind, after=after)
            for resource in page.resources:
                on_change(None, resource, f"{cause}/{kind}/{resource.name}", ports)
            after = page.next_name
            if after is None:
                break


def _differs(old: Resource, new: Resource) -> bool:
    """Return whether more changed than tags, the count of queues, or what provisioning wrote."""
    return (old.status, old.state, _asked(old)) != (new.status, new.state, _asked(new))


def _asked(resource: Resource) -> dict[str, Any]:
    document = resource.document
    return {name: value for name, value in document.items() if name not in PROVISIONED_MEMBERS}


def _queues_to_wake(changed: Resource, ports: HasCatalog) -> list[str]:
    """Return the queues whose jobs may have more capacity after this change."""
    if changed.status != "VALID" or changed.kind == TRIGGER:
        return []
    if changed.kind == JOB_QUEUE:
        return [changed.name]
    return [queue.name for queue in all_queues(ports) if changed.name in queue.environments]
