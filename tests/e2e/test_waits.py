"""What takes a minute: a job past its timeout, and what the sweeper does by its schedule.

The jobs are submitted when the cloud starts (`early_jobs`), so that little of the minute is left.
"""

import pytest

from tests.e2e.early_jobs import ATTEMPTS, TIMEOUT_SECONDS, EarlyJobs
from tests.e2e.world import World, until

pytestmark = pytest.mark.e2e

SWEEP_SECONDS = 90.0  # within which the minute sweeper has come by


def test_a_job_that_waits_for_capacity_is_cancelled(world: World, early_jobs: EarlyJobs) -> None:
    waiting = until(
        lambda: world.job(early_jobs.waiting),
        lambda job: bool(job.get("statusReason")),
        seconds=SWEEP_SECONDS,
    )
    assert waiting["status"] == "RUNNABLE"
    assert "maxvCpus" in waiting["statusReason"]
    world.batch.cancel_job(jobId=early_jobs.waiting, reason="no need")
    cancelled = world.await_job(early_jobs.waiting, "FAILED")
    assert (cancelled["statusReason"], cancelled["attempts"]) == ("no need", [])
    assert cancelled["isCancelled"]


def test_a_cancel_leaves_a_running_job_as_it_is(world: World, early_jobs: EarlyJobs) -> None:
    world.await_job(early_jobs.running, "RUNNING")
    world.batch.cancel_job(jobId=early_jobs.running, reason="too late")
    assert world.job(early_jobs.running)["status"] == "RUNNING"
    world.batch.terminate_job(jobId=early_jobs.running, reason="the end")
    assert world.await_job(early_jobs.running, "FAILED")["statusReason"] == "the end"


def test_an_attempt_past_its_timeout_is_stopped_for_good(
    world: World, early_jobs: EarlyJobs
) -> None:
    job = world.await_job(early_jobs.overdue, "FAILED", seconds=TIMEOUT_SECONDS + 30)
    assert job["statusReason"] == "Job attempt duration exceeded timeout"
    assert len(job["attempts"]) < ATTEMPTS
    attempt = job["attempts"][-1]
    ran_seconds = (attempt["stoppedAt"] - attempt["startedAt"]) / 1000
    assert TIMEOUT_SECONDS <= ran_seconds <= TIMEOUT_SECONDS + 5
