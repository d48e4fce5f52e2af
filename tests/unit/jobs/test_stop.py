"""CancelJob and TerminateJob, in each status of a job."""

from collections.abc import Callable

import pytest

from tests.support.scenes import finish, make_stage, needing, running, submit, sweep
from tests.support.world import World


def cancel(world: World, job_id: str, reason: str = "not wanted") -> None:
    world.api("CancelJob", {"jobId": job_id, "reason": reason})


def terminate(world: World, job_id: str, reason: str = "not wanted") -> None:
    world.api("TerminateJob", {"jobId": job_id, "reason": reason})


@pytest.mark.parametrize("stop", [cancel, terminate])
def test_a_runnable_job_fails_at_once_and_leaves_its_lane(world: World, stop: object) -> None:
    make_stage(world)
    job_id = submit(world)

    assert callable(stop)
    stop(world, job_id)

    detail = world.detail(job_id)
    assert (detail["status"], detail["statusReason"]) == ("FAILED", "not wanted")
    assert (detail["isCancelled"], detail["isTerminated"]) == (stop is cancel, stop is terminate)
    assert detail["attempts"] == []
    assert not world.ports.lanes.has_work("queue")
    world.run_until_idle()
    assert world.ecs.tasks == {}
    assert world.events.statuses_of(job_id)[-1] == "FAILED"


def test_cancel_leaves_a_starting_and_a_running_job_as_it_is(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    world.run_until_idle()
    cancel(world, job_id)
    world.run_until_idle()
    assert world.detail(job_id)["status"] == "STARTING"

    world.ecs.start(world.task_of(job_id))
    world.run_until_idle()
    cancel(world, job_id)
    world.run_until_idle()
    assert world.detail(job_id)["status"] == "RUNNING"
    finish(world, job_id)
    assert world.detail(job_id)["isCancelled"] is False


def test_terminate_stops_a_running_task_and_keeps_the_exit_code(world: World) -> None:
    make_stage(world)
    job_id = running(world, retryStrategy={"attempts": 3})

    terminate(world, job_id)
    world.run_until_idle()

    detail = world.detail(job_id)
    assert (detail["status"], detail["statusReason"]) == ("FAILED", "not wanted")
    assert detail["isTerminated"] is True
    assert detail["container"]["exitCode"] == 143
    assert len(detail["attempts"]) == 1, "a terminated job is not retried"
    assert world.capacity("fargate").tasks == 0


def test_the_reason_of_the_first_terminate_is_kept(world: World) -> None:
    make_stage(world)
    world.ecs.obeys_stops = False
    job_id = running(world)
    terminate(world, job_id, "first")
    terminate(world, job_id, "second")
    world.run_until_idle()
    world.ecs.end_stopping(world.task_of(job_id))
    world.run_until_idle()
    assert world.detail(job_id)["statusReason"] == "first"


def test_terminate_stops_a_task_that_is_on_its_way(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    world.run_until_idle()
    assert world.detail(job_id)["status"] == "STARTING"

    terminate(world, job_id)
    world.run_until_idle()

    assert world.ecs.live() == []
    detail = world.detail(job_id)
    assert (detail["status"], detail["statusReason"]) == ("FAILED", "not wanted")


def test_a_task_that_was_not_known_yet_when_its_job_was_terminated_is_stopped_when_it_runs(
    world: World,
) -> None:
    make_stage(world)
    job_id = submit(world)
    world.deliver_stream()
    world.deliver_wakes()
    world.deliver_stream()
    (launch,) = world.machines.running
    terminate(world, job_id)
    world.deliver_stream()
    assert world.ecs.tasks == {}

    world.machines.resume(launch)
    world.ecs.start(world.task_of(job_id))
    world.run_until_idle()

    assert world.ecs.live() == []
    detail = world.detail(job_id)
    assert (detail["status"], detail["statusReason"]) == ("FAILED", "not wanted")


def test_a_job_terminated_while_its_launch_came_to_nothing_ends(world: World) -> None:
    make_stage(world)
    world.ecs.refusals = [{"arn": "x", "reason": "RESOURCE:CPU"}]
    job_id = submit(world)
    world.deliver_stream()
    world.deliver_wakes()
    world.deliver_stream()
    terminate(world, job_id)

    world.run_until_idle()

    detail = world.detail(job_id)
    assert (detail["status"], detail["statusReason"]) == ("FAILED", "not wanted")
    assert world.capacity("fargate").tasks == 0


def test_a_container_that_ends_by_itself_beside_a_terminate_fails_the_job(world: World) -> None:
    make_stage(world)
    world.ecs.obeys_stops = False
    job_id = running(world)
    terminate(world, job_id)
    world.run_until_idle()

    finish(world, job_id, 0)

    detail = world.detail(job_id)
    assert detail["status"] == "FAILED"
    assert detail["container"]["exitCode"] == 0


def test_the_sweeper_stops_again_what_did_not_stop(world: World) -> None:
    make_stage(world)
    world.ecs.obeys_stops = False
    job_id = running(world)
    terminate(world, job_id)
    # The record of the stop is lost, as it is when every delivery of it has failed.
    world.jobs_stream.draw()
    world.jobs_stream.records.clear()
    assert world.task_of(job_id).desired == "RUNNING"

    world.ecs.obeys_stops = True
    sweep(world)

    assert world.detail(job_id)["status"] == "FAILED"
    assert world.ecs.live() == []


def test_a_stop_of_an_ended_job_changes_nothing(world: World) -> None:
    make_stage(world)
    job_id = running(world)
    finish(world, job_id)
    before = world.job(job_id)
    cancel(world, job_id)
    terminate(world, job_id)
    assert world.job(job_id) == before


def test_stopping_the_head_that_blocks_a_queue_lets_the_next_job_go_at_once(world: World) -> None:
    make_stage(world, max_vcpus=1)
    head = submit(world, "too-big", containerOverrides=needing(2))
    behind = submit(world, "fits")
    world.run_until_idle()
    assert world.detail(behind)["status"] == "RUNNABLE"

    cancel(world, head)
    world.run_until_idle()

    assert world.detail(behind)["status"] == "STARTING"
    world.ecs.start(world.task_of(behind))
    finish(world, behind)


def before_the_next(world: World, call: str, act: Callable[[], object]) -> None:
    """Have `act` done by another process just before the next call of this name."""

    def watch(made: str) -> None:
        if made == call:
            world.on_call = None
            act()

    world.on_call = watch


def test_a_terminate_that_meets_the_end_of_the_job_finds_it_ended(world: World) -> None:
    make_stage(world)
    job_id = running(world)
    world.ecs.finish(world.task_of(job_id))
    before_the_next(world, "dynamodb.UpdateItem", world.deliver_messages)

    terminate(world, job_id)
    world.run_until_idle()

    detail = world.detail(job_id)
    assert (detail["status"], detail["isTerminated"]) == ("SUCCEEDED", False)
    assert world.capacity("fargate").tasks == 0


def test_a_cancel_that_meets_the_dispatch_of_the_job_comes_too_late(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    world.deliver_stream()
    before_the_next(world, "dynamodb.TransactWriteItems", world.deliver_wakes)

    cancel(world, job_id)
    world.run_until_idle()

    assert world.detail(job_id)["status"] == "STARTING"
    world.ecs.start(world.task_of(job_id))
    finish(world, job_id)


def test_a_dispatch_that_meets_the_cancel_of_the_job_places_nothing(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    world.deliver_stream()
    before_the_next(world, "dynamodb.TransactWriteItems", lambda: cancel(world, job_id))

    world.deliver_wakes()
    world.run_until_idle()

    assert world.detail(job_id)["status"] == "FAILED"
    assert world.capacity("fargate").tasks == 0
    assert world.ecs.tasks == {}


def test_two_terminates_at_once_keep_the_reason_of_the_one_that_was_written(world: World) -> None:
    make_stage(world)
    world.ecs.obeys_stops = False
    job_id = running(world)
    before_the_next(world, "dynamodb.UpdateItem", lambda: terminate(world, job_id, "written first"))

    terminate(world, job_id, "came second")
    world.run_until_idle()
    world.ecs.end_stopping(world.task_of(job_id))
    world.run_until_idle()

    assert world.detail(job_id)["statusReason"] == "written first"
