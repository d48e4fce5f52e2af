"""CancelJob and TerminateJob, alone and in bulk, of a single job and of a child in every status.

What each stop does is AWS's: "CancelJob" and "TerminateJob" in the API reference of AWS Batch.
"""

import pytest

from tests.support.arrays import after, array, step, summary
from tests.support.scenes import finish, make_stage, running, submit
from tests.support.stop_checks import (
    check_fails_after_its_dependencies,
    check_fails_at_once,
    check_is_terminated,
    check_is_unchanged,
    check_runs_on,
)
from tests.support.stops import (
    CANCELS,
    FATAL,
    OPERATIONS,
    PATIENT,
    REASON,
    TERMINATES,
    MakeScene,
    Scene,
    each,
    failing,
    outcome,
    play_on,
    stop,
)
from tests.support.world import World


@pytest.fixture(name="staged")
def make_staged_world(quick: World) -> World:
    make_stage(quick)
    return quick


def single(job_id: str, *others: str) -> Scene:
    return Scene(target=job_id, jobs=(*others, job_id))


def child(job_id: str, *others: str) -> Scene:
    """Return the second child of three."""
    return Scene(target=f"{job_id}:1", jobs=(*others, job_id))


# Without a task


def a_runnable_job(world: World) -> Scene:
    return single(submit(world, **PATIENT))


def a_job_that_waits_for_its_second_attempt(world: World) -> Scene:
    job_id = running(world, **PATIENT)
    world.ecs.finish(world.task_of(job_id), 1)
    world.deliver_messages()
    assert world.job(job_id).attempt == 2
    return single(job_id)


def a_job_whose_launch_was_refused(world: World) -> Scene:
    world.ecs.refusals = [{"arn": "x", "reason": "RESOURCE:CPU"}]
    job_id = submit(world, **PATIENT)
    world.run_until_idle()
    return single(job_id)


def a_job_behind_the_head_of_its_queue(world: World) -> Scene:
    heads = [submit(world) for _ in range(16)]
    world.run_until_idle()
    job_id = submit(world, **PATIENT)
    world.run_until_idle()
    return single(job_id, *heads)


def a_runnable_child_without_a_row(world: World) -> Scene:
    return child(array(world, 3, **PATIENT))


def a_child_that_waits_for_its_second_attempt(world: World) -> Scene:
    job_id = array(world, 3, **PATIENT)
    world.run_until_idle()
    step(world, job_id, 1)
    world.ecs.finish(world.task_of(f"{job_id}/c1"), 1)
    world.deliver_messages()
    return child(job_id)


def a_child_whose_launch_was_refused(world: World) -> Scene:
    world.ecs.refusals = [{"arn": "x", "reason": "RESOURCE:CPU"}] * 3
    job_id = array(world, 3, **PATIENT)
    world.run_until_idle()
    return child(job_id)


def a_child_that_its_own_dependency_released(world: World) -> Scene:
    first = array(world, 3)
    world.run_until_idle()
    second = array(world, 3, dependsOn=after(first, type="N_TO_N"), **PATIENT)
    world.run_until_idle()
    step(world, first, 1)
    world.ecs.finish(world.task_of(f"{first}/c1"), 0)
    world.deliver_messages()
    while world.detail(f"{second}:1")["status"] == "PENDING":
        assert world.deliver_stream()
    return child(second, first)


@each(
    a_runnable_job,
    a_job_that_waits_for_its_second_attempt,
    a_job_whose_launch_was_refused,
    a_job_behind_the_head_of_its_queue,
    a_runnable_child_without_a_row,
    a_child_that_waits_for_its_second_attempt,
    a_child_whose_launch_was_refused,
    a_child_that_its_own_dependency_released,
)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_is_runnable_fails_at_once(staged: World, operation: str, make: MakeScene) -> None:
    check_fails_at_once(staged, make(staged), operation)


# Waiting for dependencies


def a_job_that_waits_for_another(world: World) -> Scene:
    first = running(world)
    job_id = submit(world, dependsOn=after(first), **PATIENT)
    world.run_until_idle()
    return single(job_id, first)


def a_job_that_waits_for_an_array(world: World) -> Scene:
    first = array(world, 3)
    job_id = submit(world, dependsOn=after(first, type="AFTER_ANY"), **PATIENT)
    world.run_until_idle()
    return single(job_id, first)


def a_child_whose_array_waits(world: World) -> Scene:
    first = running(world)
    job_id = array(world, 3, dependsOn=after(first), **PATIENT)
    world.run_until_idle()
    return child(job_id, first)


def a_child_that_waits_for_its_like(world: World) -> Scene:
    first = array(world, 3)
    job_id = array(world, 3, dependsOn=after(first, type="N_TO_N"), **PATIENT)
    world.run_until_idle()
    return child(job_id, first)


def a_child_that_waits_for_the_one_before(world: World) -> Scene:
    job_id = array(world, 3, dependsOn=[{"type": "SEQUENTIAL"}], **PATIENT)
    world.run_until_idle()
    return child(job_id)


ALL_THAT_WAIT = (
    a_job_that_waits_for_another,
    a_job_that_waits_for_an_array,
    a_child_whose_array_waits,
    a_child_that_waits_for_its_like,
    a_child_that_waits_for_the_one_before,
)


@each(*ALL_THAT_WAIT)
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("exit_code", [0, FATAL])
def test_what_is_pending_fails_once_its_dependencies_are_done(
    staged: World, operation: str, make: MakeScene, exit_code: int
) -> None:
    check_fails_after_its_dependencies(staged, make(staged), operation, exit_code)


# With a task


def a_job_that_is_about_to_be_launched(world: World) -> Scene:
    job_id = submit(world, **PATIENT)
    world.deliver_stream()
    world.deliver_wakes()
    return single(job_id)


def a_job_whose_task_is_on_its_way(world: World) -> Scene:
    job_id = submit(world, **PATIENT)
    world.run_until_idle()
    return single(job_id)


def a_running_job(world: World) -> Scene:
    return single(running(world, **PATIENT))


def a_job_in_its_second_attempt(world: World) -> Scene:
    job_id = running(world, **PATIENT)
    finish(world, job_id, 1)
    return single(job_id)


def a_child_that_is_about_to_be_launched(world: World) -> Scene:
    job_id = array(world, 3, **PATIENT)
    world.deliver_stream()
    world.deliver_wakes()
    return child(job_id)


def a_child_whose_task_is_on_its_way(world: World) -> Scene:
    job_id = array(world, 3, **PATIENT)
    world.run_until_idle()
    return child(job_id)


def a_running_child(world: World) -> Scene:
    job_id = array(world, 3, **PATIENT)
    world.run_until_idle()
    step(world, job_id, 1)
    return child(job_id)


def a_running_child_of_a_sequence(world: World) -> Scene:
    job_id = array(world, 3, dependsOn=[{"type": "SEQUENTIAL"}], **PATIENT)
    world.run_until_idle()
    step(world, job_id, 0)
    step(world, job_id, 0)
    step(world, job_id, 1)
    return child(job_id)


ALL_PLACED = (
    a_job_that_is_about_to_be_launched,
    a_job_whose_task_is_on_its_way,
    a_running_job,
    a_job_in_its_second_attempt,
    a_child_that_is_about_to_be_launched,
    a_child_whose_task_is_on_its_way,
    a_running_child,
    a_running_child_of_a_sequence,
)


@each(*ALL_PLACED)
@pytest.mark.parametrize("operation", CANCELS)
def test_a_cancel_leaves_what_is_placed_to_its_course(
    staged: World, operation: str, make: MakeScene
) -> None:
    check_runs_on(staged, make(staged), operation)


@each(a_running_job, a_running_child)
@pytest.mark.parametrize("operation", CANCELS)
def test_what_was_cancelled_too_late_is_retried_as_ever(
    staged: World, operation: str, make: MakeScene
) -> None:
    scene = make(staged)
    stop(staged, operation, scene.target)
    play_on(staged, scene, failing(scene.target))
    assert outcome(staged, scene.target)[0] == "FAILED"
    assert len(staged.detail(scene.target)["attempts"]) == 5


@each(*ALL_PLACED)
@pytest.mark.parametrize("operation", TERMINATES)
@pytest.mark.parametrize("obeys", [True, False], ids=["obeys", "ends by itself"])
def test_a_terminate_ends_what_is_placed_and_it_is_not_retried(
    staged: World, operation: str, make: MakeScene, obeys: bool
) -> None:
    scene = make(staged)
    check_is_terminated(staged, scene, operation, failing(scene.target), obeys=obeys)


@each(a_running_job, a_running_child)
@pytest.mark.parametrize("exit_code", [0, 1])
def test_a_task_that_ends_by_itself_after_a_terminate_fails_its_job_for_the_callers_reason(
    staged: World, make: MakeScene, exit_code: int
) -> None:
    scene = make(staged)
    stop(staged, "TerminateJob", scene.target)
    for task in staged.ecs.live():
        if task.status == "RUNNING":
            staged.ecs.finish(task, exit_code)
    play_on(staged, scene)
    assert outcome(staged, scene.target) == ("FAILED", REASON, False, True)
    assert staged.detail(scene.target)["container"]["exitCode"] == exit_code


# Ended


def a_job_that_succeeded(world: World) -> Scene:
    job_id = running(world, **PATIENT)
    finish(world, job_id)
    return single(job_id)


def a_job_that_failed(world: World) -> Scene:
    job_id = running(world, **PATIENT)
    finish(world, job_id, FATAL)
    return single(job_id)


def a_job_whose_dependency_failed(world: World) -> Scene:
    first = running(world)
    job_id = submit(world, dependsOn=after(first), **PATIENT)
    finish(world, first, 1)
    return single(job_id, first)


def a_child_that_succeeded(world: World) -> Scene:
    job_id = array(world, 3, **PATIENT)
    world.run_until_idle()
    step(world, job_id, 1)
    step(world, job_id, 1)
    return child(job_id)


def a_child_that_failed(world: World) -> Scene:
    job_id = array(world, 3, **PATIENT)
    world.run_until_idle()
    step(world, job_id, 1)
    step(world, job_id, 1, FATAL)
    return child(job_id)


def a_child_that_failed_without_a_row(world: World) -> Scene:
    first = running(world)
    job_id = array(world, 3, dependsOn=after(first), **PATIENT)
    finish(world, first, 1)
    return child(job_id, first)


@each(
    a_job_that_succeeded,
    a_job_that_failed,
    a_job_whose_dependency_failed,
    a_child_that_succeeded,
    a_child_that_failed,
    a_child_that_failed_without_a_row,
)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_has_ended_stays_as_it_is(staged: World, operation: str, make: MakeScene) -> None:
    check_is_unchanged(staged, make(staged), operation)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_one_child_that_is_stopped_fails_alone(any_world: World, operation: str) -> None:
    make_stage(any_world)
    scene = a_runnable_child_without_a_row(any_world)
    stop(any_world, operation, scene.target)
    play_on(any_world, scene)
    assert summary(any_world, scene.jobs[0]) == {"SUCCEEDED": 2, "FAILED": 1}
