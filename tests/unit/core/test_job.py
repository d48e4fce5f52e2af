"""A job as a value: what follows from its state alone."""

import random
from dataclasses import replace

import pytest

from chalicelib.core.job import rank_of, ready_of
from chalicelib.core.ready import Ready
from chalicelib.core.states import JobStatus
from tests.support.values import JOB_ID, NOW_MS, a_job

S = JobStatus


def test_a_lane_is_in_order_of_retries_then_priority_then_age_then_id() -> None:
    retried = a_job(attempt=2, created_at_ms=NOW_MS + 5, job_id="r")
    given_back = a_job(dispatch_count=1, created_at_ms=NOW_MS + 6, job_id="g")
    urgent = a_job(priority=9999, created_at_ms=NOW_MS + 9, job_id="u")
    less_urgent = a_job(priority=7, created_at_ms=NOW_MS, job_id="l")
    old = a_job(created_at_ms=NOW_MS, job_id="o")
    twin = a_job(created_at_ms=NOW_MS, job_id="p")
    young = a_job(created_at_ms=NOW_MS + 1, job_id="a")
    wanted = [retried, given_back, urgent, less_urgent, old, twin, young]
    shuffled = wanted[:]
    random.Random(7).shuffle(shuffled)
    assert sorted(shuffled, key=rank_of) == wanted


def test_age_orders_by_value_not_by_text() -> None:
    assert rank_of(a_job(created_at_ms=999)) < rank_of(a_job(created_at_ms=1000))
    assert rank_of(a_job(priority=10)) < rank_of(a_job(priority=9))


@pytest.mark.parametrize("status", S)
def test_a_ready_row_belongs_to_a_runnable_job_and_to_no_other(status: JobStatus) -> None:
    ready = ready_of(a_job(status))
    assert (ready is not None) == (status is S.RUNNABLE)


def test_a_ready_row_holds_everything_that_placement_needs() -> None:
    job = a_job(cpu_units=256, memory_mib=512)
    assert ready_of(job) == Ready(
        queue="queue",
        share="-",
        rank=rank_of(job),
        job_id=JOB_ID,
        cpu_units=256,
        memory_mib=512,
        created_at_ms=NOW_MS,
    )


def test_a_deadline_counts_from_the_start_of_the_running_attempt() -> None:
    running = a_job(S.RUNNING, timeout_seconds=60, started_at_ms=NOW_MS + 5)
    assert running.deadline_ms == NOW_MS + 60_005
    assert replace(running, started_at_ms=None).deadline_ms == NOW_MS + 60_000
    assert replace(running, timeout_seconds=None).deadline_ms is None
    assert replace(running, status=S.STARTING).deadline_ms is None


def test_the_attempt_of_a_job_that_ended_counts_if_it_had_a_task_or_a_cause() -> None:
    ended = a_job(S.FAILED, status_reason="exited")
    assert [attempt.status_reason for attempt in ended.attempts] == ["exited"]
    assert replace(ended, task_arn=None).attempts == ()
    assert len(replace(ended, task_arn=None, container_reason="no image").attempts) == 1
    assert a_job(S.RUNNING).attempts == ()


def test_the_fencing_token_names_the_current_placement() -> None:
    assert str(a_job(S.STARTING, attempt=2, dispatch_count=3).fence) == f"{JOB_ID}/job/2-3"


def test_the_next_version_is_one_more_and_the_rest_is_kept() -> None:
    job = a_job(version=4)
    later = job.next_version(name="other")
    assert later == replace(job, version=5, name="other")
    assert later.at_version(4) == replace(job, name="other")
