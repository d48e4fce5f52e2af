"""What is published after a row's change: each status once and in order, each block once."""

from dataclasses import replace

import pytest

from chalicelib.core.arrays import virtual_child
from chalicelib.core.consequences import effects_of
from chalicelib.core.effects import Publish, PublishBlocked
from chalicelib.core.events import EventKind
from chalicelib.core.ids import child_part
from chalicelib.core.job import ArrayState, Job, NodeState
from chalicelib.core.lifecycle import decide
from chalicelib.core.states import JobStatus
from tests.support.values import NOW_MS, a_job, an_event

S, E = JobStatus, EventKind
PARENT = a_job(S.PENDING, array=ArrayState(size=3))


def published(old: Job | None, new: Job) -> list[Job]:
    return [effect.job for effect in effects_of(old, new) if isinstance(effect, Publish)]


def blocks(old: Job | None, new: Job) -> list[Job]:
    return [effect.job for effect in effects_of(old, new) if isinstance(effect, PublishBlocked)]


def blocked(job: Job, why: str, reason: str = "it waits") -> Job:
    new = decide(job, an_event(E.BLOCKED, label=why, reason=reason)).job
    assert new is not job
    return new


def test_a_block_is_published_when_its_cause_is_another() -> None:
    job = a_job()
    first = blocked(job, "A")
    assert blocks(job, first) == [first]
    assert published(job, first) == []
    second = blocked(first, "B")
    assert blocks(first, second) == [second]
    assert second.status_reason == "it waits"


def test_a_block_is_not_published_again_for_the_same_cause() -> None:
    first = blocked(a_job(), "A")
    reworded = blocked(first, "A", "it still waits")
    assert blocks(first, reworded) == []
    assert blocks(reworded, reworded.next_version(priority=1)) == []
    assert blocks(first, first) == []


def test_the_end_of_a_block_is_no_block() -> None:
    first = blocked(a_job(), "A")
    placed = decide(first, an_event(E.DISPATCHED, environment="fargate")).job
    assert (blocks(first, placed), published(first, placed)) == ([], [placed])


def test_a_cause_that_comes_back_is_published_again() -> None:
    first = blocked(a_job(), "A")
    cleared = replace(first, blocked_why=None, status_reason=None)
    again = blocked(cleared, "A")
    assert (blocks(first, cleared), blocks(cleared, again)) == ([], [again])


def test_an_array_is_blocked_as_the_next_of_its_children_is() -> None:
    waiting = blocked(PARENT, "A")
    assert waiting.status is S.PENDING
    assert blocks(PARENT, waiting) == [replace(waiting, status=S.RUNNABLE)]
    assert published(PARENT, waiting) == []
    # A child that is dispatched clears it, which is no decision about the array.
    cleared = replace(waiting, blocked_why=None, blocked_since_ms=None, status_reason=None)
    assert effects_of(waiting, cleared) == ()


def test_a_child_that_gets_its_row_as_it_is_dispatched_was_runnable_before() -> None:
    child = virtual_child(PARENT, 1)
    placed = decide(child, an_event(E.DISPATCHED, environment="fargate")).job
    runnable, starting = published(None, placed)
    assert (runnable.status, runnable.environment, runnable.dispatch_count) == (S.RUNNABLE, None, 0)
    assert runnable.key == placed.key
    assert starting == placed


def test_a_child_that_has_a_row_is_runnable_once() -> None:
    waiting = a_job(part=child_part(1))
    placed = decide(waiting, an_event(E.DISPATCHED, environment="fargate")).job
    assert published(None, waiting) == [waiting]
    assert published(waiting, placed) == [placed]


@pytest.mark.parametrize("status", [S.PENDING, S.RUNNABLE, S.FAILED])
def test_a_child_that_is_singled_out_is_published_as_it_is(status: JobStatus) -> None:
    child = a_job(status, part=child_part(1), started_at_ms=None)
    assert published(None, child) == [child]


def test_an_array_s_end_is_published_once_and_its_children_s_ends_are_not_its_own() -> None:
    counts = ((S.SUCCEEDED, 2), (S.RUNNING, 1))
    almost = replace(PARENT, array=ArrayState(size=3, cursor=3, counts=counts))
    over = replace(almost, array=ArrayState(size=3, cursor=3, counts=((S.SUCCEEDED, 3),)))
    ended = decide(over, an_event(E.CHILDREN_ENDED)).job
    assert (published(almost, over), published(over, ended)) == ([], [ended])
    assert ended.status is S.SUCCEEDED


@pytest.mark.parametrize("attempts", [1, 2])
def test_nodes_publish_nothing_and_their_job_does(attempts: int) -> None:
    job = a_job(S.RUNNING, nodes=NodeState(count=2, main=0), attempts_limit=attempts)
    node = replace(job, part="node#0001")
    assert published(None, node) == []
    assert published(node, replace(node, status=S.FAILED, version=2)) == []
    ended = decide(job, an_event(E.TASK_STOPPED, of=job, exit_code=1)).job
    assert [one.status for one in published(job, ended)] == [
        S.FAILED if attempts == 1 else S.RUNNABLE
    ]


def test_a_retry_that_a_stop_of_its_array_ends_was_running() -> None:
    """Start, end and the array's stop may come together, and make one write."""
    child = a_job(S.STARTING, part=child_part(1), attempts_limit=2)
    stopped = an_event(E.TASK_STOPPED, of=child, exit_code=1, started_at_ms=NOW_MS + 5)
    again = decide(child, stopped).job
    ended = decide(again, an_event(E.TERMINATE, reason="enough")).job.at_version(2)
    assert [one.status for one in published(child, ended)] == [S.RUNNING, S.FAILED]
