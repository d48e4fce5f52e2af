"""What is new, what was stopped, and what a listing that lies must not cause."""

from __future__ import annotations

import pytest

from batchyard.agent.ecs import EcsUnavailable
from batchyard.agent.finder import TaskFinder

from .world import CLUSTER, TASK_PREFIX, FakeEcs, container, task_definition

ONE = task_definition(container())


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ecs() -> FakeEcs:
    return FakeEcs()


@pytest.fixture
def finder(ecs: FakeEcs, clock: Clock) -> TaskFinder:
    finder = TaskFinder(ecs, cluster_prefix="batchyard-", monotonic=clock)
    finder.begin()
    return finder


def test_a_task_is_new_once(ecs: FakeEcs, finder: TaskFinder) -> None:
    task_id = ecs.run_task(ONE)
    assert [task["taskArn"] for task in finder.look([]).new] == [TASK_PREFIX + task_id]
    assert finder.look([TASK_PREFIX + task_id]).new == []


def test_a_task_that_could_not_be_started_is_new_again(ecs: FakeEcs, finder: TaskFinder) -> None:
    task_id = ecs.run_task(ONE)
    finder.look([])
    finder.forget([TASK_PREFIX + task_id])
    assert len(finder.look([]).new) == 1


def test_tasks_of_other_clusters_are_ignored(ecs: FakeEcs, clock: Clock) -> None:
    ecs.run_task(ONE)
    assert TaskFinder(ecs, cluster_prefix="theirs-", monotonic=clock).look([]).new == []


def test_stop_task_is_noticed_with_its_reason(ecs: FakeEcs, finder: TaskFinder) -> None:
    arn = TASK_PREFIX + ecs.run_task(ONE)
    finder.look([])
    ecs.stop_task(CLUSTER, arn, "enough")
    assert [task["stoppedReason"] for task in finder.look([arn]).stopped] == ["enough"]


def test_a_task_missing_from_a_listing_is_not_stopped_for_that(
    ecs: FakeEcs, finder: TaskFinder, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = TASK_PREFIX + ecs.run_task(ONE)
    finder.look([])
    monkeypatch.setattr(ecs, "list_task_arns", lambda *_: [])
    found = finder.look([arn])
    assert (found.stopped, found.gone) == ([], [])


def test_a_task_ecs_no_longer_knows_is_gone(ecs: FakeEcs, finder: TaskFinder) -> None:
    arn = TASK_PREFIX + ecs.run_task(ONE)
    finder.look([])
    ecs.forget_all()
    assert finder.look([arn]).gone == [arn]


def test_a_task_stopped_between_two_looks_is_reported_once(
    ecs: FakeEcs, finder: TaskFinder, clock: Clock
) -> None:
    arn = TASK_PREFIX + ecs.run_task(ONE)
    ecs.stop_task(CLUSTER, arn, "early")
    clock.now += 60
    assert [task["taskArn"] for task in finder.look([]).missed] == [arn]
    clock.now += 60
    assert finder.look([]).missed == []


def test_tasks_that_stopped_before_the_agent_started_are_not_reported(
    ecs: FakeEcs, clock: Clock
) -> None:
    ecs.stop_task(CLUSTER, TASK_PREFIX + ecs.run_task(ONE), "long ago")
    finder = TaskFinder(ecs, cluster_prefix="batchyard-", monotonic=clock)
    finder.begin()
    assert finder.look([]).missed == []


def test_an_unavailable_ecs_loses_nothing(ecs: FakeEcs, finder: TaskFinder) -> None:
    ecs.run_task(ONE)
    ecs.failures = 1
    with pytest.raises(EcsUnavailable):
        finder.look([])
    assert len(finder.look([]).new) == 1
