"""The nodes of multi-node jobs: what is reported of them, starting them, stopping them.

The main node is the job itself and goes the way of every job. The others are started by the
multi-node machine, whose steps are here, once the main node runs and its address is known. Their
reports are kept in rows of their own; a task that is not of the job's present placement is stopped
at once. A node's row is written before its job is read again, and a job's end before its nodes are
looked for: one of the two sees the other, so no node outlives its job.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from chalicelib.core.decision import Label
from chalicelib.core.ids import Fence, JobKey, node_part
from chalicelib.core.job import Job
from chalicelib.core.moves import Move
from chalicelib.core.multinode import (
    MainNode,
    as_task,
    chunks_of,
    is_present,
    main_node,
    nodes_of,
    others_of,
    wait_seconds,
)
from chalicelib.core.node_reports import NodeDecision, decide_node, may_still_run
from chalicelib.core.resources.resource import COMPUTE_ENVIRONMENT
from chalicelib.core.states import JobStatus
from chalicelib.engine.tasks.launch import make_launch
from chalicelib.observe import logger
from chalicelib.ports import ContentionError
from chalicelib.wiring import Ports

if TYPE_CHECKING:
    from chalicelib.engine.tasks.reports import Report

DECISION_TRIES = 6  # how often a lost condition is read and decided anew before SQS brings it back
PAUSE_SECONDS = 2  # between two chunks: ECS takes about 20 RunTask calls a second
LOOKED_FOR_LIMIT = 40  # nodes of a job whose tasks are looked for at once, a call or two each
ENDED_REASON = "The main node has ended"
ORPHAN_REASON = "Given up by Batchyard"


def apply_node_reports(reports: Sequence["Report"], ports: Ports) -> set[str]:
    """Decide and write what is reported of nodes; returns the messages that must come again."""
    pending = list(reports)
    for _ in range(DECISION_TRIES):
        if not pending:
            break
        try:
            pending = _apply_once(pending, ports)
        except ContentionError:
            logger.warning("others write the same rows", action="nodes.contended")
    return {report.message_id for report in pending}


def _apply_once(reports: Sequence["Report"], ports: Ports) -> list["Report"]:
    """One round of read, decide, write; returns the reports whose row changed under them."""
    found = ports.jobs.find_jobs(key for r in reports for key in (r.key, r.key.root))
    latest = dict(found)
    begun: list[Report] = []
    for report in reports:
        decision = decide_node(found.get(report.key.root), latest.get(report.key), report.event)
        _log(decision, report.key)
        if decision.node is not None:
            latest[report.key] = decision.node
        if decision.stops_task:
            _stop_reported(report, ports)
        elif decision.label is Label.STARTED:
            begun.append(report)
    moves = [_move(found.get(key), node) for key, node in latest.items() if key.is_node]
    lost = {move.new.key for move in ports.jobs.commit([m for m in moves if m.old is not m.new])}
    _stop_overtaken([report for report in begun if report.key not in lost], ports)
    return [report for report in reports if report.key in lost]


def _move(row: Job | None, node: Job) -> Move:
    """However many reports of a node came together, they make one write of one version."""
    if row is node:
        return Move(old=node, new=node)
    version = row.version if row is not None else 0
    return Move(old=row or node.at_version(0), new=node.at_version(version + 1))


def _stop_overtaken(begun: Sequence["Report"], ports: Ports) -> None:
    """Stop tasks whose job ended, or was told to, while their first report was written."""
    jobs = ports.jobs.find_jobs(report.key.root for report in begun) if begun else {}
    for report in begun:
        if not may_still_run(jobs.get(report.key.root), report.event):
            _stop_reported(report, ports)


def _stop_reported(report: "Report", ports: Ports) -> None:
    if report.cluster and report.event.task_arn:
        ports.ecs.stop_task(report.cluster, report.event.task_arn, ORPHAN_REASON)


def _log(decision: NodeDecision, key: JobKey) -> None:
    logger.info(decision.sentence, action="node", label=str(decision.label), job=key.public_id)


def stop_nodes(job: Job, ports: Ports) -> None:
    """Stop the tasks of the other nodes of this placement; idempotent.

    Of a large job not all tasks that nobody has reported are looked for: what is left, and what is
    yet to be launched, is a stray, which is stopped when it runs.
    """
    cluster = ports.settings.cluster_of(job.environment or "")
    reason = job.stop_reason or ENDED_REASON
    rows = find_nodes(job, ports)
    present = {index: row for index, row in rows.items() if is_present(row, job)}
    arns = [row.task_arn for row in present.values() if not row.is_terminal and row.task_arn]
    if job.status is JobStatus.RUNNING:
        unheard = [index for index in others_of(job) if _has_no_task(present.get(index))]
        for index in unheard[:LOOKED_FOR_LIMIT]:
            arns += ports.ecs.find_tasks(cluster, str(as_task(job, index).fence))
    ports.run_all([partial(ports.ecs.stop_task, cluster, arn, reason) for arn in arns])


def _has_no_task(row: Job | None) -> bool:
    return row is None or not (row.is_terminal or row.task_arn)


def find_nodes(job: Job, ports: Ports) -> dict[int, Job]:
    """The rows of the other nodes, by their index."""
    keys = (JobKey(job.job_id, node_part(index)) for index in others_of(job))
    return {key.number or 0: node for key, node in ports.jobs.find_jobs(keys).items()}


def run_node_step(request: Mapping[str, Any], ports: Ports) -> dict[str, Any]:
    """One step of the multi-node machine: {step, fence, ...} in, what its next state reads out."""
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


def _look(state: MainNode, job: Job | None, fence: Fence, ports: Ports) -> dict[str, Any]:
    """How the main node is, and either how long to wait or what to start."""
    if job is None or state is MainNode.GONE:
        return {"state": str(MainNode.GONE), "seconds": 0, "chunks": []}
    address = _address_of(job, ports) if state is MainNode.RUNNING else None
    if address is None:
        seconds = wait_seconds(job, ports.now_ms())
        return {"state": str(MainNode.WAIT), "seconds": seconds, "chunks": []}
    start = {"step": "start", "fence": str(fence), "address": address}
    chunks = [start | chunk._asdict() | {"pause": PAUSE_SECONDS} for chunk in chunks_of(job)]
    if chunks:
        chunks[-1]["pause"] = 0
    return {"state": str(state), "seconds": 0, "chunks": chunks}


def _address_of(job: Job, ports: Ports) -> str | None:
    """The main node's address; None when the job changed while it was looked for.

    AWS Batch refuses multi-node jobs in unmanaged environments. They are let in here, because no
    other environment of this version has EC2 instances. Their tasks are in the network of their
    host, of which ECS tells nothing: the address is the instance's, and is kept in the row.
    """
    if nodes_of(job).address is not None:
        return nodes_of(job).address
    address = _instance_address(job, ports)
    if address is None:
        raise LookupError(f"the main node of {job.job_id} has no address")
    known = job.next_version(nodes=job.nodes_at(address))
    return None if ports.jobs.commit([Move(old=job, new=known)]) else address


def _instance_address(job: Job, ports: Ports) -> str | None:
    cluster, task_arn = ports.settings.cluster_of(job.environment or ""), job.task_arn or ""
    task = ports.ecs.describe_tasks(cluster, [task_arn]).get(task_arn) or {}
    container_instance = task.get("containerInstanceArn")
    instance = ports.ecs.find_instance(cluster, container_instance) if container_instance else None
    return ports.ec2.find_private_address(instance) if instance else None


def start_nodes(job: Job, indices: Iterable[int], address: str, ports: Ports) -> None:
    """Hand these nodes to the launch machine. A repeated start finds the tasks of the first."""
    launches = _launches(job, indices, address, ports)
    ports.workflows.start_launch(launches)


def launch_node(node: Job, ports: Ports) -> None:
    """Launch a node once more, whose launch came to nothing, if its job still waits for it."""
    job = ports.jobs.find_job(node.key.root)
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
        # ECS may answer a token that it has seen with what became of it then.
        launch["runTask"]["ClientToken"] = f"{launch['startedBy']}/{node.version}"
    ports.workflows.start_launch(launches)


def _launches(job: Job, indices: Iterable[int], address: str, ports: Ports) -> list[dict[str, Any]]:
    specs = ports.jobs.find_specs([job.job_id])
    environments = ports.catalog.find_many(COMPUTE_ENVIRONMENT, [job.environment or ""])
    told = replace(job, nodes=job.nodes_at(address))
    made = [make_launch(as_task(told, index), specs, environments, {}, ports) for index in indices]
    return [launch for launch in made if launch is not None]
