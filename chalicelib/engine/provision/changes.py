"""What follows from a changed row of the catalog."""

import hashlib

from chalicelib.core.resources.resource import JOB_QUEUE, TRIGGER, Resource
from chalicelib.engine.dispatch.scheduling_domain import all_queues
from chalicelib.wiring import Ports

_ACTIONS = {"CREATING": "make", "UPDATING": "make", "DELETING": "remove"}


def react(old: Resource | None, new: Resource | None, event_id: str, ports: Ports) -> None:
    if new is None or (old is not None and not _differs(old, new)):
        return
    digest = hashlib.sha256(event_id.encode()).hexdigest()[:24]
    action = _ACTIONS.get(new.status or "")
    if action is not None:
        request = {"kind": new.kind, "name": new.name, "action": action}
        # Named after the change: a repeated delivery finds the execution that it has started.
        ports.workflows.start_provision(f"{action}-{new.name[:48]}-{digest}", request)
    queues = _queues_concerned(new, ports)
    if queues:
        ports.messages.send_wakes(queues, digest)


def _differs(old: Resource, new: Resource) -> bool:
    """Whether more than tags or the count of queues changed."""
    return (old.status, old.state, old.document) != (new.status, new.state, new.document)


def _queues_concerned(changed: Resource, ports: Ports) -> list[str]:
    """The queues whose jobs this change may let run: it may have brought room."""
    if changed.status != "VALID" or changed.kind == TRIGGER:
        return []
    if changed.kind == JOB_QUEUE:
        return [changed.name]
    return [queue.name for queue in all_queues(ports) if changed.name in queue.environments]
