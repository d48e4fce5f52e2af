"""Conversion between rows and values: nothing is lost in DynamoDB or in its stream."""

from dataclasses import fields

import pytest

from chalicelib.core.events import ContainerEnd, TaskHost
from chalicelib.core.job import ArrayState, Attempt, Job, NodeState, StopCause, ready_of
from chalicelib.core.launch_failures import LaunchFailure
from chalicelib.core.spec import Spec
from chalicelib.core.states import JobStatus
from chalicelib.core.task_size import TaskSize
from chalicelib.store.codec import (
    job_from_image,
    job_from_row,
    ready_from_row,
    row_from_job,
    row_from_ready,
)
from chalicelib.wiring import Ports
from tests.support.values import JOB_ID, NOW_MS, TASK_ARN, a_job

ENDS = (
    ContainerEnd(name="main", exit_code=137, reason="OutOfMemoryError: é"),
    ContainerEnd(name="helper"),
)
HOST = TaskHost(
    container_instance_arn=f"{TASK_ARN.replace(':task/', ':container-instance/')[:-1]}f",
    attachment_id="1789bcae-ddfb-4d10-8ebe-8ac87ddba5b8",
    ipv4_address="10.0.0.139",
    ipv6_address="2001:db8::7",
)
FULL = a_job(
    JobStatus.FAILED,
    version=7,
    status_reason="Essential container in task exited",
    attempt=2,
    attempts_limit=3,
    timeout_seconds=60,
    priority=12,
    host=HOST,
    launch_closed_at_ms=NOW_MS,
    exit_code=137,
    container_reason="OutOfMemoryError: é",
    essential=("main", "other"),
    container_ends=ENDS,
    blocked_why="CAPACITY_IN_USE",
    blocked_since_ms=NOW_MS,
    failed_launches=4,
    refusal=LaunchFailure.CAPACITY,
    held_until_ms=NOW_MS + 10,
    probe=True,
    on_instance=True,
    stop_cause=StopCause.TIMEOUT,
    stop_reason="late",
    history=(
        Attempt(started_at_ms=None, stopped_at_ms=NOW_MS, status_reason="x", container_reason="y"),
        Attempt(started_at_ms=1, stopped_at_ms=2, status_reason="z", task_arn="t", exit_code=0),
        Attempt(started_at_ms=1, stopped_at_ms=2, status_reason="z", task_arn=TASK_ARN, host=HOST),
        Attempt(started_at_ms=1, stopped_at_ms=2, status_reason="z", container_ends=ENDS),
    ),
    waiting_on=(0, 19),
    array=ArrayState(
        size=3,
        cursor=2,
        singled=1,
        each_waits=(3, 4),
        sequential=5,
        closed_at_ms=NOW_MS,
        closed_reason="enough",
        counts=((JobStatus.RUNNING, 2), (JobStatus.FAILED, 1)),
    ),
    gpus=8,
    architecture="arm64",
    nodes=NodeState(
        count=3,
        main=1,
        address="10.0.0.1",
        sizes=(
            TaskSize(cpu_units=4096, memory_mib=512),
            TaskSize(cpu_units=1024, memory_mib=2048, gpus=1),
        ),
    ),
)


def test_the_full_job_of_these_tests_sets_every_field() -> None:
    """A new field must be added here, or its conversion is not tested."""
    assert [one.name for one in fields(Job) if getattr(FULL, one.name) in (None, ())] == []


@pytest.mark.parametrize("job", [FULL, *(a_job(status) for status in JobStatus)])
def test_a_job_is_read_unchanged_from_its_row_and_from_its_image(job: Job) -> None:
    row = row_from_job(job, 60)
    assert job_from_row(row) == job
    assert job_from_image(row.serialize()) == job


def test_a_job_is_read_unchanged_from_dynamodb(ports: Ports) -> None:
    ports.jobs.submit(FULL, Spec(job_id=JOB_ID, document={}))
    assert ports.jobs.find_jobs([FULL.key]) == {FULL.key: FULL}


def test_the_row_of_a_job_of_one_container_has_no_list_of_containers() -> None:
    attempt = Attempt(started_at_ms=1, stopped_at_ms=2, status_reason="z", exit_code=0)
    row = row_from_job(a_job(history=(attempt,)), 60).serialize()
    assert not {"essential", "container_ends"} & row.keys()
    assert "container_ends" not in row["history"]["S"]


def test_without_an_image_there_is_no_job() -> None:
    assert job_from_image(None) is None
    assert job_from_image({}) is None


def test_a_ready_row_is_read_unchanged() -> None:
    for job in (a_job(), a_job(gpus=4, architecture="arm64"), a_job(nodes=FULL.nodes)):
        ready = ready_of(job)
        assert ready is not None
        assert ready_from_row(row_from_ready(ready)) == ready


def test_a_job_without_gpus_architecture_and_nodes_has_no_byte_for_them() -> None:
    job = a_job()
    ready = ready_of(job)
    assert ready is not None
    names = {"gpus", "architecture", "nodes", "node_sizes"}
    assert not names & row_from_job(job, 60).serialize().keys()
    assert not names & row_from_ready(ready).serialize().keys()


def test_the_nodes_of_a_row_that_an_earlier_version_wrote_have_no_sizes() -> None:
    row = row_from_job(a_job(nodes=NodeState(count=3, main=1)), 60)
    assert (row.nodes, row.node_sizes) == ([3, 1, None], None)
    assert job_from_row(row).nodes == NodeState(count=3, main=1)
