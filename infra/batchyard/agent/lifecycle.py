"""What a task does next: the states of its containers, and the decision.

Pure: `advance` gets a plan and a state, returns the next state and what must be done. It
knows no runtime and no clock. `supervisor` carries its actions out and feeds results back
through the `on_...` functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import assert_never

from .plan import Condition, ContainerPlan, Dependency, TaskPlan


class Phase(Enum):
    """The phase of a container."""

    PENDING = "PENDING"  # Waits for its dependencies.
    STARTING = "STARTING"  # The runtime was asked to start it.
    RUNNING = "RUNNING"
    STOPPED = "STOPPED"  # Ended, failed to start, or never to be started.


class StopCode(Enum):
    """ECS's codes for why a task ended, as far as an agent gives them."""

    ESSENTIAL_CONTAINER_EXITED = "EssentialContainerExited"
    TASK_FAILED_TO_START = "TaskFailedToStart"
    USER_INITIATED = "UserInitiated"
    SPOT_INTERRUPTION = "SpotInterruption"
    TERMINATION_NOTICE = "TerminationNotice"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopCause:
    """Why a task stops: a closed code and the sentence that becomes stoppedReason."""

    code: StopCode
    reason: str


ESSENTIAL_EXITED = StopCause(
    code=StopCode.ESSENTIAL_CONTAINER_EXITED, reason="Essential container in task exited"
)
FAILED_TO_START = StopCause(code=StopCode.TASK_FAILED_TO_START, reason="Task failed to start")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerState:
    """One container: `started` is whether it ever ran, `stopping` whether its stop was sent."""

    phase: Phase = Phase.PENDING
    started: bool = False
    stopping: bool = False
    healthy: bool = False
    runtime_id: str | None = None
    address: str | None = None
    exit_code: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskState:
    """One task. `cause` is set once: the first reason to stop is kept."""

    containers: Mapping[str, ContainerState]
    cause: StopCause | None = None
    running_reported: bool = False
    ended: bool = False


@dataclass(frozen=True, slots=True)
class StartContainer:
    """Ask the runtime to start it."""

    name: str


@dataclass(frozen=True, slots=True)
class StopContainer:
    """SIGTERM now, SIGKILL after its stop timeout."""

    name: str


@dataclass(frozen=True, slots=True)
class ReportRunning:
    """Every container has been started: send the RUNNING event."""


@dataclass(frozen=True, slots=True)
class ReportStopped:
    """Every container has ended: send the STOPPED event."""

    cause: StopCause


Action = StartContainer | StopContainer | ReportRunning | ReportStopped


def new_state(plan: TaskPlan) -> TaskState:
    """Return the state of a task of which nothing has been started."""
    return TaskState(containers={container.name: ContainerState() for container in plan.containers})


def on_started(
    state: TaskState, name: str, runtime_id: str, *, address: str | None = None
) -> TaskState:
    """Record that a container was started, unless its exit was recorded already."""
    current = state.containers[name]
    phase = Phase.RUNNING if current.phase is Phase.STARTING else current.phase
    running = replace(current, phase=phase, started=True, runtime_id=runtime_id, address=address)
    return _with(state, name, running)


def on_adopted(
    state: TaskState, name: str, runtime_id: str, *, address: str | None = None
) -> TaskState:
    """Record that a container was started by an earlier agent; its end, if it has come, follows."""
    adopted = ContainerState(
        phase=Phase.RUNNING, started=True, runtime_id=runtime_id, address=address
    )
    return _with(state, name, adopted)


def on_start_failed(plan: TaskPlan, state: TaskState, name: str, reason: str) -> TaskState:
    """Record that a container could not be started; if it is essential, the task stops."""
    state = _with(state, name, ContainerState(phase=Phase.STOPPED, reason=reason))
    return stop(state, FAILED_TO_START) if plan.container(name).essential else state


def on_exited(
    plan: TaskPlan,
    state: TaskState,
    name: str,
    *,
    runtime_id: str,
    exit_code: int,
    reason: str | None,
) -> TaskState:
    """Record that a container ended, by itself or because it was stopped."""
    ended = replace(
        state.containers[name],
        phase=Phase.STOPPED,
        started=True,
        runtime_id=runtime_id,
        exit_code=exit_code,
        reason=reason,
    )
    state = _with(state, name, ended)
    return stop(state, ESSENTIAL_EXITED) if plan.container(name).essential else state


def on_health(state: TaskState, name: str, healthy: bool) -> TaskState:
    """Record a change of a container's health."""
    return _with(state, name, replace(state.containers[name], healthy=healthy))


def stop(state: TaskState, cause: StopCause) -> TaskState:
    """Give the task a reason to stop, unless it has one."""
    return state if state.cause else replace(state, cause=cause)


def advance(plan: TaskPlan, state: TaskState) -> tuple[TaskState, tuple[Action, ...]]:
    """Return the next state and the actions; advancing twice gives no second action."""
    actions: list[Action] = []
    if state.cause is None:
        state = _start_ready(plan, state, actions)
    if state.cause is None and all(
        container.phase is Phase.STOPPED for container in state.containers.values()
    ):
        # Only a definition without an essential container comes here; ECS refuses those.
        state = stop(state, ESSENTIAL_EXITED)
    if state.cause is not None:
        state = _stop_rest(state, actions)
    if not state.running_reported and all(c.started for c in state.containers.values()):
        actions.append(ReportRunning())
        state = replace(state, running_reported=True)
    over = all(container.phase is Phase.STOPPED for container in state.containers.values())
    if state.cause is not None and over and not state.ended:
        actions.append(ReportStopped(state.cause))
        state = replace(state, ended=True)
    return state, tuple(actions)


def _start_ready(plan: TaskPlan, state: TaskState, actions: list[Action]) -> TaskState:
    for container in plan.containers:
        current = state.containers[container.name]
        if current.phase is not Phase.PENDING:
            continue
        impossible = _impossible_dependency(container, state)
        if impossible is not None:
            state = on_start_failed(
                plan,
                state,
                container.name,
                f"CannotStartContainerError: dependency on container {impossible.container} "
                f"cannot meet condition {impossible.condition.value}",
            )
            continue
        if all(_is_met(dependency, state) for dependency in container.depends_on):
            state = _with(state, container.name, replace(current, phase=Phase.STARTING))
            actions.append(StartContainer(container.name))
    return state


def _stop_rest(state: TaskState, actions: list[Action]) -> TaskState:
    for name, current in state.containers.items():
        if current.phase is Phase.PENDING:
            state = _with(state, name, replace(current, phase=Phase.STOPPED))
        elif current.phase is Phase.RUNNING and not current.stopping:
            # One still STARTING is stopped once its start is reported; it has no process yet.
            state = _with(state, name, replace(current, stopping=True))
            actions.append(StopContainer(name))
    return state


def _is_met(dependency: Dependency, state: TaskState) -> bool:
    other = state.containers.get(dependency.container)
    if other is None:
        return False
    match dependency.condition:
        case Condition.START:
            return other.started
        case Condition.COMPLETE:
            return other.started and other.phase is Phase.STOPPED
        case Condition.SUCCESS:
            return other.phase is Phase.STOPPED and other.exit_code == 0
        case Condition.HEALTHY:
            return other.healthy
        case _:
            assert_never(dependency.condition)


def _impossible_dependency(container: ContainerPlan, state: TaskState) -> Dependency | None:
    """Return the first condition that cannot be met any more, as its container has stopped."""
    for dependency in container.depends_on:
        other = state.containers.get(dependency.container)
        gone = other is None or other.phase is Phase.STOPPED
        if gone and not _is_met(dependency, state):
            return dependency
    return None


def _with(state: TaskState, name: str, container: ContainerState) -> TaskState:
    return replace(state, containers={**state.containers, name: container})
