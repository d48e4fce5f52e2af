"""The two tags about Spot losses, and what a loss changes in a job."""

import pytest

from chalicelib.core.errors import ClientError
from chalicelib.core.events import EventKind
from chalicelib.core.job import Job, ready_of
from chalicelib.core.lifecycle import decide
from chalicelib.core.retry import ExitRule, RetryAction, RetryStrategy
from chalicelib.core.spot import (
    FREE_LOSSES_LIMIT,
    FREE_TAG,
    LOSSES_TAG,
    SpotPolicy,
    spot_policy,
    validate_spot_tags,
)
from chalicelib.core.states import JobStatus
from tests.support.values import a_job, an_event

REASON = "Host EC2 (instance i-0abc) terminated."


def lose(job: Job, policy: SpotPolicy, strategy: RetryStrategy | None = None) -> Job:
    """Return the job, which runs, after its attempt was lost on Spot."""
    event = an_event(
        EventKind.TASK_STOPPED, of=job, reason=REASON, exit_code=143, spot_policy=policy
    )
    return decide(job, event, strategy).job


def running_again(job: Job) -> Job:
    placed = decide(job, an_event(EventKind.DISPATCHED, environment="spot")).job
    return decide(placed, an_event(EventKind.TASK_RUNNING, of=placed)).job


def test_the_tag_of_a_job_goes_before_that_of_its_queue() -> None:
    queue = {LOSSES_TAG: "5", FREE_TAG: "true"}
    assert spot_policy({}, {}) == SpotPolicy(losses_before_on_demand=2, losses_are_free=False)
    assert spot_policy({}, queue) == SpotPolicy(losses_before_on_demand=5, losses_are_free=True)
    assert spot_policy({LOSSES_TAG: "0", FREE_TAG: "false"}, queue) == SpotPolicy(
        losses_before_on_demand=0
    )


def test_a_value_that_was_stored_before_it_was_checked_counts_as_absent() -> None:
    assert spot_policy({LOSSES_TAG: "two", FREE_TAG: "yes"}, {LOSSES_TAG: "7"}) == SpotPolicy(
        losses_before_on_demand=7
    )


@pytest.mark.parametrize("value", ["0", "2", "100"])
def test_a_whole_number_of_losses_is_accepted(value: str) -> None:
    validate_spot_tags({LOSSES_TAG: value, FREE_TAG: "true", "other": "x"})


@pytest.mark.parametrize("value", ["", "-1", "101", "1.5", "two", "²", "1000000000"])
def test_any_other_value_is_refused_with_what_is_allowed(value: str) -> None:
    with pytest.raises(ClientError, match=f"{LOSSES_TAG} must be a whole number from 0 to 100"):
        validate_spot_tags({LOSSES_TAG: value})


def test_a_flag_that_is_neither_true_nor_false_is_refused() -> None:
    with pytest.raises(ClientError, match=f"{FREE_TAG} must be true or false, got 'yes'"):
        validate_spot_tags({FREE_TAG: "yes"})


def test_losses_are_counted_and_the_last_one_allowed_keeps_the_job_from_spot() -> None:
    first = lose(a_job(JobStatus.RUNNING, attempts_limit=5), SpotPolicy())
    assert (first.status, first.spot_losses, first.avoids_spot) == (JobStatus.RUNNABLE, 1, False)
    ready = ready_of(first)
    assert ready is not None
    assert ready.spot_losses is None, "no byte in the ready row while it may use Spot"

    second = lose(running_again(first), SpotPolicy())

    assert (second.spot_losses, second.avoids_spot, second.attempt) == (2, True, 3)
    ready = ready_of(second)
    assert ready is not None
    assert ready.spot_losses == 2


def test_the_loss_of_the_last_attempt_is_counted_too() -> None:
    failed = lose(a_job(JobStatus.RUNNING), SpotPolicy())
    assert (failed.status, failed.spot_losses) == (JobStatus.FAILED, 1)


def test_an_attempt_that_succeeded_within_the_notice_is_no_loss() -> None:
    job = a_job(JobStatus.RUNNING)
    event = an_event(EventKind.TASK_STOPPED, of=job, exit_code=0, spot_policy=SpotPolicy())
    done = decide(job, event).job
    assert (done.status, done.spot_losses) == (JobStatus.SUCCEEDED, 0)


def test_a_job_that_is_being_terminated_has_no_loss() -> None:
    job = decide(a_job(JobStatus.RUNNING), an_event(EventKind.TERMINATE, reason="enough")).job
    ended = lose(job, SpotPolicy(losses_are_free=True))
    assert (ended.status, ended.spot_losses, ended.status_reason) == (
        JobStatus.FAILED,
        0,
        "enough",
    )


def test_free_losses_use_up_no_attempt_and_each_attempt_has_its_own_number_and_fence() -> None:
    free = SpotPolicy(losses_before_on_demand=100, losses_are_free=True)
    first = a_job(JobStatus.RUNNING)  # one attempt, without retries
    again = lose(first, free)
    assert (again.status, again.attempt, again.attempts_used) == (JobStatus.RUNNABLE, 2, 1)
    assert again.fence != first.fence
    assert [one.status_reason for one in again.history] == [REASON]

    event = an_event(EventKind.TASK_STOPPED, of=running_again(again), exit_code=1)
    failed = decide(running_again(again), event).job
    assert failed.status is JobStatus.FAILED, "its own exit was its only attempt"


def test_the_rules_of_evaluate_on_exit_are_not_asked_about_a_free_loss() -> None:
    exits = RetryStrategy(attempts=3, rules=(ExitRule(action=RetryAction.EXIT, on_reason="*"),))
    job = a_job(JobStatus.RUNNING, attempts_limit=3)
    assert lose(job, SpotPolicy(losses_are_free=True), exits).status is JobStatus.RUNNABLE
    assert lose(job, SpotPolicy(), exits).status is JobStatus.FAILED


def test_a_job_whose_losses_are_free_ends_all_the_same() -> None:
    free = SpotPolicy(losses_are_free=True)
    job = a_job(JobStatus.RUNNING, attempts_limit=2)
    strategy = RetryStrategy(attempts=2)
    for number in range(1, FREE_LOSSES_LIMIT + 2):
        job = lose(job, free, strategy)
        assert (job.status, job.spot_losses) == (JobStatus.RUNNABLE, number)
        job = running_again(job)
    ended = lose(job, free, strategy)
    assert (ended.status, len(ended.attempts)) == (JobStatus.FAILED, FREE_LOSSES_LIMIT + 2)
