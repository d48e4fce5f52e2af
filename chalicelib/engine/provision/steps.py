"""The table of provisioning: for each kind of resource, the steps that its machine may run.

The machine of a kind is `statemachines/provision_<kind>.asl.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from chalicelib.core.resources.compute_environment import ComputeEnvironment
from chalicelib.core.resources.resource import COMPUTE_ENVIRONMENT, JOB_QUEUE, TRIGGER, Resource
from chalicelib.engine.provision import compute_environments, job_queues
from chalicelib.engine.provision.common import (
    ACTIONS,
    ChangedMeanwhileError,
    Step,
    accept,
    postpone,
    reject,
    remove,
)
from chalicelib.ports import PassingError
from chalicelib.triggers import provision as triggers

if TYPE_CHECKING:
    from chalicelib.ports import AllPorts

# Of every kind; they take the cause as well.
POSTPONE, REJECT = "postpone", "reject"
# The steps that make something; the others remove it.
_MAKING = frozenset({"make_cluster", "make_capacity", "attach_providers", "make_trigger", "accept"})
PATIENCE_SECONDS = 12 * 3600  # how long an execution waits for what passes by itself
# How long it pauses after a while of tries. Each round takes some sixty events of the execution's
# 25,000, and an update may leave its jobs five days.
SHORTEST_PAUSE_SECONDS = 120
LONGEST_PAUSE_SECONDS = 1800
STEPS: Mapping[str, Mapping[str, Step]] = {
    COMPUTE_ENVIRONMENT: compute_environments.STEPS,
    JOB_QUEUE: job_queues.STEPS,
    TRIGGER: {
        "make_trigger": triggers.make_trigger,
        "accept": partial(accept, reason=triggers.HEALTHY),
        "remove_trigger": triggers.remove_trigger,
        "remove": remove,
    },
}


def run_step(request: Mapping[str, Any], ports: AllPorts) -> dict[str, Any]:
    """Run one step, {step, kind, name, ...}; return what the machine's next state reads.

    A step to postpone or to reject the change has the `cause`, an error that the machine caught,
    and the former the time at which the execution began, `since`. Raises PassingError in place of
    an error that passes by itself, by which the machine knows it.
    """
    try:
        return _run(request, ports)
    except ChangedMeanwhileError as error:
        raise PassingError(f"{error} changed while it was being read") from error
    except Exception as error:
        if not ports.passes(error):
            raise
        raise PassingError(str(error)) from error


def _time_for_jobs(resource: Resource | None) -> int:
    """Return how long an update may wait for jobs on instances that it replaces, in seconds."""
    if resource is None or resource.kind != COMPUTE_ENVIRONMENT:
        return 0
    return ComputeEnvironment.from_resource(resource).seconds_for_jobs


def _run(request: Mapping[str, Any], ports: AllPorts) -> dict[str, Any]:
    kind, step = request["kind"], request["step"]
    resource = ports.catalog.find(kind, request["name"])
    if step == POSTPONE:
        if resource is not None:
            postpone(resource, request["cause"], ports)
        began_ms = datetime.fromisoformat(request["since"]).timestamp() * 1000
        waited_seconds = int(ports.now_ms() - began_ms) // 1000
        waits = waited_seconds < PATIENCE_SECONDS + _time_for_jobs(resource)
        seconds = min(max(waited_seconds // 10, SHORTEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
        return {"decision": "WAIT" if waits else "GIVE_UP", "seconds": seconds}
    if resource is None:
        return {"remaining": 0}  # removed by an earlier run of this step
    if step == REJECT:
        reject(resource, request["cause"], ports)
        return {}
    if ACTIONS.get(resource.status or "") != ("make" if step in _MAKING else "remove"):
        # The change is done, or the row is a new one of the same name: it has its own execution.
        return {"remaining": 0}
    return STEPS[kind][step](resource, ports) or {}
