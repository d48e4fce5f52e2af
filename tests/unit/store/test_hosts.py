"""The hosts of attempts in the row of their job: nothing is lost, and a transition stays cheap."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.core.events import TaskHost
from chalicelib.core.job import Attempt, Job
from chalicelib.core.states import JobStatus
from chalicelib.store.codec import WRITE_UNIT_BYTES, job_from_row, row_from_job
from chalicelib.store.hosts import packed_hosts, with_hosts
from tests.support.values import NOW_MS, a_job

CLUSTER = "yard-production_spot-capacity-of-team-a"
PREFIX = "arn:aws:ecs:us-gov-west-1:123456789012"
TASK = f"{PREFIX}:task/{CLUSTER}/b99d40b39b5b4c2b8d5c7a0f6e1d2c3b"
INSTANCE = f"{PREFIX}:container-instance/{CLUSTER}/0a1b2c3d4e5f60718293a4b5c6d7e8f9"
ATTACHMENT = "1789bcae-ddfb-4d10-8ebe-8ac87ddba5b8"
FARGATE = TaskHost(attachment_id=ATTACHMENT, ipv4_address="172.31.255.139")
ON_INSTANCE = TaskHost(container_instance_arn=INSTANCE)
BOTH = replace(
    FARGATE, container_instance_arn=INSTANCE, ipv6_address="2001:db8:85a3::8a2e:370:7334"
)


def an_attempt(host: TaskHost | None, task_arn: str | None = TASK) -> Attempt:
    return Attempt(
        started_at_ms=NOW_MS,
        stopped_at_ms=NOW_MS + 60_000,
        status_reason="Essential container in task exited",
        task_arn=task_arn,
        exit_code=1,
        host=host,
    )


def size_of(job: Job) -> int:
    """Return the bytes that DynamoDB counts for the job's row: of names and of values."""
    return sum(
        len(name.encode()) + _size(kind, value)
        for name, stored in row_from_job(job, 90 * 24 * 3600).serialize().items()
        for kind, value in stored.items()
    )


def _size(kind: str, value: Any) -> int:
    # A number takes a byte for two digits, and one more.
    return len(value.encode()) if kind == "S" else -(-len(value.strip("-0")) // 2) + 1


@pytest.mark.parametrize("host", [FARGATE, ON_INSTANCE, BOTH, None])
@pytest.mark.parametrize("task_arn", [TASK, "arn:aws:ecs:us-east-1:1:task/old-format", "odd", None])
def test_hosts_are_read_as_they_were_written(host: TaskHost | None, task_arn: str | None) -> None:
    attempts = (an_attempt(None), an_attempt(host, task_arn), an_attempt(FARGATE))
    bare = [replace(attempt, host=None) for attempt in attempts]
    assert with_hosts(bare, packed_hosts(attempts)) == attempts


@pytest.mark.parametrize(
    "arn",
    [
        INSTANCE.replace(CLUSTER, "another-cluster"),
        f"{PREFIX}:container-instance/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9",
        INSTANCE[:-1],
        f"{PREFIX}:container-instance/{CLUSTER}/instance",
    ],
)
def test_the_arn_of_an_instance_is_kept_whatever_its_form(arn: str) -> None:
    attempt = an_attempt(TaskHost(container_instance_arn=arn))
    assert with_hosts([replace(attempt, host=None)], packed_hosts([attempt])) == (attempt,)


def test_no_hosts_are_no_attribute() -> None:
    assert packed_hosts([an_attempt(None)] * 3) is None
    assert "hosts" not in row_from_job(a_job(JobStatus.RUNNING), 60).serialize()


def test_hosts_of_fewer_attempts_than_there_are_leave_the_others_without() -> None:
    attempts = [an_attempt(None)] * 2
    hosts = [one.host for one in with_hosts(attempts, packed_hosts([an_attempt(FARGATE)]))]
    assert hosts == [FARGATE, None]


def test_a_host_takes_a_few_dozen_bytes() -> None:
    assert len(packed_hosts([an_attempt(FARGATE)]) or "") <= 40
    assert len(packed_hosts([an_attempt(ON_INSTANCE)]) or "") <= 23


def typical_job(host: TaskHost, **members: Any) -> Job:
    """Return a job with names of twenty characters and all that an ended job has."""
    return a_job(
        JobStatus.SUCCEEDED,
        name="render-frames-of-cut",
        queue="production-spot-high",
        definition="render-with-blender1:12345",
        environment="spot-capacity-team-a",
        share="customer-0123456789a",
        status_reason="Essential container in task exited",
        attempts_limit=10,
        timeout_seconds=86_400,
        priority=9999,
        cpu_units=4096,
        memory_mib=30_720,
        task_arn=TASK,
        exit_code=0,
        host=host,
        **members,
    )


@pytest.mark.parametrize("host", [FARGATE, ON_INSTANCE, BOTH])
def test_a_transition_of_a_typical_job_is_one_write_unit(host: TaskHost) -> None:
    assert size_of(typical_job(host)) <= WRITE_UNIT_BYTES
    child = typical_job(host, part="child#00009999")
    assert size_of(child) <= WRITE_UNIT_BYTES
    if host is not BOTH:
        retried = typical_job(host, attempt=2, history=(an_attempt(host),))
        assert size_of(retried) <= WRITE_UNIT_BYTES


@pytest.mark.parametrize("retries", range(1, 10))
@pytest.mark.parametrize("letters", [10, 40, 100])
def test_hosts_of_earlier_attempts_cost_no_further_write_unit(retries: int, letters: int) -> None:
    """The oldest are left out; that of the current attempt is always kept."""
    history = tuple(an_attempt(BOTH) for _ in range(retries))
    job = typical_job(BOTH, attempt=retries + 1, history=history, stop_reason="x" * letters)
    bare = replace(job, history=tuple(replace(one, host=None) for one in history))
    kept = job_from_row(row_from_job(job, 60))
    assert kept.host == BOTH
    hosts = [attempt.host for attempt in kept.history]
    known = sum(host is not None for host in hosts)
    assert hosts == [None] * (retries - known) + [BOTH] * known
    assert -(-size_of(job) // WRITE_UNIT_BYTES) <= -(-size_of(bare) // WRITE_UNIT_BYTES)
    assert replace(kept, history=history) == job


def test_the_hosts_of_a_retried_job_are_kept_where_they_cost_nothing() -> None:
    job = a_job(JobStatus.RUNNING, attempt=2, history=(an_attempt(FARGATE),), host=FARGATE)
    assert job_from_row(row_from_job(job, 60)) == job
