"""The table of provisioning: for each kind of resource, the steps that its machine may run.

The machine of a kind is `statemachines/provision_<kind>.asl.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from chalicelib.core.resources.resource import COMPUTE_ENVIRONMENT, JOB_QUEUE, TRIGGER
from chalicelib.engine.provision import compute_environments, job_queues
from chalicelib.engine.provision.common import (
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

    `cause` is the error that the machine caught before it postpones or rejects the change. Raises
    PassingError in place of an error that passes by itself, by which the machine knows it.
    """
    try:
        return _run(kind, name, step, cause, ports)
    except ChangedMeanwhileError as error:
        raise PassingError(f"{error} changed while it was being read") from error
    except Exception as error:
        if not ports.passes(error):
            raise
        raise PassingError(str(error)) from error


def _run(kind: str, name: str, step: str, cause: str | None, ports: AllPorts) -> dict[str, Any]:
    resource = ports.catalog.find(kind, name)
    if resource is None:
        return {"remaining": 0}  # removed by an earlier run of this step
    if step == REJECT:
        reject(resource, cause, ports)
        return {}
    if step == POSTPONE:
        postpone(resource, cause, ports)
        return {}
    return STEPS[kind][step](resource, ports) or {}
