"""CancelJob and TerminateJob, alone and in bulk, of an array in every state of its children.

What each stop does is AWS's: "CancelJob" and "TerminateJob" in the API reference of AWS Batch.
"""

import pytest

from tests.support.arrays import after, array, step, summary
from tests.support.scenes import finish, make_stage, running, submit
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
    flag_of,
    flags,
    outcome,
    play_on,
    stop,
)
from tests.support.world import World

SEQUENCE = [{"type": "SEQUENTIAL"}]


def parent(job_id: str, *others: str) -> Scene:
    return Scene(target=job_id, jobs=(*others, job_id))


# Nothing of it is placed


def an_array_without_any_row(world: World) -> Scene:
    make_stage(world)
    return parent(array(world, 3, **PATIENT))


def an_array_behind_the_head_of_its_queue(world: World) -> Scene:
    make_stage(world, max_vcpus=1)
    head = submit(world)
    world.run_until_idle()
    job_id = array(world, 3, **PATIENT)
    world.run_until_idle()
    return parent(job_id, head)


def an_array_whose_children_wait_for_another_attempt(world: World) -> Scene:
    make_stage(world, max_vcpus=1)
    job_id = array(world, 3, **PATIENT)
    world.run_until_idle()
    step(world, job_id, 0)
    world.ecs.finish(world.task_of(f"{job_id}/c0"), 1)
    world.deliver_messages()
    return parent(job_id)


def an_array_that_waits_for_its_like(world: World) -> Scene:
    make_stage(world)
    first = array(world, 3)
    world.run_until_idle()
    job_id = array(world, 3, dependsOn=after(first, type="N_TO_N"), **PATIENT)
    world.run_until_idle()
    return parent(job_id, first)


def a_sequence_that_is_about_to_begin(world: World) -> Scene:
    make_stage(world)
    job_id = array(world, 3, dependsOn=SEQUENCE, **PATIENT)
    world.deliver_stream()
    return parent(job_id)


UNPLACED = (
    an_array_without_any_row,
    an_array_behind_the_head_of_its_queue,
    an_array_whose_children_wait_for_another_attempt,
    an_array_that_waits_for_its_like,
    a_sequence_that_is_about_to_begin,
)


@each(*UNPLACED)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_array_of_which_nothing_is_placed_fails_whole(
    quick: World, operation: str, make: MakeScene
) -> None:
    scene = make(quick)
    tasks = {
        task.started_by for task in quick.ecs.tasks.values() if scene.target in task.started_by
    }
    stop(quick, operation, scene.target)
    assert flags(quick, scene.target) == flag_of(operation)
    again = CANCELS if operation in CANCELS else OPERATIONS
    for other in again:
        stop(quick, other, scene.target, "came second")

    quick.run_until_idle()
    ended = ("FAILED", REASON, *flag_of(operation))
    assert outcome(quick, scene.target) == ended
    play_on(quick, scene)
    assert outcome(quick, scene.target) == ended
    assert summary(quick, scene.target) == {"FAILED": 3}
    for number in range(3):
        assert outcome(quick, f"{scene.target}:{number}") == ended
    assert tasks == {
        task.started_by for task in quick.ecs.tasks.values() if scene.target in task.started_by
    }


# It waits as a whole


def an_array_that_waits_for_a_job(world: World) -> Scene:
    make_stage(world)
    first = running(world)
    job_id = array(world, 3, dependsOn=after(first), **PATIENT)
    world.run_until_idle()
    return parent(job_id, first)


def an_array_that_waits_for_a_job_whatever_comes_of_it(world: World) -> Scene:
    make_stage(world)
    first = running(world)
    job_id = array(world, 3, dependsOn=after(first, type="AFTER_ANY"), **PATIENT)
    world.run_until_idle()
    return parent(job_id, first)


def a_sequence_that_waits_for_a_job(world: World) -> Scene:
    make_stage(world)
    first = running(world)
    job_id = array(world, 3, dependsOn=[*after(first), *SEQUENCE], **PATIENT)
    world.run_until_idle()
    return parent(job_id, first)


def an_array_of_which_a_child_was_stopped_while_it_waits(world: World) -> Scene:
    scene = an_array_that_waits_for_a_job(world)
    stop(world, "CancelJob", f"{scene.target}:1", "not this one")
    world.run_until_idle()
    return scene


@each(
    an_array_that_waits_for_a_job,
    an_array_that_waits_for_a_job_whatever_comes_of_it,
    a_sequence_that_waits_for_a_job,
    an_array_of_which_a_child_was_stopped_while_it_waits,
)
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("exit_code", [0, 1])
def test_an_array_that_waits_fails_once_its_dependencies_are_done(
    quick: World, operation: str, make: MakeScene, exit_code: int
) -> None:
    scene = make(quick)
    stop(quick, operation, scene.target)
    stored = ("PENDING", None, *flag_of(operation))
    assert outcome(quick, scene.target) == stored
    for other in OPERATIONS:
        stop(quick, other, scene.target, "came second")
    quick.run_until_idle()
    assert outcome(quick, scene.target) == stored
    assert summary(quick, scene.target) == {"PENDING": 3}

    finish(quick, scene.jobs[0], exit_code)
    ended = ("FAILED", REASON, *flag_of(operation))
    assert outcome(quick, scene.target) == ended
    play_on(quick, scene)
    assert outcome(quick, scene.target) == ended
    assert summary(quick, scene.target) == {"FAILED": 3}
    for number in range(3):
        child = outcome(quick, f"{scene.target}:{number}")
        if number == 1 and make is an_array_of_which_a_child_was_stopped_while_it_waits:
            assert child == ("FAILED", "not this one", True, False)
        else:
            assert child == ended


# Some of it is placed


def an_array_in_mid_run(world: World) -> Scene:
    """Return an array of four children: one succeeded, one runs, one starts, and one waits."""
    make_stage(world, max_vcpus=2)
    job_id = array(world, 4, **PATIENT)
    world.run_until_idle()
    step(world, job_id, 0)
    step(world, job_id, 0)
    step(world, job_id, 1)
    expected = {"SUCCEEDED": 1, "RUNNING": 1, "STARTING": 1, "RUNNABLE": 1}
    assert summary(world, job_id) == expected
    return parent(job_id)


def an_array_whose_children_are_about_to_be_launched(world: World) -> Scene:
    make_stage(world, max_vcpus=3)
    job_id = array(world, 4, **PATIENT)
    world.deliver_stream()
    world.deliver_wakes()
    assert summary(world, job_id) == {"STARTING": 3, "RUNNABLE": 1}
    return parent(job_id)


def a_sequence_whose_second_child_runs(world: World) -> Scene:
    make_stage(world)
    job_id = array(world, 4, dependsOn=SEQUENCE, **PATIENT)
    world.run_until_idle()
    for number in (0, 0, 1):
        step(world, job_id, number)
    assert summary(world, job_id) == {"SUCCEEDED": 1, "RUNNING": 1, "PENDING": 2}
    return parent(job_id)


def an_array_half_released_by_its_like(world: World) -> Scene:
    make_stage(world)
    first = array(world, 4)
    world.run_until_idle()
    job_id = array(world, 4, dependsOn=after(first, type="N_TO_N"), **PATIENT)
    world.run_until_idle()
    for number in (1, 3):
        step(world, first, number)
        step(world, first, number)
    step(world, job_id, 3)
    assert summary(world, job_id) == {"PENDING": 2, "STARTING": 1, "RUNNING": 1}
    return parent(job_id, first)


IN_MID_RUN = (
    an_array_in_mid_run,
    an_array_whose_children_are_about_to_be_launched,
    a_sequence_whose_second_child_runs,
    an_array_half_released_by_its_like,
)


@each(*IN_MID_RUN)
@pytest.mark.parametrize("operation", CANCELS)
@pytest.mark.parametrize("exit_code", [0, 1])
def test_a_cancelled_array_ends_with_the_children_that_are_placed_and_none_is_retried(
    quick: World, operation: str, make: MakeScene, exit_code: int
) -> None:
    scene = make(quick)
    before = summary(quick, scene.target)
    placed = before.get("STARTING", 0) + before.get("RUNNING", 0)
    succeeded = before.get("SUCCEEDED", 0) + (0 if exit_code else placed)
    stop(quick, operation, scene.target)
    assert outcome(quick, scene.target) == ("PENDING", None, True, False)
    for other in CANCELS:
        stop(quick, other, scene.target, "came second")
    quick.run_until_idle()
    now = summary(quick, scene.target)
    assert now == {
        status: number
        for status, number in {
            **before,
            "RUNNABLE": 0,
            "PENDING": 0,
            "FAILED": before.get("RUNNABLE", 0) + before.get("PENDING", 0),
        }.items()
        if number
    }

    play_on(quick, scene, lambda fence: exit_code if fence.job_id == scene.target else 0)
    assert outcome(quick, scene.target) == ("FAILED", REASON, True, False)
    expected = {"SUCCEEDED": succeeded, "FAILED": 4 - succeeded}
    assert summary(quick, scene.target) == {k: n for k, n in expected.items() if n}
    for number in range(4):
        child = quick.detail(f"{scene.target}:{number}")
        assert len(child["attempts"]) <= 1
        if child["status"] == "FAILED":
            assert child["statusReason"] == REASON


@each(*IN_MID_RUN)
@pytest.mark.parametrize("operation", TERMINATES)
@pytest.mark.parametrize("obeys", [True, False], ids=["obeys", "ends by itself"])
def test_a_terminated_array_ends_with_all_its_tasks(
    quick: World, operation: str, make: MakeScene, obeys: bool
) -> None:
    scene = make(quick)
    succeeded = summary(quick, scene.target).get("SUCCEEDED", 0)
    quick.ecs.obeys_stops = obeys
    stop(quick, operation, scene.target)
    assert outcome(quick, scene.target) == ("PENDING", None, False, True)
    for other in OPERATIONS:
        stop(quick, other, scene.target, "came second")

    play_on(quick, scene)
    assert outcome(quick, scene.target) == ("FAILED", REASON, False, True)
    expected = {"SUCCEEDED": succeeded, "FAILED": 4 - succeeded}
    assert summary(quick, scene.target) == {k: n for k, n in expected.items() if n}
    for number in range(4):
        child = quick.detail(f"{scene.target}:{number}")
        assert len(child["attempts"]) <= 1
        if child["status"] == "FAILED":
            assert outcome(quick, f"{scene.target}:{number}") == ("FAILED", REASON, False, True)


def an_array_all_of_which_runs(world: World) -> Scene:
    make_stage(world)
    job_id = array(world, 3, **PATIENT)
    world.run_until_idle()
    for number in range(3):
        step(world, job_id, number)
    return parent(job_id)


@pytest.mark.parametrize("operation", CANCELS)
def test_an_array_cancelled_too_late_for_any_child_succeeds(quick: World, operation: str) -> None:
    scene = an_array_all_of_which_runs(quick)
    stop(quick, operation, scene.target)
    assert outcome(quick, scene.target) == ("PENDING", None, True, False)
    play_on(quick, scene)
    assert quick.detail(scene.target)["status"] == "SUCCEEDED"
    assert summary(quick, scene.target) == {"SUCCEEDED": 3}


# Ended


def an_array_that_succeeded(world: World) -> Scene:
    scene = an_array_all_of_which_runs(world)
    for number in range(3):
        step(world, scene.target, number)
    return scene


def an_array_that_failed(world: World) -> Scene:
    scene = an_array_all_of_which_runs(world)
    for number in range(3):
        step(world, scene.target, number, FATAL if number == 1 else 0)
    return scene


def an_array_whose_dependency_failed(world: World) -> Scene:
    scene = an_array_that_waits_for_a_job(world)
    finish(world, scene.jobs[0], 1)
    return scene


@each(an_array_that_succeeded, an_array_that_failed, an_array_whose_dependency_failed)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_array_that_has_ended_stays_as_it_is(
    quick: World, operation: str, make: MakeScene
) -> None:
    scene = make(quick)
    before, reported = quick.job(scene.target), outcome(quick, scene.target)
    assert before.is_terminal
    stop(quick, operation, scene.target)
    play_on(quick, scene)
    assert quick.job(scene.target) == before
    assert outcome(quick, scene.target) == reported


def test_an_array_whose_children_have_ended_may_be_stopped_just_before_it_ends(
    quick: World,
) -> None:
    """All children have ended, and the parent does not know it yet: nothing is left to stop."""
    scene = an_array_all_of_which_runs(quick)
    for number in range(3):
        quick.ecs.finish(quick.task_of(f"{scene.target}/c{number}"), 0)
    quick.deliver_messages()
    assert summary(quick, scene.target) == {"SUCCEEDED": 3}
    assert quick.detail(scene.target)["status"] == "PENDING"
    stop(quick, "TerminateJob", scene.target)
    play_on(quick, scene)
    assert quick.detail(scene.target)["status"] == "SUCCEEDED"


@pytest.mark.parametrize("operation", ["CancelJobs", "TerminateJobs"])
def test_an_array_in_mid_run_is_stopped_in_bulk_with_its_children_named_beside_it(
    any_world: World, operation: str
) -> None:
    scene = an_array_in_mid_run(any_world)
    ids = [scene.target, *(f"{scene.target}:{number}" for number in range(4))]
    answered = any_world.api(operation, {"jobs": ids, "reason": REASON})
    assert answered == {"successful": ids, "errors": []}
    play_on(any_world, scene)
    assert outcome(any_world, scene.target)[:2] == ("FAILED", REASON)
    succeeded = 1 if operation in TERMINATES else 3
    assert summary(any_world, scene.target) == {"SUCCEEDED": succeeded, "FAILED": 4 - succeeded}
