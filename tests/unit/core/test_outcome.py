"""How an attempt ended, from how its containers ended."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.core.events import ContainerEnd, Event, EventKind
from chalicelib.core.lifecycle import decide
from chalicelib.core.outcome import Outcome, outcome_of
from chalicelib.core.retry import ExitRule, RetryAction, RetryStrategy
from chalicelib.core.states import JobStatus
from tests.support.values import a_job, an_event

ONE = a_job(JobStatus.RUNNING)
JOB = replace(ONE, essential=("main", "other"))
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"


def stopped(*ends: tuple[str, int | None, str | None], **members: Any) -> Event:
    """Return the end of the task, by the end of an essential container unless `members` differ."""
    made = tuple(ContainerEnd(name=n, exit_code=code, reason=reason) for n, code, reason in ends)
    return an_event(
        EventKind.TASK_STOPPED,
        of=JOB,
        **{"container_ends": made, "essential_exited": True, **members},
    )


def reported(
    *ends: tuple[str, int | None, str | None], **members: Any
) -> tuple[int | None, str | None]:
    outcome = outcome_of(JOB, stopped(*ends, **members))
    return outcome.exit_code, outcome.container_reason


def test_a_job_of_one_container_ends_as_the_event_says() -> None:
    event = stopped(("default", 3, "x"), exit_code=3, container_reason="x")
    assert outcome_of(ONE, event) == Outcome(3, "x", ())


@pytest.mark.parametrize("code", [143, 137, None])
def test_a_container_that_exits_with_0_completes_a_job_whose_others_ecs_stops(
    code: int | None,
) -> None:
    assert reported(("main", 0, None), ("other", code, None)) == (0, None)
    assert reported(("main", code, None), ("other", 0, None)) == (0, None)


def test_the_first_in_the_definition_that_failed_by_itself_speaks() -> None:
    assert reported(("other", 4, "b"), ("main", 3, "a")) == (3, "a")
    assert reported(("other", 4, "b"), ("main", 143, None)) == (4, "b")
    assert reported(("other", 4, None), ("main", 0, None)) == (4, None)


def test_a_container_killed_for_a_reason_of_its_own_failed_by_itself() -> None:
    ends = (("main", 0, None), ("other", 137, OUT_OF_MEMORY))
    assert reported(*ends) == (137, OUT_OF_MEMORY)


def test_containers_that_do_not_count_do_not_fail_the_job() -> None:
    ends = (("helper", 9, "x"), ("main", 0, None), ("other", 0, None))
    assert reported(*ends) == (0, None)


def test_without_any_success_a_signal_is_a_failure() -> None:
    assert reported(("main", 143, None), ("other", 137, None)) == (143, None)


def test_a_task_that_somebody_stopped_is_not_completed_by_one_container() -> None:
    ends = (("main", 0, None), ("other", 143, None))
    assert reported(*ends, essential_exited=False) == (143, None)
    done = (("main", 0, None), ("other", 0, None))
    assert reported(*done, essential_exited=False) == (0, None)


def test_a_cause_is_looked_for_when_a_container_never_came_to_run() -> None:
    no_image = "CannotPullContainerError: no such image"
    ends = (("helper", None, no_image), ("main", None, None), ("other", None, None))
    event = stopped(*ends, essential_exited=False)
    outcome = outcome_of(JOB, event)
    assert (outcome.exit_code, outcome.container_reason) == (None, no_image)
    by_name = {end.name: end.reason for end in outcome.container_ends}
    assert by_name == {"helper": no_image, "main": no_image, "other": None}


def test_a_cause_without_a_container_is_shown_on_the_first_container() -> None:
    event = an_event(EventKind.LAUNCH_FAILED, of=JOB, container_reason="no such role")
    ends = (ContainerEnd(name="main", reason="no such role"),)
    assert outcome_of(JOB, event) == Outcome(None, "no such role", ends)


def test_a_task_that_is_gone_has_no_ends() -> None:
    event = an_event(EventKind.TASK_LOST, of=JOB, reason="gone")
    assert outcome_of(JOB, event) == Outcome(None, None, ())


def test_the_lifecycle_goes_by_the_outcome_and_keeps_the_ends() -> None:
    event = stopped(("main", 143, None), ("other", 0, None), exit_code=143)
    done = decide(JOB, event).job
    assert (done.status, done.exit_code) == (JobStatus.SUCCEEDED, 0)
    assert done.container_ends == event.container_ends
    failed = decide(JOB, stopped(("main", 143, None), ("other", 5, None), exit_code=143)).job
    assert (failed.status, failed.exit_code) == (JobStatus.FAILED, 5)


@pytest.mark.parametrize(("pattern", "status"), [("5", "FAILED"), ("143", "RUNNABLE")])
def test_retry_rules_see_the_exit_code_that_counts(pattern: str, status: str) -> None:
    rules = (ExitRule(action=RetryAction.EXIT, on_exit_code=pattern),)
    event = stopped(("main", 143, None), ("other", 5, None), exit_code=143)
    job = replace(JOB, attempts_limit=2)
    assert decide(job, event, RetryStrategy(attempts=2, rules=rules)).job.status == status


def test_a_retry_clears_the_ends_and_keeps_them_in_the_history() -> None:
    event = stopped(("main", 3, None), ("other", 143, None))
    again = decide(replace(JOB, attempts_limit=2), event).job
    assert (again.status, again.container_ends, again.exit_code) == (JobStatus.RUNNABLE, (), None)
    assert again.essential == JOB.essential
    (attempt,) = again.history
    assert (attempt.exit_code, attempt.container_ends) == (3, event.container_ends)
