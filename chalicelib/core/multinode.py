"""The nodes of a multi-node parallel job: ranges, what each runs, and how each looks.

The job is its main node: whatever happens to the job happens to that node, and the other way
round (AWS Batch user guide, "Multi-node parallel jobs"). Any other node has a row of its own from
its first report on; before, and after the job has ended without one, it is computed from its job.
What a report does to a node is in `node_reports.py`.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, NamedTuple

from chalicelib.core.ids import Fence, node_part
from chalicelib.core.job import Attempt, Job, NodeState
from chalicelib.core.states import JobStatus

CHUNK_NODES = 40  # what ECS takes of RunTask calls in the two seconds between two chunks
SHORTEST_WAIT_SECONDS = 2
LONGEST_WAIT_SECONDS = 60

_TARGET = re.compile(r"([0-9]{1,4})|([0-9]{0,4}):([0-9]{0,4})")


class MainNode(StrEnum):
    """What the other nodes of one placement of a job have to do, by the state of the main one."""

    WAIT = "WAIT"  # it does not run yet
    RUNNING = "RUNNING"
    GONE = "GONE"  # the placement is over, or is being stopped


class Chunk(NamedTuple):
    """Nodes that are started together: `first` to `last`, the main node left out."""

    first: int
    last: int


def targeted(target: str, count: int) -> range | None:
    """The nodes that `n`, `n:`, `:m`, `n:m` or `:` stands for; None for any other text."""
    match = _TARGET.fullmatch(target)
    if match is None:
        return None
    single, lowest, highest = match.groups()
    return range(int(single or lowest or 0), int(single or highest or count - 1) + 1)


def payload_at(properties: Mapping[str, Any], index: int) -> Mapping[str, Any]:
    """The node range that says what node `index` runs: of nested ranges the narrowest."""
    found = [
        (len(nodes), number)
        for number, entry in enumerate(properties["nodeRangeProperties"])
        if (nodes := targeted(entry["targetNodes"], properties["numNodes"])) and index in nodes
    ]
    payload: Mapping[str, Any] = properties["nodeRangeProperties"][min(found)[1]]
    return payload


def nodes_of(job: Job) -> NodeState:
    """The state of the nodes of a job that has them."""
    assert job.nodes is not None, f"{job.key.public_id} has no nodes"
    return job.nodes


def index_of(job: Job) -> int:
    """The index of the node that `job` is; a job itself is its main node."""
    number = job.key.number if job.key.is_node else None
    return nodes_of(job).main if number is None else number


def task_document(job: Job, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a job's document that says what its task, or the node's, runs.

    That of a job without nodes is the document itself.
    """
    if job.nodes is None:
        return document
    payload = payload_at(document["nodeProperties"], index_of(job))
    kept = {name: value for name, value in document.items() if name != "nodeProperties"}
    runs = {name: payload[name] for name in ("container", "ecsProperties") if name in payload}
    return {**kept, "container": {}, **runs}


def node_of(job: Job, index: int) -> Job:
    """A node of `job` that is not its main one, as it is before anything was reported of it.

    It takes no capacity: the job has taken that of all its nodes.
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
    """The node's attempts before the one that its job is in, as far as its row knows of them."""
    if row is None or row.attempt == job.attempt or row.task_arn is None:
        return row.history if row is not None else ()
    return (*row.history, row.last_attempt())


def is_present(node: Job | None, job: Job) -> bool:
    """Whether the row of a node is of the placement that its job is in, not of an earlier one."""
    return node is not None and (node.attempt, node.dispatch_count) == (
        job.attempt,
        job.dispatch_count,
    )


def seen_node(job: Job, index: int, row: Job | None) -> Job:
    """Node `index` as the API tells of it, with its job's traits; `row` is the node's own, if any.

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
    """The job as the task of node `index`, so with its fence: the main node's is the job's own."""
    return job if index == nodes_of(job).main else replace(job, part=node_part(index))


def node_variables(job: Job) -> dict[str, str]:
    """The variables that AWS Batch adds to a node of a multi-node parallel job; none to others."""
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
    """The indices of all nodes but the main one."""
    nodes = nodes_of(job)
    return [index for index in range(nodes.count) if index != nodes.main]


def chunks_of(job: Job) -> list[Chunk]:
    """The other nodes in the chunks in which they are started."""
    others = others_of(job)
    parts = [others[at : at + CHUNK_NODES] for at in range(0, len(others), CHUNK_NODES)]
    return [Chunk(part[0], part[-1]) for part in parts]


def main_node(job: Job | None, fence: Fence) -> MainNode:
    """Whether the other nodes of the placement that `fence` names may be started."""
    if job is None or job.nodes is None or job.fence != fence:
        return MainNode.GONE
    if not job.holds_capacity or job.stop_cause is not None:
        return MainNode.GONE
    return MainNode.RUNNING if job.status is JobStatus.RUNNING else MainNode.WAIT


def wait_seconds(job: Job, now_ms: int) -> int:
    """How long to wait before the main node is looked at again.

    A quarter of the time that it has been starting: each look costs, and none is late by much.
    """
    waited_seconds = (now_ms - job.changed_at_ms) // 1000
    return max(SHORTEST_WAIT_SECONDS, min(LONGEST_WAIT_SECONDS, waited_seconds // 4))
