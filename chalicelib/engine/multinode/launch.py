"""Launching the other nodes of a job: for the first time, and again after a failed launch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chalicelib.core.ids import Fence
from chalicelib.core.job import Job
from chalicelib.core.multinode import MainNode, as_task, main_node, nodes_of
from chalicelib.core.resources.resource import COMPUTE_ENVIRONMENT
from chalicelib.engine.dispatch.permits import spend_permits
from chalicelib.engine.tasks.launch import make_launches
from chalicelib.engine.tasks.still_current import launch_window

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.engine.tasks.launch import LaunchPorts
    from chalicelib.ports import HasLanes

    class MultinodeLaunchPorts(LaunchPorts, HasLanes, Protocol):
        """What this module and what it calls ask of the outside world."""


def start_nodes(
    job: Job, indices: Iterable[int], address: str, ports: MultinodeLaunchPorts
) -> None:
    """Start the launch machine for these nodes; a repeated start finds the tasks of the first."""
    launches = _launches(job, indices, address, ports)
    spend_permits(len(launches), ports)
    ports.workflows.start_launch(launches)


def launch_node(node: Job, ports: MultinodeLaunchPorts) -> None:
    """Launch a node again whose launch made no task, if its job still runs at that placement.

    Nothing is launched when the node's row has changed since it asked for this: the task that was
    asked for has been reported, or another write has asked for it once more.
    """
    rows = ports.jobs.find_jobs([node.key.root, node.key])
    job, row = rows.get(node.key.root), rows.get(node.key)
    if row is None or row.version != node.version:
        return
    fence = Fence(
        job_id=node.job_id,
        part=node.key.root.part,
        attempt=node.attempt,
        dispatch_count=node.dispatch_count,
    )
    if job is None or main_node(job, fence) is not MainNode.RUNNING:
        return
    launches = _launches(job, [node.key.number or 0], nodes_of(job).address or "", ports)
    for launch in launches:
        # The first row of a node asks for what the multi-node machine may have asked for as well:
        # with the same token it is one task. A later row follows a refusal, which ECS may repeat
        # for its token, or a launch that cannot make a task any more.
        if node.version > 1:
            launch["runTask"]["ClientToken"] = f"{launch['startedBy']}/{node.version}"
    spend_permits(len(launches), ports)
    ports.workflows.start_launch(launches)


def _launches(
    job: Job, indices: Iterable[int], address: str, ports: MultinodeLaunchPorts
) -> list[dict[str, Any]]:
    """Return the launch machine's input for each node; one that cannot be made is left out."""
    specs = ports.jobs.find_specs([job.job_id])
    environments = ports.catalog.find_many(COMPUTE_ENVIRONMENT, [job.environment or ""])
    main = replace(job, nodes=job.nodes_at(address))
    nodes = [as_task(main, index) for index in indices]
    rounds = make_launches(nodes, specs, environments, ports)
    return [request | launch_window(job, ports) for made in rounds for _, request in made]
