"""The nodes of a multi-node parallel job: node ranges, what each node runs and how it is shown.

The job is its main node: whatever happens to the job happens to that node, and the other way round
(AWS Batch user guide, "Multi-node parallel jobs"). Every other node gets a row of its own with its
first report; before that, and after the job has ended without one, it is computed from its job.
What a report changes in a node is in `node_reports.py`.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, NamedTuple

from chalicelib.core.ids import Fence, node_part
from chalicelib.core.job import Attempt, Job, NodeState
from chalicelib.core.states import JobStatus

CHUNK_NODES = 40  # RunTask calls that ECS accepts in the two seconds between two chunks
SHORTEST_WAIT_SECONDS = 2
LONGEST_WAIT_SECONDS = 60

_TARGET = re.compile(r"([0-9]{1,4})|([0-9]{0,4}):([0-9]{0,4})")


class MainNode(StrEnum):
    """The state of the main node, as far as the other nodes of its placement depend on it."""

    WAIT = "WAIT"  # the main node does not run yet
    RUNNING = "RUNNING"
    GONE = "GONE"  # the placement is over, or is being stopped


class Chunk(NamedTuple):
    """Nodes that are started together: from `first` to `last`, without the main node."""

    first: int
    last: int


def targeted(target: str, count: int) -> range | None:
    """Return the nodes that `n`, `n:`, `:m`, `n:m` or `:` stands for; None for any other text."""
    match = _TARGET.fullmatch(target)
    if match is None:
        return None
    single, lowest, highest = match.groups()
    return range(int(single or lowest or 0), int(single or highest or count - 1) + 1)


def payload_at(properties: Mapping[str, Any], index: int) -> Mapping[str, Any]:
    """Return the node range that says what node `index` runs: the narrowest of nested ranges."""
    found = [
        (len(nodes), number)
        for number, entry in enumerate(properties["nodeRangeProperties"])
        if (nodes := targeted(entry["targetNodes"], properties["numNodes"])) and index in nodes
    ]
    payload: Mapping[str, Any] = properties["nodeRangeProperties"][min(found)[1]]
    return payload


def nodes_of(job: Job) -> NodeState:
    """Return the node state of a job that is known to have nodes."""
    assert job.nodes is not None, f"{job.key.public_id} has no nodes"
    return job.nodes


def index_of(job: Job) -> int:
    """Return the index of the node that `job` is; the job itself is its main node."""
    number = job.key.number if job.key.is_node else None
    return nodes_of(job).main if number is None else number


def task_document(job: Job, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the part of a job's document that describes what its task, or the node's, runs.

    For a job without nodes that is the document itself.
    """
    if job.nodes is None:
        return document
    payload = payload_at(document["nodeProperties"], index_of(job))
    kept = {name: value for name, value in document.items() if name != "nodeProperties"}
    runs = {name: payload[name] for name in ("container", "ecsProperties") if name in payload}
    return {**kept, "container": {}, **runs}


def node_of(job: Job, index: int) -> Job:
    """Return a node of `job` other than the main one, as it is before the first report about it.

    It takes no capacity: the job holds that of all its nodes.
    """
    ended = job.is_terminal
    runs = job.status is JobStatus.RUNNING
    return Job(
        job_id=job.job_id,
        part=node_part(index),
        version=0,
        name=job.name,
        queue=job.queue,
        definition=job.definition,
        # The others are started when the main node runs.
        status=JobStatus.STARTING if runs else job.status,
        status_reason=job.status_reason if ended else None,
        attempt=job.attempt,
        dispatch_count=job.dispatch_count,
        share=job.share,
        priority=job.priority,
        cpu_units=0,
        memory_mib=0,
        created_at_ms=job.created_at_ms,
        changed_at_ms=job.changed_at_ms,
        stopped_at_ms=job.stopped_at_ms if ended else None,
    )


def past_attempts(row: Job | None, job: Job) -> tuple[Attempt, ...]:
    """Return the node's attempts before the job's current one, as far as its row has them."""
    if row is None or row.attempt == job.attempt or row.task_arn is None:
        return row.history if row is not None else ()
    return (*row.history, row.last_attempt())


def is_present(node: Job | None, job: Job) -> bool:
    """Return whether a node's row belongs to the job's current placement, not to an earlier one."""
    return node is not None and (node.attempt, node.dispatch_count) == (
        job.attempt,
        job.dispatch_count,
    )


def seen_node(job: Job, index: int, row: Job | None) -> Job:
    """Return node `index` as the API shows it, with its job's traits; `row` is its own, if any.

    A node of a job that has ended has ended, whether or not that was reported.
    """
    computed = replace(node_of(job, index), history=past_attempts(row, job))
    if index == nodes_of(job).main:
        return replace(job, part=computed.part)
    seen = row if row is not None and is_present(row, job) else computed
    if job.is_terminal and not seen.is_terminal:
        seen = replace(
            seen,
            status=job.status,
            status_reason=job.status_reason,
            stopped_at_ms=job.stopped_at_ms,
        )
    return replace(
        seen,
        nodes=job.nodes,
        environment=job.environment,
        timeout_seconds=job.timeout_seconds,
        stop_cause=job.stop_cause,
    )


def as_task(job: Job, index: int) -> Job:
    """Return the job as the task of node `index`, with that task's fencing token.

    The main node's is the job's own.
    """
    return job if index == nodes_of(job).main else replace(job, part=node_part(index))


def node_variables(job: Job) -> dict[str, str]:
    """Return the variables that AWS Batch adds to a node; none for a job without nodes."""
    if job.nodes is None:
        return {}
    index = index_of(job)
    variables = {
        "AWS_BATCH_JOB_ID": f"{job.job_id}#{index}",
        "AWS_BATCH_JOB_MAIN_NODE_INDEX": str(job.nodes.main),
        "AWS_BATCH_JOB_NODE_INDEX": str(index),
        "AWS_BATCH_JOB_NUM_NODES": str(job.nodes.count),
    }
    if index != job.nodes.main and job.nodes.address:
        variables["AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS"] = job.nodes.address
    return variables


def others_of(job: Job) -> list[int]:
    """Return the indices of all nodes but the main one."""
    nodes = nodes_of(job)
    return [index for index in range(nodes.count) if index != nodes.main]


def chunks_of(job: Job) -> list[Chunk]:
    """Return the other nodes in the chunks in which they are started."""
    others = others_of(job)
    parts = [others[at : at + CHUNK_NODES] for at in range(0, len(others), CHUNK_NODES)]
    return [Chunk(part[0], part[-1]) for part in parts]


def main_node(job: Job | None, fence: Fence) -> MainNode:
    """Return whether the other nodes of the placement that `fence` names may be started."""
    if job is None or job.nodes is None or job.fence != fence:
        return MainNode.GONE
    if not job.holds_capacity or job.stop_cause is not None:
        return MainNode.GONE
    return MainNode.RUNNING if job.status is JobStatus.RUNNING else MainNode.WAIT


def wait_seconds(job: Job, now_ms: int) -> int:
    """Return how long to wait before the main node is checked again.

    A quarter of the time that it has been starting: each check costs, and no node is late by much.
    """
    waited_seconds = (now_ms - job.changed_at_ms) // 1000
    return max(SHORTEST_WAIT_SECONDS, min(LONGEST_WAIT_SECONDS, waited_seconds // 4))
