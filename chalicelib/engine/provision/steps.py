"""The table of provisioning: for each kind of resource, the steps that its machine may run.

The machine of a kind is `statemachines/provision_<kind>.asl.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from chalicelib.core.resources.resource import COMPUTE_ENVIRONMENT, JOB_QUEUE, TRIGGER
from chalicelib.engine.provision import compute_environments, job_queues
from chalicelib.engine.provision.common import Step, accept, reject, remove
from chalicelib.triggers import provision as triggers

if TYPE_CHECKING:
    from chalicelib.ports import AllPorts

REJECT = "reject"  # of every kind: it takes the cause as well
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


def run_step(kind: str, name: str, step: str, cause: str | None, ports: AllPorts) -> dict[str, Any]:
    """Run one step on the row as it is now; return what the machine's next state reads.

    `cause` is the error that the machine caught before it rejects the row.
    """
    resource = ports.catalog.find(kind, name)
    if resource is None:
        return {"remaining": 0}  # removed by an earlier run of this step
    if step == REJECT:
        reject(resource, cause, ports)
        return {}
    return STEPS[kind][step](resource, ports) or {}
