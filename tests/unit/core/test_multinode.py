"""Nodes as values: their node range, their variables, and how they are shown."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.core.job import NodeState, StopCause
from chalicelib.core.multinode import (
    CHUNK_NODES,
    MainNode,
    as_task,
    chunks_of,
    main_node,
    node_of,
    node_variables,
    others_of,
    payload_at,
    seen_node,
    targeted,
    task_document,
    wait_seconds,
)
from chalicelib.core.states import JobStatus
from tests.support.values import JOB_ID, NOW_MS, a_job

S = JobStatus
NODES = NodeState(count=3, main=1, address="10.0.0.1")


@pytest.mark.parametrize(
    ("target", "nodes"),
    [
        ("2", [2]), ("2:", [2, 3]), (":1", [0, 1]), ("1:2", [1, 2]), (":", [0, 1, 2, 3]),
        ("", None), ("x", None), ("0:x", None), ("0:1:2", None), ("-1", None), ("00001", None),
    ],
)  # fmt: skip
def test_a_target_stands_for_nodes(target: str, nodes: list[int] | None) -> None:
    found = targeted(target, 4)
    assert (None if found is None else list(found)) == nodes


@pytest.mark.parametrize(
    ("targets", "chosen"),
    [
        (["0:"], "aaaa"),
        (["0", "1:"], "abbb"),
        (["0:", "1:2"], "abba"),
        (["1:2", "0:3", "2"], "babb"[:2] + "cb"),
        ([":", "0:1", "0"], "cbaa"),
        (["0:1", "0:1", "2:"], "aacc"),  # of two alike the first counts
    ],
)
def test_of_nested_ranges_the_inner_one_is_the_node_s(targets: list[str], chosen: str) -> None:
    ranges = [{"targetNodes": t, "name": n} for t, n in zip(targets, "abc", strict=False)]
    properties = {"numNodes": 4, "nodeRangeProperties": ranges}
    assert "".join(payload_at(properties, index)["name"] for index in range(4)) == chosen


def test_a_node_s_document_has_what_its_range_runs_in_place_of_the_ranges() -> None:
    ranges = [
        {"targetNodes": "0:", "container": {"image": "other"}},
        {"targetNodes": "1", "container": {"image": "main"}},
    ]
    properties = {"numNodes": 3, "nodeRangeProperties": ranges}
    document: dict[str, Any] = {"parameters": {"a": "b"}, "nodeProperties": properties}
    job = a_job(S.RUNNING, nodes=NODES)
    kept = {"parameters": {"a": "b"}}
    assert task_document(job, document) == {**kept, "container": {"image": "main"}}
    assert task_document(as_task(job, 2), document) == {**kept, "container": {"image": "other"}}
    assert task_document(a_job(), document) is document


def test_a_node_s_task_carries_its_fence_and_the_main_node_s_the_job_s() -> None:
    job = a_job(S.RUNNING, nodes=NODES, attempt=2, dispatch_count=3)
    assert str(as_task(job, 2).fence) == f"{JOB_ID}/n2/2-3"
    assert str(as_task(job, 1).fence) == f"{JOB_ID}/job/2-3"


def test_only_the_other_nodes_get_the_address_of_the_main_node() -> None:
    job = a_job(S.RUNNING, nodes=NODES)
    shared = {"AWS_BATCH_JOB_MAIN_NODE_INDEX": "1", "AWS_BATCH_JOB_NUM_NODES": "3"}
    assert node_variables(job) == shared | {
        "AWS_BATCH_JOB_ID": f"{JOB_ID}#1",
        "AWS_BATCH_JOB_NODE_INDEX": "1",
    }
    assert node_variables(as_task(job, 2)) == shared | {
        "AWS_BATCH_JOB_ID": f"{JOB_ID}#2",
        "AWS_BATCH_JOB_NODE_INDEX": "2",
        "AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS": "10.0.0.1",
    }
    assert node_variables(a_job()) == {}


@pytest.mark.parametrize("count", [1, 2, 40, 41, 42, 1000])
@pytest.mark.parametrize("main", [0, 39])
def test_every_other_node_is_in_one_chunk(count: int, main: int) -> None:
    job = a_job(S.RUNNING, nodes=NodeState(count=count, main=min(main, count - 1)))
    others, chunks = others_of(job), chunks_of(job)
    found = [index for first, last in chunks for index in others if first <= index <= last]
    assert found == others
    assert len(others) == count - 1
    assert len(chunks) == -(-len(others) // CHUNK_NODES)


RUNNING = a_job(S.RUNNING, nodes=NODES)


@pytest.mark.parametrize(
    ("job", "state"),
    [
        (RUNNING, MainNode.RUNNING),
        (a_job(S.STARTING, nodes=NODES), MainNode.WAIT),
        (a_job(S.STARTING, nodes=NODES, stop_cause=StopCause.TERMINATE), MainNode.GONE),
        (replace(RUNNING, stop_cause=StopCause.TIMEOUT), MainNode.GONE),
        (replace(RUNNING, attempt=2), MainNode.GONE),
        (replace(RUNNING, dispatch_count=2), MainNode.GONE),
        (a_job(S.RUNNABLE, nodes=NODES, dispatch_count=1), MainNode.GONE),
        (a_job(S.FAILED, nodes=NODES), MainNode.GONE),
        (a_job(S.RUNNING), MainNode.GONE),
        (None, MainNode.GONE),
    ],
)
def test_other_nodes_are_started_while_the_main_one_runs(job: Any, state: MainNode) -> None:
    assert main_node(job, RUNNING.fence) is state


def test_the_longer_a_main_node_takes_the_longer_is_waited() -> None:
    job = a_job(S.STARTING, nodes=NODES)
    waits = [wait_seconds(job, NOW_MS + 1000 * s) for s in (0, 4, 8, 20, 100, 1000, 10**6)]
    assert waits == [2, 2, 2, 5, 25, 60, 60]


@pytest.mark.parametrize("status", JobStatus)
def test_a_node_without_a_row_is_as_its_job_is(status: JobStatus) -> None:
    job = a_job(status, nodes=NODES)
    node = seen_node(job, 2, None)
    assert node.status is (S.STARTING if status is S.RUNNING else status)
    assert node.key.public_id == f"{JOB_ID}#2"
    assert (node.stopped_at_ms is not None) == job.is_terminal
    assert node.task_arn is None
    assert seen_node(job, 1, None) == replace(job, part="node#0001")


def test_a_row_of_an_earlier_placement_is_not_used_for_this_one() -> None:
    old = replace(node_of(RUNNING, 2), status=S.FAILED, exit_code=1)
    assert seen_node(RUNNING, 2, old).exit_code == 1
    assert seen_node(replace(RUNNING, attempt=2), 2, old).exit_code is None
    assert seen_node(replace(RUNNING, dispatch_count=2), 2, old).status is S.STARTING


def test_a_node_of_an_ended_job_has_ended() -> None:
    row = replace(node_of(RUNNING, 2), status=S.RUNNING, task_arn="t", started_at_ms=NOW_MS)
    ended = a_job(S.SUCCEEDED, nodes=NODES, status_reason="done")
    seen = seen_node(ended, 2, row)
    assert (seen.status, seen.status_reason, seen.task_arn) == (S.SUCCEEDED, "done", "t")
    assert seen.stopped_at_ms == ended.stopped_at_ms
    failed = replace(row, status=S.FAILED, exit_code=143, stopped_at_ms=NOW_MS)
    assert seen_node(ended, 2, failed).status is S.FAILED
