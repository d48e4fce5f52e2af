"""The contract of both stores on what the sweeper reads and repairs."""

from dataclasses import replace

from chalicelib.core.job import Job, created_key_of, ready_of
from chalicelib.core.spec import Spec
from chalicelib.core.states import JobStatus
from tests.support.both_stores import Both
from tests.support.values import JOB_ID, a_job


def runnable(number: int) -> Job:
    return a_job(JobStatus.RUNNABLE, job_id=JOB_ID[:-1] + str(number), created_at_ms=1_000 + number)


def submitted(both: Both, job: Job, *tokens: str) -> Job:
    spec = Spec(job_id=job.job_id, document={}, task_tokens=frozenset(tokens))
    assert both.jobs.submit(job, spec)
    return job


def test_jobs_of_a_status_are_listed_after_a_place(both: Both) -> None:
    jobs = [submitted(both, runnable(number)) for number in range(3)]
    first = both.jobs.list_oldest(jobs[0].queue, JobStatus.RUNNABLE, limit=2)
    assert [job.job_id for job in first] == [job.job_id for job in jobs[:2]]
    after = created_key_of(first[-1])
    rest = both.jobs.list_oldest(jobs[0].queue, JobStatus.RUNNABLE, after=after, limit=2)
    assert [job.job_id for job in rest] == [jobs[2].job_id]


def test_a_missing_ready_row_is_found_and_put_back_once(both: Both) -> None:
    kept, lacking = (submitted(both, runnable(number)) for number in range(2))
    readies = [ready for job in (kept, lacking) if (ready := ready_of(job)) is not None]
    assert both.lanes.missing_ready(readies) == ()
    assert both.lanes.drop_ready(readies[1])
    assert both.lanes.missing_ready(readies) == (readies[1],)
    assert both.jobs.restore_ready(lacking)
    assert both.lanes.missing_ready(readies) == ()
    assert not both.jobs.restore_ready(lacking)


def test_a_job_that_has_changed_gets_no_ready_row_back(both: Both) -> None:
    job = submitted(both, runnable(0))
    ready = ready_of(job)
    assert ready is not None
    assert both.lanes.drop_ready(ready)
    assert not both.jobs.restore_ready(replace(job, version=job.version + 1))
    assert not both.jobs.restore_ready(replace(job, status=JobStatus.STARTING))
    assert not both.lanes.has_work(job.queue)


def test_a_job_that_a_task_waits_for_is_listed_until_it_is_answered(both: Both) -> None:
    job, other = submitted(both, runnable(0), "token"), submitted(both, runnable(1))
    assert both.lanes.unanswered(job.queue, limit=9) == (job.job_id,)
    both.lanes.expect_answer(other.queue, other.job_id)
    both.lanes.expect_answer(other.queue, other.job_id)
    assert both.lanes.unanswered(job.queue, limit=1) == (job.job_id,)
    assert both.lanes.unanswered(job.queue, after=job.job_id, limit=1) == (other.job_id,)
    for one in (job, job, other):
        both.lanes.drop_answer(one.queue, one.job_id)
    assert both.lanes.unanswered(job.queue, limit=9) == ()
