"""The vocabulary of the lifecycle."""

from chalicelib.core.lifecycle import TRANSITIONS
from chalicelib.core.states import PLACED, STATUS_NOTES, TERMINAL, JobStatus
from tests.support.values import a_job


def test_every_status_is_explained() -> None:
    assert list(STATUS_NOTES) == list(JobStatus)


def test_a_status_is_placed_or_terminal_or_waiting() -> None:
    assert not PLACED & TERMINAL
    assert set(JobStatus) - PLACED - TERMINAL == {
        JobStatus.SUBMITTED,
        JobStatus.PENDING,
        JobStatus.RUNNABLE,
    }


def test_capacity_is_held_exactly_while_placed() -> None:
    assert {status for status in JobStatus if a_job(status).holds_capacity} == PLACED


def test_the_statuses_that_nobody_moves_out_are_the_terminal_ones() -> None:
    rules_by_status: dict[JobStatus, set[object]] = {}
    for (status, _), rule in TRANSITIONS.items():
        rules_by_status.setdefault(status, set()).add(rule)
    # A terminal status shares its rules with no other: ignore, or name an orphan task.
    assert rules_by_status[JobStatus.SUCCEEDED] == rules_by_status[JobStatus.FAILED]
    assert len(rules_by_status[JobStatus.FAILED]) == 2
