"""The actions that must follow after a job's row has changed."""

from dataclasses import replace

import pytest

from chalicelib.core.capacity import CapacityChange, capacity_change_of
from chalicelib.core.consequences import effects_of, effects_of_row
from chalicelib.core.effects import (
    CapacityFound,
    CapacityFreed,
    CheckDependencies,
    Effect,
    Forget,
    Launch,
    LaunchNode,
    NotifyDependents,
    Publish,
    ReconcileChildren,
    StopNodes,
    StopTask,
    Wake,
    WatchDeadline,
)
from chalicelib.core.events import EventKind
from chalicelib.core.job import ArrayState, Job, NodeState, StopCause
from chalicelib.core.launch_failures import LaunchFailure
from chalicelib.core.lifecycle import decide
from chalicelib.core.states import JobStatus
from tests.support.values import JOB_ID, NOW_MS, a_job, an_event

S, E = JobStatus, EventKind


def after(job: Job, kind: EventKind, **members: object) -> Job:
    """Return the job after an event, which must have changed it."""
    fenced = kind.name.startswith(("TASK", "LAUNCH", "DEADLINE"))
    new = decide(job, an_event(kind, of=job if fenced else None, **members)).job
    assert new is not job
    return new


def kinds(effects: tuple[Effect, ...]) -> list[type]:
    return [type(effect) for effect in effects]


def published(effects: tuple[Effect, ...]) -> list[JobStatus]:
    return [effect.job.status for effect in effects if isinstance(effect, Publish)]


def test_a_new_runnable_job_is_published_and_wakes_its_queue() -> None:
    job = a_job()
    assert effects_of(None, job) == (Publish(job=job), Wake(queue="queue"))


def test_a_new_pending_job_is_published_only() -> None:
    assert kinds(effects_of(None, a_job(S.PENDING))) == [Publish]


def test_a_placed_job_is_launched() -> None:
    old = a_job()
    new = after(old, E.DISPATCHED, environment="fargate")
    assert effects_of(old, new) == (Publish(job=new), Launch(job=new))


def test_a_running_job_with_a_timeout_is_watched() -> None:
    old = a_job(S.STARTING, timeout_seconds=60)
    new = after(old, E.TASK_RUNNING)
    assert effects_of(old, new) == (Publish(job=new), WatchDeadline(job=new))
    assert kinds(effects_of(old, replace(new, timeout_seconds=None))) == [Publish]


def test_an_end_frees_its_environment() -> None:
    old = a_job(S.RUNNING)
    new = after(old, E.TASK_STOPPED, exit_code=0, reason="exited")
    assert effects_of(old, new) == (
        Publish(job=new),
        NotifyDependents(job=new),
        CapacityFreed(environment="fargate", queue=old.queue),
    )


def test_a_job_that_is_stopped_in_its_lane_may_have_kept_others_waiting() -> None:
    old = a_job()
    new = after(old, E.CANCEL, reason="enough")
    assert effects_of(old, new) == (
        Publish(job=new),
        NotifyDependents(job=new),
        Wake(queue="queue"),
    )


def test_an_end_of_a_job_that_was_not_placed_frees_nothing() -> None:
    old = a_job(S.PENDING)
    assert kinds(effects_of(old, after(old, E.DEPENDENCY_FAILED))) == [Publish, NotifyDependents]


def test_a_retry_wakes_its_queue_at_once_and_frees_its_environment() -> None:
    old = a_job(S.RUNNING, attempts_limit=2)
    new = after(old, E.TASK_STOPPED, exit_code=1, reason="exited")
    assert effects_of(old, new) == (
        Publish(job=new),
        Wake(queue="queue"),
        CapacityFreed(environment="fargate", queue=old.queue),
    )


@pytest.mark.parametrize("failure", [LaunchFailure.CAPACITY, LaunchFailure.RATE])
def test_a_launch_that_was_given_back_lets_others_have_its_environment(
    failure: LaunchFailure,
) -> None:
    old = a_job(S.STARTING)
    new = after(old, E.LAUNCH_REFUSED, reason="RESOURCE:CPU", failure=failure)
    assert effects_of(old, new) == (
        Publish(job=new),
        Wake(queue="queue"),
        CapacityFreed(environment="fargate", queue="queue"),
    )


def test_a_probe_that_runs_ends_the_cooling_of_its_environment() -> None:
    found = CapacityFound(environment="fargate", queue="queue", launched_at_ms=NOW_MS)
    probe = a_job(S.STARTING, probe=True)
    running = after(probe, E.TASK_RUNNING)
    assert effects_of(probe, running) == (Publish(job=running), found)
    assert not running.probe
    assert effects_of(a_job(S.STARTING), after(a_job(S.STARTING), E.TASK_RUNNING)) == (
        Publish(job=after(a_job(S.STARTING), E.TASK_RUNNING)),
    )


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_probe_whose_start_and_end_are_reported_together_ends_it_too(attempts: int) -> None:
    probe = a_job(S.STARTING, probe=True, attempts_limit=attempts)
    ended = after(probe, E.TASK_STOPPED, exit_code=1, started_at_ms=NOW_MS + 5, reason="exited")
    assert CapacityFound in kinds(effects_of(probe, ended))
    unstarted = after(probe, E.TASK_STOPPED, reason="no image")
    assert CapacityFound not in kinds(effects_of(probe, unstarted))


def test_a_stop_of_a_placed_job_stops_its_task_once() -> None:
    old = a_job(S.RUNNING)
    new = after(old, E.TERMINATE, reason="enough")
    assert effects_of(old, new) == (StopTask(job=new),)
    assert effects_of(new, new.next_version(status_reason="x")) == ()


def test_a_task_that_starts_in_spite_of_a_stop_is_stopped() -> None:
    old = a_job(S.STARTING, stop_cause=StopCause.TERMINATE, stop_reason="enough")
    new = after(old, E.TASK_RUNNING)
    assert kinds(effects_of(old, new)) == [Publish, StopTask]


def test_start_and_end_in_one_write_are_published_both() -> None:
    old = a_job(S.STARTING)
    started = an_event(E.TASK_STOPPED, of=old, exit_code=0, started_at_ms=NOW_MS + 5, reason="x")
    effects = effects_of(old, decide(old, started).job)
    assert published(effects) == [S.RUNNING, S.SUCCEEDED]
    running = effects[0]
    assert isinstance(running, Publish)
    assert (running.job.started_at_ms, running.job.stopped_at_ms) == (NOW_MS + 5, None)


def test_start_and_end_of_an_attempt_that_is_retried_are_published_both() -> None:
    old = a_job(S.STARTING, attempts_limit=2)
    ended = an_event(E.TASK_STOPPED, of=old, exit_code=1, started_at_ms=NOW_MS + 5, reason="x")
    effects = effects_of(old, decide(old, ended).job)
    assert published(effects) == [S.RUNNING, S.RUNNABLE]


def test_a_task_that_never_started_was_never_running() -> None:
    old = a_job(S.STARTING)
    assert published(effects_of(old, after(old, E.TASK_STOPPED, reason="no image"))) == [S.FAILED]


def test_an_image_that_is_no_newer_has_no_effect() -> None:
    assert effects_of(a_job(version=3), a_job(S.STARTING, version=3)) == ()
    assert effects_of(a_job(version=3), a_job(S.STARTING, version=2)) == ()


def test_an_expired_root_is_forgotten_and_a_child_is_not() -> None:
    assert effects_of(a_job(S.FAILED), None) == (Forget(job_id=JOB_ID),)
    assert effects_of(a_job(S.FAILED, part="child#00000001"), None) == ()
    assert effects_of(None, None) == ()


@pytest.mark.parametrize(
    ("old", "new", "figures"),
    [
        (S.RUNNABLE, S.STARTING, (1024, 1, 1)),
        (S.STARTING, S.RUNNING, (0, 0, -1)),
        (S.STARTING, S.RUNNABLE, (-1024, -1, -1)),
        (S.STARTING, S.FAILED, (-1024, -1, -1)),
        (S.RUNNING, S.SUCCEEDED, (-1024, -1, 0)),
        (S.RUNNING, S.RUNNABLE, (-1024, -1, 0)),
    ],
)
def test_capacity_moves_with_the_status(
    old: JobStatus, new: JobStatus, figures: tuple[int, int, int]
) -> None:
    change = capacity_change_of(a_job(old), a_job(new))
    cpu_units, tasks, starting = figures
    assert change == CapacityChange(
        environment="fargate", cpu_units=cpu_units, tasks=tasks, starting=starting
    )


@pytest.mark.parametrize("status", [S.PENDING, S.RUNNABLE, S.FAILED])
def test_a_job_that_holds_nothing_moves_no_capacity(status: JobStatus) -> None:
    assert capacity_change_of(None, a_job(status)) is None
    assert capacity_change_of(a_job(S.RUNNING), a_job(S.RUNNING)) is None


def test_changes_of_one_environment_add_up_to_nothing_if_they_cancel() -> None:
    taken = capacity_change_of(a_job(), a_job(S.STARTING))
    freed = capacity_change_of(a_job(S.STARTING), a_job())
    assert taken is not None
    assert freed is not None
    assert taken.moves_anything
    assert not taken.plus(freed).moves_anything


NODES = NodeState(count=3, main=0)


def stopped_nodes(old: Job, new: Job) -> list[Job]:
    return [effect.job for effect in effects_of(old, new) if isinstance(effect, StopNodes)]


@pytest.mark.parametrize("exit_code", [0, 1])
def test_the_main_node_s_end_stops_the_others(exit_code: int) -> None:
    running = a_job(S.RUNNING, nodes=NODES)
    assert stopped_nodes(running, after(running, E.TASK_STOPPED, exit_code=exit_code)) == [running]
    plain = a_job(S.RUNNING)
    assert stopped_nodes(plain, after(plain, E.TASK_STOPPED, exit_code=exit_code)) == []


def test_a_retry_stops_the_nodes_of_the_attempt_before() -> None:
    running = a_job(S.RUNNING, nodes=NODES, attempts_limit=2)
    again = after(running, E.TASK_STOPPED, exit_code=1)
    assert again.status is S.RUNNABLE
    assert stopped_nodes(running, again) == [running]
    assert stopped_nodes(again, after(again, E.DISPATCHED, environment="metal")) == []


def test_a_stop_reaches_the_nodes_once() -> None:
    running = a_job(S.RUNNING, nodes=NODES)
    stopping = after(running, E.TERMINATE, reason="enough")
    assert stopped_nodes(running, stopping) == [stopping]
    assert stopped_nodes(stopping, stopping.next_version()) == []


def test_a_row_of_a_node_asks_for_a_launch_or_for_nothing() -> None:
    asking = a_job(S.STARTING, part="node#0001", environment=None)
    assert effects_of(None, asking) == (LaunchNode(node=asking),)
    assert effects_of(asking, asking) == ()
    for quiet in (
        a_job(S.STARTING, part="node#0001", status_reason="RESOURCE:CPU"),
        a_job(S.RUNNING, part="node#0001"),
        a_job(S.FAILED, part="node#0001"),
    ):
        assert effects_of(None, quiet) == ()
    assert effects_of(asking, None) == ()


# What follows from a row as it is, for a replay of what was lost


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (a_job(JobStatus.RUNNABLE), [Publish, Wake]),
        (a_job(JobStatus.RUNNABLE, dispatch_count=1), [Publish, Wake]),
        (a_job(JobStatus.PENDING, waiting_on=(0,)), [Publish, CheckDependencies]),
        (a_job(JobStatus.STARTING), [Publish, Launch]),
        (a_job(JobStatus.RUNNING, timeout_seconds=60), [Publish, WatchDeadline]),
        (a_job(JobStatus.RUNNING, stop_cause=StopCause.CANCEL), [Publish, StopTask]),
        (a_job(JobStatus.SUCCEEDED), [Publish, NotifyDependents, Wake]),
        (a_job(JobStatus.FAILED, environment=None), [Publish, NotifyDependents]),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Job) else "",
)
def test_what_a_row_asks_for_needs_no_record_of_its_change(row: Job, expected: list[type]) -> None:
    assert kinds(effects_of_row(replace(row, version=7))) == expected


def test_the_children_of_an_array_follow_its_row() -> None:
    array = ArrayState(size=3, cursor=2, counts=((JobStatus.RUNNING, 2),), closed_at_ms=1)
    assert kinds(effects_of_row(a_job(JobStatus.PENDING, array=array)))[-1] is ReconcileChildren


def test_the_nodes_of_a_job_that_has_ended_are_stopped_from_its_row() -> None:
    ended = a_job(JobStatus.FAILED, nodes=NodeState(count=2, main=0))
    assert StopNodes in kinds(effects_of_row(ended))
    assert StopNodes not in kinds(effects_of_row(replace(ended, status=JobStatus.RUNNING)))
