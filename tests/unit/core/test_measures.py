"""Which changes of a job count in the metrics of its queue."""

from dataclasses import replace

from chalicelib.core.job import ArrayState, Attempt, Job
from chalicelib.core.measures import (
    DEPTHS,
    Measure,
    Sample,
    Unit,
    samples_from_change,
    samples_from_rows,
)
from chalicelib.core.states import TERMINAL, JobStatus
from tests.support.values import NOW_MS, a_job

S = JobStatus


def samples(old: Job | None, new: Job | None) -> dict[Measure, float]:
    found = list(samples_from_change(old, new))
    assert all(sample.queue == (new or a_job()).queue for sample in found)
    return {sample.measure: sample.value for sample in found}


def test_the_end_of_a_job_counts_once() -> None:
    running = a_job(JobStatus.RUNNING)
    ended = replace(running, status=JobStatus.SUCCEEDED)
    assert samples(running, ended) == {Measure.JOBS_SUCCEEDED: 1}
    assert samples(ended, replace(ended, version=9)) == {}
    assert samples(running, replace(ended, status=JobStatus.FAILED)) == {Measure.JOBS_FAILED: 1}


def test_a_child_that_gets_its_row_when_it_ends_counts() -> None:
    assert samples(None, a_job(JobStatus.FAILED)) == {Measure.JOBS_FAILED: 1}


def test_an_expired_job_counts_nowhere() -> None:
    assert samples(a_job(JobStatus.SUCCEEDED), None) == {}


def test_the_parent_of_an_array_does_not_count_beside_its_children() -> None:
    parent = replace(a_job(JobStatus.PENDING), array=ArrayState(size=3))
    assert samples(parent, replace(parent, status=JobStatus.FAILED)) == {}


def test_a_retry_counts_and_a_spot_loss_counts_besides() -> None:
    running = a_job(JobStatus.RUNNING)
    lost = Attempt(started_at_ms=NOW_MS, stopped_at_ms=NOW_MS, status_reason="any")
    again = replace(running, status=JobStatus.RUNNABLE, attempt=2, history=(lost,))
    assert samples(running, again) == {Measure.RETRIES: 1}
    assert samples(running, replace(again, spot_losses=1)) == {
        Measure.RETRIES: 1,
        Measure.SPOT_LOSSES: 1,
    }


def test_a_host_that_was_lost_on_demand_is_no_spot_loss() -> None:
    running = a_job(JobStatus.RUNNING)
    reason = "Host EC2 (instance i-0abc) terminated."
    failed = replace(running, status=JobStatus.FAILED, status_reason=reason)
    assert samples(running, failed) == {Measure.JOBS_FAILED: 1}


def test_the_spot_loss_of_the_last_attempt_counts() -> None:
    running = a_job(JobStatus.RUNNING)
    failed = replace(running, status=JobStatus.FAILED, spot_losses=1)
    assert samples(running, failed) == {Measure.JOBS_FAILED: 1, Measure.SPOT_LOSSES: 1}


def test_a_placement_that_made_no_task_counts_as_refused() -> None:
    starting = a_job(JobStatus.STARTING)
    back = replace(starting, status=JobStatus.RUNNABLE)
    assert samples(starting, back) == {Measure.LAUNCHES_REFUSED: 1}


def test_the_first_start_says_how_long_it_took() -> None:
    starting = replace(a_job(JobStatus.STARTING), created_at_ms=NOW_MS)
    running = replace(starting, status=JobStatus.RUNNING, started_at_ms=NOW_MS + 700)
    assert samples(starting, running) == {Measure.SUBMIT_TO_START: 700}
    assert samples(replace(starting, attempt=2), replace(running, attempt=2)) == {}
    # ECS's clock may be behind ours.
    early = replace(running, started_at_ms=NOW_MS - 5)
    assert samples(starting, early) == {Measure.SUBMIT_TO_START: 0}


def test_every_status_before_the_end_has_a_depth() -> None:
    assert DEPTHS.keys() == set(JobStatus) - TERMINAL


def test_the_depth_of_a_queue_counts_arrays_as_their_children() -> None:
    array = ArrayState(size=10, cursor=3, counts=((S.RUNNING, 2), (S.SUCCEEDED, 1)))
    rows = [
        a_job(S.RUNNABLE),
        a_job(S.RUNNABLE),
        a_job(S.RUNNING),
        replace(a_job(S.PENDING), waiting_on=(0,)),
        replace(a_job(S.PENDING), array=array),
    ]
    found = {sample.measure: sample.value for sample in samples_from_rows(rows, NOW_MS)}
    del found[Measure.OLDEST_RUNNABLE]
    assert found == {
        Measure.RUNNABLE_JOBS: 2 + 7,
        Measure.RUNNING_JOBS: 1 + 2,
        Measure.PENDING_JOBS: 1,
    }


def test_the_oldest_job_is_the_one_that_has_been_runnable_longest() -> None:
    rows = [replace(a_job(S.RUNNABLE), changed_at_ms=NOW_MS - ago) for ago in (5_000, 90_000)]
    assert Sample(
        measure=Measure.OLDEST_RUNNABLE, value=90, queue=rows[0].queue
    ) in samples_from_rows(rows, NOW_MS)


def test_an_array_waits_since_it_is_known_why() -> None:
    parent = replace(a_job(S.PENDING), array=ArrayState(size=2), blocked_since_ms=NOW_MS - 60_000)
    assert Sample(
        measure=Measure.OLDEST_RUNNABLE, value=60, queue=parent.queue
    ) in samples_from_rows([parent], NOW_MS)


def test_only_counts_are_added_up() -> None:
    for measure in Measure:
        assert measure.is_added_up == (measure.unit is Unit.COUNT)
    assert Sample(measure=Measure.RETRIES).value == 1
