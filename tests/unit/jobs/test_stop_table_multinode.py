"""CancelJob and TerminateJob, alone and in bulk, of a multi-node job in every status.

What each stop does is AWS's: "CancelJob" and "TerminateJob" in the API reference of AWS Batch.
"""

import pytest

from tests.support.arrays import after
from tests.support.multinode import (
    end_main,
    make_multinode_stage,
    node_statuses,
    running_multinode_job,
    start_main,
    submit_multinode_job,
    tasks_of,
)
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
    outcome,
    play_on,
    stop,
)
from tests.support.world import World


@pytest.fixture(name="staged")
def make_staged_world(quick: World) -> World:
    make_multinode_stage(quick)
    return quick


def multinode_job(job_id: str, *others: str) -> Scene:
    return Scene(target=job_id, jobs=(*others, job_id))


def a_runnable_multinode_job(world: World) -> Scene:
    return multinode_job(submit_multinode_job(world, **PATIENT))


def a_multinode_job_that_waits_for_its_second_attempt(world: World) -> Scene:
    job_id = running_multinode_job(world, **PATIENT)
    world.ecs.finish(tasks_of(world, job_id)["job"], 1)
    world.deliver_messages()
    return multinode_job(job_id)


def a_multinode_job_that_waits_for_another(world: World) -> Scene:
    first = running_multinode_job(world)
    return multinode_job(submit_multinode_job(world, dependsOn=after(first), **PATIENT), first)


def a_multinode_job_that_is_about_to_be_launched(world: World) -> Scene:
    job_id = submit_multinode_job(world, **PATIENT)
    world.deliver_stream()
    world.deliver_wakes()
    return multinode_job(job_id)


def a_multinode_job_whose_main_node_is_starting(world: World) -> Scene:
    job_id = submit_multinode_job(world, **PATIENT)
    world.run_until_idle()
    return multinode_job(job_id)


def a_multinode_job_whose_main_node_alone_has_a_task(world: World) -> Scene:
    job_id = submit_multinode_job(world, **PATIENT)
    world.run_until_idle()
    world.ecs.start(tasks_of(world, job_id)["job"])
    world.run_until_idle()
    return multinode_job(job_id)


def a_multinode_job_whose_other_nodes_are_starting(world: World) -> Scene:
    job_id = submit_multinode_job(world, **PATIENT)
    world.run_until_idle()
    start_main(world, job_id)
    assert len(tasks_of(world, job_id)) == 3
    return multinode_job(job_id)


def a_multinode_job_whose_nodes_all_run(world: World) -> Scene:
    return multinode_job(running_multinode_job(world, **PATIENT))


def a_multinode_job_in_its_second_attempt(world: World) -> Scene:
    job_id = running_multinode_job(world, **PATIENT)
    end_main(world, job_id, 1)
    assert world.job(job_id).attempt == 2
    return multinode_job(job_id)


def a_multinode_job_that_succeeded(world: World) -> Scene:
    job_id = running_multinode_job(world, **PATIENT)
    end_main(world, job_id)
    return multinode_job(job_id)


def a_multinode_job_that_failed(world: World) -> Scene:
    job_id = running_multinode_job(world, **PATIENT)
    end_main(world, job_id, FATAL)
    return multinode_job(job_id)


@each(a_runnable_multinode_job, a_multinode_job_that_waits_for_its_second_attempt)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_runnable_multinode_job_fails_at_once(
    staged: World, operation: str, make: MakeScene
) -> None:
    scene = make(staged)
    check_fails_at_once(staged, scene, operation)
    assert node_statuses(staged, scene.target) == ["FAILED"] * 3


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("exit_code", [0, 1])
def test_a_pending_multinode_job_fails_once_its_dependencies_are_done(
    staged: World, operation: str, exit_code: int
) -> None:
    scene = a_multinode_job_that_waits_for_another(staged)
    check_fails_after_its_dependencies(staged, scene, operation, exit_code)


PLACED = (
    a_multinode_job_that_is_about_to_be_launched,
    a_multinode_job_whose_main_node_is_starting,
    a_multinode_job_whose_main_node_alone_has_a_task,
    a_multinode_job_whose_other_nodes_are_starting,
    a_multinode_job_whose_nodes_all_run,
    a_multinode_job_in_its_second_attempt,
)


@each(*PLACED)
@pytest.mark.parametrize("operation", CANCELS)
def test_a_cancel_leaves_a_placed_multinode_job_running(
    staged: World, operation: str, make: MakeScene
) -> None:
    check_runs_on(staged, make(staged), operation)


@each(*PLACED)
@pytest.mark.parametrize("operation", TERMINATES)
@pytest.mark.parametrize("obeys", [True, False], ids=["obeys", "ends by itself"])
def test_a_terminate_ends_every_node_and_the_job_is_not_retried(
    staged: World, operation: str, make: MakeScene, obeys: bool
) -> None:
    scene = make(staged)
    check_is_terminated(staged, scene, operation, lambda fence: 1, obeys=obeys)
    assert node_statuses(staged, scene.target) == ["FAILED"] * 3


@each(a_multinode_job_that_succeeded, a_multinode_job_that_failed)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_multinode_job_that_has_ended_is_not_changed(
    staged: World, operation: str, make: MakeScene
) -> None:
    check_is_unchanged(staged, make(staged), operation)


@each(
    a_runnable_multinode_job,
    a_multinode_job_whose_main_node_is_starting,
    a_multinode_job_whose_nodes_all_run,
)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_stop_of_one_node_is_a_success_without_effect(
    staged: World, operation: str, make: MakeScene
) -> None:
    scene = make(staged)
    for index in range(3):
        stop(staged, operation, f"{scene.target}#{index}")
    play_on(staged, scene)
    assert outcome(staged, scene.target)[0] == "SUCCEEDED"


@pytest.mark.parametrize("operation", TERMINATES)
def test_a_running_multinode_job_is_terminated_over_dynamodb_as_in_memory(
    any_world: World, operation: str
) -> None:
    make_multinode_stage(any_world)
    scene = a_multinode_job_whose_nodes_all_run(any_world)
    stop(any_world, operation, scene.target)
    play_on(any_world, scene)
    assert outcome(any_world, scene.target) == ("FAILED", REASON, False, True)
