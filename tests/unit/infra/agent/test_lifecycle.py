"""The order in which a task's containers start and stop, as straight lists of facts."""

from __future__ import annotations

import pytest

from batchyard.agent import lifecycle
from batchyard.agent.lifecycle import (
    Action,
    ReportRunning,
    ReportStopped,
    StartContainer,
    StopCause,
    StopCode,
    StopContainer,
)
from batchyard.agent.plan import Json, plan_task

from .world import container, task_definition, task_record

BY_USER = StopCause(code=StopCode.USER_INITIATED, reason="enough")


class Machine:
    """A task that is given facts one by one; each returns the actions that follow."""

    def __init__(self, *containers: Json) -> None:
        definition = task_definition(*containers)
        self.plan = plan_task(task_record("task1", definition), definition)
        self.state = lifecycle.new_state(self.plan)

    def advance(self) -> list[Action]:
        self.state, actions = lifecycle.advance(self.plan, self.state)
        again, none = lifecycle.advance(self.plan, self.state)
        assert (again, none) == (self.state, ()), "advancing twice must do nothing"
        return list(actions)

    def started(self, name: str = "default") -> list[Action]:
        self.state = lifecycle.on_started(self.state, name, f"id-{name}")
        return self.advance()

    def adopted(self, name: str = "default") -> None:
        self.state = lifecycle.on_adopted(self.state, name, f"id-{name}")

    def failed(self, name: str = "default") -> list[Action]:
        self.state = lifecycle.on_start_failed(self.plan, self.state, name, "CannotStart: no")
        return self.advance()

    def exited(self, name: str = "default", code: int = 0) -> list[Action]:
        self.state = lifecycle.on_exited(
            self.plan, self.state, name, runtime_id=f"id-{name}", exit_code=code, reason=None
        )
        return self.advance()

    def healthy(self, name: str) -> list[Action]:
        self.state = lifecycle.on_health(self.state, name, True)
        return self.advance()

    def stopped(self) -> list[Action]:
        self.state = lifecycle.stop(self.state, BY_USER)
        return self.advance()


def after(name: str, condition: str) -> list[Json]:
    """Return a `dependsOn` with one entry."""
    return [{"containerName": name, "condition": condition}]


def test_one_container_starts_runs_and_ends() -> None:
    machine = Machine(container())
    assert machine.advance() == [StartContainer("default")]
    assert machine.started() == [ReportRunning()]
    assert machine.exited(code=3) == [ReportStopped(lifecycle.ESSENTIAL_EXITED)]
    assert machine.state.containers["default"].exit_code == 3


def test_an_exit_seen_before_its_start_still_reports_running_first() -> None:
    machine = Machine(container())
    machine.advance()
    assert machine.exited() == [ReportRunning(), ReportStopped(lifecycle.ESSENTIAL_EXITED)]
    assert machine.started() == []
    assert machine.state.containers["default"].exit_code == 0


def test_a_failed_start_ends_the_task_without_exit_code() -> None:
    machine = Machine(container())
    machine.advance()
    assert machine.failed() == [ReportStopped(lifecycle.FAILED_TO_START)]
    assert machine.state.containers["default"].exit_code is None
    assert machine.state.containers["default"].reason == "CannotStart: no"


def test_a_stop_during_the_start_stops_it_once_it_has_started() -> None:
    machine = Machine(container())
    machine.advance()
    assert machine.stopped() == []
    assert machine.started() == [StopContainer("default"), ReportRunning()]
    assert machine.exited(code=143) == [ReportStopped(BY_USER)]


def test_the_first_reason_to_stop_is_kept() -> None:
    machine = Machine(container(), container("other"))
    machine.advance()
    machine.started()
    machine.started("other")
    machine.exited(code=1)
    assert machine.stopped() == []
    assert machine.exited("other") == [ReportStopped(lifecycle.ESSENTIAL_EXITED)]


def test_an_essential_exit_stops_the_others_and_one_that_is_not_does_not() -> None:
    machine = Machine(container(), container("side", essential=False), container("third"))
    assert len(machine.advance()) == 3
    machine.started()
    machine.started("side")
    assert machine.started("third") == [ReportRunning()]
    assert machine.exited("side") == []
    assert machine.exited() == [StopContainer("third")]
    assert machine.exited("third", 143) == [ReportStopped(lifecycle.ESSENTIAL_EXITED)]


def test_start_waits_for_a_start() -> None:
    machine = Machine(container("db"), container(dependsOn=after("db", "START")))
    assert machine.advance() == [StartContainer("db")]
    assert machine.started("db") == [StartContainer("default")]


@pytest.mark.parametrize(("condition", "code"), [("COMPLETE", 1), ("SUCCESS", 0)])
def test_complete_and_success_wait_for_an_end(condition: str, code: int) -> None:
    machine = Machine(
        container("init", essential=False), container(dependsOn=after("init", condition))
    )
    assert machine.advance() == [StartContainer("init")]
    assert machine.started("init") == []
    assert machine.exited("init", code) == [StartContainer("default")]
    assert machine.started() == [ReportRunning()]


def test_a_success_condition_that_cannot_be_met_fails_the_start() -> None:
    machine = Machine(
        container("init", essential=False), container(dependsOn=after("init", "SUCCESS"))
    )
    machine.advance()
    machine.started("init")
    assert machine.exited("init", 1) == [ReportStopped(lifecycle.FAILED_TO_START)]
    assert "init cannot meet condition SUCCESS" in str(machine.state.containers["default"].reason)


def test_healthy_waits_for_the_check() -> None:
    machine = Machine(container("db"), container(dependsOn=after("db", "HEALTHY")))
    machine.advance()
    assert machine.started("db") == []
    assert machine.healthy("db") == [StartContainer("default")]


def test_a_stop_before_dependencies_are_met_never_starts_the_rest() -> None:
    machine = Machine(container("db"), container(dependsOn=after("db", "HEALTHY")))
    machine.advance()
    machine.started("db")
    assert machine.stopped() == [StopContainer("db")]
    assert machine.exited("db", 143) == [ReportStopped(BY_USER)]
    assert not machine.state.running_reported


def test_a_task_without_an_essential_container_ends_with_its_last() -> None:
    machine = Machine(container(essential=False))
    machine.advance()
    machine.started()
    assert machine.exited() == [ReportStopped(lifecycle.ESSENTIAL_EXITED)]


def test_an_adopted_container_is_not_started_again() -> None:
    machine = Machine(container("one"), container("two"))
    machine.adopted("one")
    assert machine.advance() == [StartContainer("two")]
    assert machine.started("two") == [ReportRunning()]
    assert machine.exited("one") == [StopContainer("two")]


def test_a_task_whose_end_was_journalled_waits_for_its_adopted_container_and_starts_no_other() -> (
    None
):
    machine = Machine(container("one"), container("two"))
    machine.adopted("one")
    machine.state = lifecycle.stop(machine.state, lifecycle.ESSENTIAL_EXITED)
    assert machine.advance() == [StopContainer("one")]
    assert machine.exited("one") == [ReportStopped(lifecycle.ESSENTIAL_EXITED)]
