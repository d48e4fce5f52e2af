"""The steps of the provision machine."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from chalicelib.core.events import EventKind
from chalicelib.core.ids import JobKey
from chalicelib.core.resources.compute_environment import ComputeEnvironment
from chalicelib.core.resources.job_queue import JobQueue
from chalicelib.core.resources.resource import JOB_QUEUE, TRIGGER, Resource
from chalicelib.core.states import TERMINAL, JobStatus
from chalicelib.engine.dispatch.scheduling_domain import queue_of_resource
from chalicelib.engine.provision.changes import _ACTIONS
from chalicelib.jobs.stop import stop_job
from chalicelib.triggers import provision as trigger_provisioning
from chalicelib.wiring import Ports

HEALTHY = "ComputeEnvironment Healthy"
QUEUE_DELETED_REASON = "JobQueue deleted"
DRAIN_PAGE = 100  # jobs of each status that one drain step stops
Step = Callable[[Resource, Mapping[str, Any], Ports], dict[str, Any]]


class ChangedMeanwhileError(Exception):
    """The row changed under a step; the machine runs the step again on what it has become."""


def run_step(request: Mapping[str, Any], ports: Ports) -> dict[str, Any]:
    """One step of the machine: {step, kind, name, cause?} in, what its next state reads out."""
    resource = ports.catalog.find(request["kind"], request["name"])
    if resource is None:
        return {"remaining": 0}  # removed by an earlier run of this step
    return STEPS[request["step"]](resource, request, ports)


def _make_cluster(resource: Resource, request: Mapping[str, Any], ports: Ports) -> dict[str, Any]:
    environment = ComputeEnvironment.from_resource(resource)
    cluster = ports.settings.cluster_of(environment.name)
    ecs = environment.compute_type.require_ecs()
    ports.ecs.make_cluster(
        cluster,
        capacity_providers=list(ecs.capacity_providers(environment.target(cluster))),
        container_insights=environment.container_insights,
        tags=environment.cluster_tags,
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
    idle = resource.changed(status=status, status_reason=reason)
    if not ports.catalog.put(idle, replacing=resource):
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
        environments = JobQueue.from_resource(resource).environments
        removed = ports.catalog.remove_linked(resource, unlink=environments)
    else:
        removed = ports.catalog.remove(resource)
    if not removed:
        raise ChangedMeanwhileError(resource.name)
    return {}


def _drain(resource: Resource, request: Mapping[str, Any], ports: Ports) -> dict[str, Any]:
    """Terminate a page of the queue's jobs; tells how many it found that had not ended."""
    # The lane is read strongly: a job submitted a moment ago is there before the index shows it.
    lanes = queue_of_resource(resource).lanes
    found = {ready.job_id for lane in lanes for ready in ports.lanes.heads(lane, DRAIN_PAGE)}
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
