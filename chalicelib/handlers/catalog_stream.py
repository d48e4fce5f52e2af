"""Provisioning: environments, queues and triggers on their way to be made, changed or removed.

A catalog row in CREATING, UPDATING or DELETING starts the provision machine; each of the machine's
states calls one step here. Steps read the row anew, do what its status asks for, and may be run any
number of times. The machine ends with the row VALID, INVALID with a reason, or gone.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from chalicelib.api.compute_environments import HEALTHY
from chalicelib.api.stop_jobs import stop_job
from chalicelib.core.events import EventKind
from chalicelib.core.ids import JobKey
from chalicelib.core.states import TERMINAL, JobStatus
from chalicelib.observe import logger
from chalicelib.triggers import provision as trigger_provisioning
from chalicelib.engine.dispatch.scheduling_domain import all_queues, environments_of
from chalicelib.store.catalog import (
    JOB_QUEUE,
    TRIGGER,
    Resource,
    resource_of_image,
)
from chalicelib.wiring import Ports

QUEUE_DELETED_REASON = "JobQueue deleted"
DRAIN_PAGE = 100  # jobs of each status that one drain step stops

_ACTIONS = {"CREATING": "make", "UPDATING": "make", "DELETING": "remove"}

BatchAnswer = dict[str, list[dict[str, str]]]
Step = Callable[[Resource, Mapping[str, Any], Ports], dict[str, Any]]


class ChangedMeanwhileError(Exception):
    """The row changed under a step; the machine runs the step again on what it has become."""


def on_catalog_records(records: Sequence[Mapping[str, Any]], ports: Ports) -> BatchAnswer:
    """React to the catalog's stream; answers in the form of ReportBatchItemFailures."""
    for record in records:
        change = record["dynamodb"]
        try:
            old = resource_of_image(change.get("OldImage"))
            new = resource_of_image(change.get("NewImage"))
            _react(old, new, str(record["eventID"]), ports)
        except Exception:
            # An ordered stream stops at the first failure and comes back with it.
            logger.exception("a catalog record failed", action="provisioning.failed")
            return {"batchItemFailures": [{"itemIdentifier": change["SequenceNumber"]}]}
    return {"batchItemFailures": []}


def _react(old: Resource | None, new: Resource | None, event_id: str, ports: Ports) -> None:
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


def run_step(request: Mapping[str, Any], ports: Ports) -> dict[str, Any]:
    """One step of the machine: {step, kind, name, cause?} in, what its next state reads out."""
    resource = ports.catalog.find(request["kind"], request["name"])
    if resource is None:
        return {"remaining": 0}  # removed by an earlier run of this step
    return STEPS[request["step"]](resource, request, ports)


def _make_cluster(resource: Resource, request: Mapping[str, Any], ports: Ports) -> dict[str, Any]:
    compute = resource.document.get("computeResources") or {}
    insights = (resource.document.get("ecsSettings") or {}).get("containerInsights", "DISABLED")
    ports.ecs.make_cluster(
        ports.settings.cluster_of(resource.name),
        capacity_providers=[compute["type"]] if compute else [],
        container_insights=str(insights).lower(),
        tags={**resource.tags, **(compute.get("tags") or {})},
    )
    return {}


def _accept(resource: Resource, request: Mapping[str, Any], ports: Ports) -> dict[str, Any]:
    if resource.status in {"CREATING", "UPDATING"}:
        healthy = trigger_provisioning.HEALTHY if resource.kind == TRIGGER else HEALTHY
        _settle(resource, "VALID", healthy, ports)
    return {}


def _reject(resource: Resource, request: Mapping[str, Any], ports: Ports) -> dict[str, Any]:
    if resource.status in _ACTIONS:
        _settle(resource, "INVALID", _reason_in(request), ports)
    return {}


def _settle(resource: Resource, status: str, reason: str, ports: Ports) -> None:
    settled = resource.changed(status=status, status_reason=reason)
    if not ports.catalog.put(settled, replacing=resource):
        raise ChangedMeanwhileError(resource.name)


def _reason_in(request: Mapping[str, Any]) -> str:
    """What a person can act on, of the error that Step Functions caught."""
    cause = str(request.get("cause") or "the provisioning failed")
    # A function's failure comes as a document of which only the message is for a person.
    with suppress(ValueError, KeyError, TypeError):
        cause = str(json.loads(cause)["errorMessage"])
    return f"CLIENT_ERROR - {cause}"[:1000]


def _remove_cluster(resource: Resource, request: Mapping[str, Any], ports: Ports) -> dict[str, Any]:
    ports.ecs.delete_cluster(ports.settings.cluster_of(resource.name))
    return {}


def _remove(resource: Resource, request: Mapping[str, Any], ports: Ports) -> dict[str, Any]:
    if resource.status != "DELETING":
        return {}
    if resource.kind == JOB_QUEUE:
        removed = ports.catalog.remove_linked(resource, unlink=environments_of(resource))
    else:
        removed = ports.catalog.remove(resource)
    if not removed:
        raise ChangedMeanwhileError(resource.name)
    return {}


def _drain(resource: Resource, request: Mapping[str, Any], ports: Ports) -> dict[str, Any]:
    """Terminate a page of the queue's jobs; tells how many it found that had not ended."""
    # The lane is read strongly: a job submitted a moment ago is there before the index shows it.
    found = {ready.job_id for ready in ports.lanes.heads(resource.name, DRAIN_PAGE)}
    for status in JobStatus:
        if status not in TERMINAL:
            jobs = ports.jobs.list_oldest(resource.name, status, limit=DRAIN_PAGE)
            found |= {job.job_id for job in jobs}
    for job_id in sorted(found):
        stop_job(JobKey(job_id), EventKind.DISCARD, QUEUE_DELETED_REASON, ports)
    return {"remaining": len(found)}


STEPS: dict[str, Step] = {
    "make_cluster": _make_cluster,
    "accept": _accept,
    "reject": _reject,
    "remove_cluster": _remove_cluster,
    "drain": _drain,
    "make_trigger": trigger_provisioning.make_trigger,
    "remove_trigger": trigger_provisioning.remove_trigger,
    "remove": _remove,
}
