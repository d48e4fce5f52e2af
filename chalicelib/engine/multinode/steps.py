"""The steps of the multi-node state machine: looking at the main node, starting the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chalicelib.core.ids import Fence
from chalicelib.core.job import Job
from chalicelib.core.multinode import (
    MainNode,
    chunks_of,
    main_node,
    nodes_of,
    others_of,
    wait_seconds,
)
from chalicelib.engine.multinode.launch import start_nodes
from chalicelib.jobs.transition import commit_once

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.engine.multinode.launch import MultinodeLaunchPorts
    from chalicelib.ports import HasEc2

    class MultinodeStepsPorts(MultinodeLaunchPorts, HasEc2, Protocol):
        """What this module and what it calls ask of the outside world."""


PAUSE_SECONDS = 2  # between two chunks: ECS takes about 20 RunTask calls a second


def run_node_step(request: Mapping[str, Any], ports: MultinodeStepsPorts) -> dict[str, Any]:
    """Run one step, {step, fence, ...}, and return what the machine's next state reads."""
    fence = Fence.parse(request["fence"])
    assert fence is not None, f"no fence: {request['fence']}"
    job = ports.jobs.find_job(fence.key)
    state = main_node(job, fence)
    if request["step"] == "look":
        return _look(state, job, fence, ports)
    if state is MainNode.RUNNING and job is not None:
        first, last = int(request["first"]), int(request["last"])
        indices = [index for index in others_of(job) if first <= index <= last]
        start_nodes(job, indices, request["address"], ports)
    return {}


def _look(
    state: MainNode, job: Job | None, fence: Fence, ports: MultinodeStepsPorts
) -> dict[str, Any]:
    """Return the main node's state, with how long to wait or which chunks of nodes to start."""
    if job is None or state is MainNode.GONE:
        return {"state": str(MainNode.GONE), "seconds": 0, "chunks": []}
    address = _find_address(job, ports) if state is MainNode.RUNNING else None
    if address is None:
        seconds = wait_seconds(job, ports.now_ms())
        return {"state": str(MainNode.WAIT), "seconds": seconds, "chunks": []}
    start = {"step": "start", "fence": str(fence), "address": address}
    chunks = [start | chunk._asdict() | {"pause": PAUSE_SECONDS} for chunk in chunks_of(job)]
    if chunks:
        chunks[-1]["pause"] = 0
    return {"state": str(state), "seconds": 0, "chunks": chunks}


def _find_address(job: Job, ports: MultinodeStepsPorts) -> str | None:
    """Return the main node's address; None when the job changed while the address was looked up.

    AWS Batch refuses multi-node jobs in unmanaged environments. They are accepted here, because no
    other environment of this version has EC2 instances. Their tasks use the network of their host,
    which ECS's events do not describe: the address is the instance's, and is kept in the job's row.
    """
    if nodes_of(job).address is not None:
        return nodes_of(job).address
    address = _instance_address(job, ports)
    if address is None:
        raise LookupError(f"the main node of {job.job_id} has no address")
    known = job.next_version(nodes=job.nodes_at(address))
    # Not repeated: the machine looks again after its wait, at the job as it is then.
    return address if commit_once(job, known, ports) else None


def _instance_address(job: Job, ports: MultinodeStepsPorts) -> str | None:
    """Return the private address of the instance on which the job's task runs."""
    cluster, task_arn = ports.settings.cluster_of(job.environment or ""), job.task_arn or ""
    task = ports.ecs.describe_tasks(cluster, [task_arn]).get(task_arn) or {}
    container_instance = task.get("containerInstanceArn")
    instance = ports.ecs.find_instance(cluster, container_instance) if container_instance else None
    return ports.ec2.find_private_address(instance) if instance else None
