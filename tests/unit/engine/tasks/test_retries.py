"""Failed attempts, and whether another follows."""

from typing import Any

import pytest

from tests.support.scenes import finish, make_stage, running, submit
from tests.support.world import World


def test_a_failed_attempt_is_followed_by_another_at_the_front_of_the_queue(world: World) -> None:
    make_stage(world, max_vcpus=1)
    first = running(world, "first", retryStrategy={"attempts": 2})
    second = submit(world, "second")
    world.run_until_idle()

    finish(world, first, 3)

    assert world.detail(first)["status"] == "STARTING"
    assert world.detail(second)["status"] == "RUNNABLE"
    world.ecs.start(world.task_of(first))
    world.run_until_idle()
    assert world.task_of(first).environment["AWS_BATCH_JOB_ATTEMPT"] == "2"
    finish(world, first)

    detail = world.detail(first)
    assert detail["status"] == "SUCCEEDED"
    assert [one["container"]["exitCode"] for one in detail["attempts"]] == [3, 0]
    arns = [one["container"]["taskArn"] for one in detail["attempts"]]
    assert len(set(arns)) == 2
    world.ecs.start(world.task_of(second))
    finish(world, second)


def test_a_job_fails_when_its_attempts_are_used_up(world: World) -> None:
    make_stage(world)
    job_id = submit(world, retryStrategy={"attempts": 3})
    world.run_until_idle()
    for exit_code in (1, 2, 3):
        world.ecs.start(world.task_of(job_id))
        finish(world, job_id, exit_code)

    detail = world.detail(job_id)
    assert detail["status"] == "FAILED"
    assert [one["container"]["exitCode"] for one in detail["attempts"]] == [1, 2, 3]
    assert detail["container"]["exitCode"] == 3
    assert world.capacity("fargate").tasks == 0


@pytest.mark.parametrize(
    ("rules", "exit_code", "attempts"),
    [
        pytest.param([{"onExitCode": "7", "action": "EXIT"}], 7, 1, id="a rule ends the job"),
        pytest.param([{"onExitCode": "7", "action": "EXIT"}], 8, 3, id="no match is a retry"),
        pytest.param(
            [{"onExitCode": "1*", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}],
            13,
            3,
            id="the first match wins",
        ),
        pytest.param(
            [{"onStatusReason": "Essential*", "action": "exit"}], 1, 1, id="by the status reason"
        ),
    ],
)
def test_evaluate_on_exit_decides_what_follows_a_failure(
    world: World, rules: list[Any], exit_code: int, attempts: int
) -> None:
    make_stage(world)
    job_id = submit(world, retryStrategy={"attempts": 3, "evaluateOnExit": rules})
    world.run_until_idle()
    while world.detail(job_id)["status"] != "FAILED":
        world.ecs.start(world.task_of(job_id))
        finish(world, job_id, exit_code)

    assert len(world.detail(job_id)["attempts"]) == attempts


def test_a_retry_that_failed_to_start_counts_as_an_attempt(world: World) -> None:
    make_stage(world)
    job_id = submit(world, retryStrategy={"attempts": 2})
    world.run_until_idle()
    world.ecs.fail_to_start(world.task_of(job_id), "CannotPullContainerError")
    world.run_until_idle()
    world.ecs.start(world.task_of(job_id))
    finish(world, job_id)

    first, second = world.detail(job_id)["attempts"]
    assert first["container"]["reason"] == "CannotPullContainerError"
    assert second["container"]["exitCode"] == 0
