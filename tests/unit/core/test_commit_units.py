"""Which moves are written together, and how many of them go into one transaction."""

from typing import Any

from chalicelib.core.capacity import CapacityChange
from chalicelib.core.commit_units import (
    CommitUnit,
    by_root,
    capacity_changes,
    changes_one_row,
    grouped,
    units_of,
)
from chalicelib.core.ids import child_part
from chalicelib.core.job import ArrayState, Job
from chalicelib.core.moves import Advance, Move
from chalicelib.core.states import JobStatus
from tests.support.values import a_job

PLACED = {"environment": "fargate", "dispatch_count": 1}


def moved(old: Job, **changes: object) -> Move:
    return Move.of(old, old.next_version(**changes))


def dispatched(job_id: str, **members: object) -> Move:
    return moved(a_job(job_id=job_id), status=JobStatus.STARTING, **PLACED, **members)


def child(number: int, **members: Any) -> Job:
    return a_job(part=child_part(number), **members)


def advance_of(*numbers: int) -> Advance:
    parent = a_job(status=JobStatus.PENDING, array=ArrayState(size=9))
    moves = [moved(child(n, version=0), status=JobStatus.STARTING, **PLACED) for n in numbers]
    return Advance(parent=parent, cursor=numbers[-1] + 1, passed=0, moves=tuple(moves))


def test_a_job_that_starts_to_run_changes_its_own_row_only() -> None:
    starting = a_job(status=JobStatus.STARTING, **PLACED)
    assert changes_one_row(moved(starting, status=JobStatus.RUNNING))
    assert changes_one_row(moved(starting, task_arn="arn"))


def test_a_job_that_takes_or_gives_back_capacity_changes_more_than_its_row() -> None:
    assert not changes_one_row(dispatched("job-1"))
    running = a_job(status=JobStatus.RUNNING, **PLACED)
    assert not changes_one_row(moved(running, status=JobStatus.FAILED, stopped_at_ms=1))


def test_a_job_that_becomes_runnable_changes_its_ready_row_too() -> None:
    pending = a_job(status=JobStatus.PENDING)
    assert not changes_one_row(moved(pending, status=JobStatus.RUNNABLE))


def test_a_child_that_changes_status_changes_the_counts_of_its_parent_too() -> None:
    starting = child(1, status=JobStatus.STARTING, **PLACED)
    assert not changes_one_row(moved(starting, status=JobStatus.RUNNING))
    assert changes_one_row(moved(starting, task_arn="arn"))


def test_an_advance_is_one_unit_with_all_of_its_moves() -> None:
    alone, advance = dispatched("job-1"), advance_of(0, 1)
    plain = moved(a_job(), status_reason="waiting")
    first, second = units_of([plain, alone], [advance])
    assert (first.moves, first.advance) == ((alone,), None)
    assert (second.moves, second.advance) == (advance.moves, advance)
    assert second.actions == len(advance.moves) + 1


def test_a_group_has_no_more_actions_than_the_limit() -> None:
    units = [CommitUnit((dispatched(f"job-{n}"),)) for n in range(5)]
    # Each takes its row and its ready row; the environment's figures count once in a group.
    assert [len(group) for group in grouped(units, 5)] == [2, 2, 1]
    assert [len(group) for group in grouped(units, 4)] == [1] * 5
    assert [unit for group in grouped(units, 5) for unit in group] == units


def test_a_unit_that_exceeds_the_limit_is_a_group_of_its_own() -> None:
    large = CommitUnit(advance_of(0, 1, 2).moves)
    small = CommitUnit((dispatched("job-1"),))
    assert list(grouped([small, large, small], 4)) == [[small], [large], [small]]
    assert list(grouped([], 4)) == []


def test_the_units_of_an_array_are_found_by_its_id() -> None:
    one, other = units_of([], [advance_of(0), advance_of(1)])
    job_id = one.moves[0].new.job_id
    assert list(by_root([one, CommitUnit((dispatched("job-9"),)), other])) == [
        (job_id, [one, other])
    ]


def test_capacity_is_summed_by_environment() -> None:
    moves = [dispatched("job-1", cpu_units=256), dispatched("job-2", cpu_units=512)]
    elsewhere = moved(a_job(cpu_units=1024), status=JobStatus.STARTING, environment="spot")
    assert capacity_changes([*moves, elsewhere]) == {
        "fargate": CapacityChange(environment="fargate", cpu_units=768, tasks=2, starting=2),
        "spot": CapacityChange(environment="spot", cpu_units=1024, tasks=1, starting=1),
    }
