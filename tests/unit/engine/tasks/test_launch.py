"""Launches: refused and given back, failed for good, lost, and made twice."""

from tests.support.clients import client_error
from tests.support.scenes import cluster_of, finish, make_definition, make_stage, submit, sweep
from tests.support.world import World
from tests.support.world import world as make_world


def test_a_launch_without_ecs_capacity_is_given_back_and_placed_again(world: World) -> None:
    make_stage(world)
    world.ecs.refusals = [{"arn": "x", "reason": "Capacity is unavailable at this time."}]
    job_id = submit(world)
    world.run_until_idle()

    detail = world.detail(job_id)
    assert detail["status"] == "RUNNABLE"
    assert detail["statusReason"].endswith("(fargate: Capacity is unavailable at this time)")
    assert world.capacity("fargate").tasks == 0

    world.advance(10)
    assert world.detail(job_id)["status"] == "STARTING"
    task = world.task_of(job_id)
    assert task.started_by == f"{job_id}/job/1-2"
    assert task.environment["AWS_BATCH_JOB_ATTEMPT"] == "1", "a placement is no attempt"
    world.ecs.start(task)
    finish(world, job_id)
    assert len(world.detail(job_id)["attempts"]) == 1


def test_a_throttled_launch_is_tried_again_by_the_machine(world: World) -> None:
    make_stage(world)
    world.ecs.refusals = [client_error("EcsException", "Rate exceeded", "RunTask")] * 2
    job_id = submit(world)
    world.run_until_idle()
    assert world.ecs.tasks == {}

    world.advance(5)

    assert world.task_of(job_id).started_by == f"{job_id}/job/1"
    world.ecs.start(world.task_of(job_id))
    finish(world, job_id)


def test_a_launch_that_is_throttled_through_all_its_tries_is_given_back(world: World) -> None:
    make_stage(world)
    world.ecs.refusals = [client_error("EcsException", "Rate exceeded", "RunTask")] * 6
    job_id = submit(world)

    world.advance(31)
    assert world.detail(job_id)["status"] == "RUNNABLE"
    assert world.detail(job_id)["statusReason"] == (
        "The launch was throttled: Rate exceeded. The job is launched again in 10 seconds."
    )
    world.advance(10)

    assert world.task_of(job_id).started_by == f"{job_id}/job/1-2"
    world.ecs.start(world.task_of(job_id))
    finish(world, job_id)


def test_a_launch_that_meets_another_registration_does_not_fail_the_job(world: World) -> None:
    make_stage(world)
    text = "Too many concurrent attempts to create a new revision of the specified family."
    world.ecs.refusals = [client_error("ClientException", text, "RunTask")]
    job_id = submit(world)
    world.run_until_idle()
    detail = world.detail(job_id)
    assert (detail["status"], detail["attempts"]) == ("RUNNABLE", [])
    assert text.rstrip(".") in detail["statusReason"]

    world.advance(10)
    world.ecs.start(world.task_of(job_id))
    finish(world, job_id)
    assert world.detail(job_id)["status"] == "SUCCEEDED"


def test_a_launch_that_can_never_be_made_fails_the_attempt(world: World) -> None:
    make_stage(world)
    world.ecs.refusals = [client_error("InvalidParameterException", "no such role", "RunTask")]
    job_id = submit(world)
    world.run_until_idle()

    detail = world.detail(job_id)
    assert (detail["status"], detail["statusReason"]) == ("FAILED", "Task failed to start")
    (attempt,) = detail["attempts"]
    assert attempt["container"]["reason"] == "no such role"
    assert world.capacity("fargate").tasks == 0


def test_a_failed_launch_is_retried_like_any_attempt(world: World) -> None:
    make_stage(world)
    world.ecs.refusals = [client_error("InvalidParameterException", "no such role", "RunTask")]
    job_id = submit(world, retryStrategy={"attempts": 2})
    world.run_until_idle()
    assert world.task_of(job_id).started_by == f"{job_id}/job/2"
    world.ecs.start(world.task_of(job_id))
    finish(world, job_id)
    assert world.detail(job_id)["status"] == "SUCCEEDED"


def test_a_job_that_no_request_can_be_made_for_holds_up_no_other(world: World) -> None:
    make_stage(world)
    odd, plain = submit(world, "odd"), submit(world, "plain")
    world.deliver_stream()
    world.deliver_wakes()
    world.ports.jobs.forget(odd)

    world.run_until_idle()

    assert world.job(odd).status == "FAILED"
    assert world.job(odd).container_reason is not None
    assert world.detail(plain)["status"] == "STARTING"
    world.ecs.start(world.task_of(plain))
    finish(world, plain)


def test_the_same_batch_delivered_twice_launches_each_task_once(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    world.deliver_stream()
    world.deliver_wakes()
    world.deliver_stream(again=True)
    world.deliver_stream(again=True)
    world.run_until_idle()

    assert len(world.machines.ended) == 3 + 1, "three launches, and the environment's making"
    assert [task.started_by for task in world.ecs.tasks.values()] == [f"{job_id}/job/1"]
    world.ecs.start(world.task_of(job_id))
    finish(world, job_id)


FAULT = client_error("ClusterNotFoundException", "Cluster not found.", "RunTask")


def test_a_launch_that_never_makes_a_task_fails_after_five_tries_with_the_last_error(
    world: World,
) -> None:
    make_stage(world)
    world.ecs.refuse = lambda request: FAULT
    job_id = submit(world)
    reasons = []
    for _ in range(60):
        world.advance(5)
        reasons.append(world.detail(job_id).get("statusReason"))

    detail = world.detail(job_id)
    assert (detail["status"], detail["statusReason"]) == ("FAILED", "Task failed to start")
    (attempt,) = detail["attempts"]
    assert attempt["container"]["reason"] == "Cluster not found."
    said = list(dict.fromkeys(reason for reason in reasons if reason and "made no task" in reason))
    assert said == [
        f"Launch {number} of 5 made no task: Cluster not found. The job is launched again in "
        f"{seconds} seconds."
        for number, seconds in ((1, 10), (2, 20), (3, 40), (4, 60))
    ]
    assert world.calls.count("ecs.RunTask") == 5
    assert world.capacity("fargate").tasks == 0


def test_a_launch_that_never_makes_a_task_is_retried_like_any_attempt(world: World) -> None:
    make_stage(world)
    world.ecs.refuse = lambda request: FAULT
    job_id = submit(world, retryStrategy={"attempts": 2})
    while world.job(job_id).attempt == 1:
        world.advance(10)
    world.ecs.refuse = lambda request: None
    world.advance(60)
    assert world.task_of(job_id).started_by.startswith(f"{job_id}/job/2")
    world.ecs.start(world.task_of(job_id))
    finish(world, job_id)
    assert len(world.detail(job_id)["attempts"]) == 2


def test_launches_that_are_lost_fail_the_attempt_in_the_end(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    while not world.job(job_id).is_terminal:
        sweep(world)
        for task in world.ecs.live():
            world.ecs.lose(task)
    assert len(world.ecs.forgotten) == 5
    detail = world.detail(job_id)
    assert (detail["status"], detail["statusReason"]) == ("FAILED", "Task failed to start")
    (attempt,) = detail["attempts"]
    assert "ECS has no task for this attempt" in attempt["container"]["reason"]


def test_a_head_that_is_held_back_keeps_its_place_in_its_queue(world: World) -> None:
    make_stage(world, max_vcpus=1)
    world.ecs.refusals = [FAULT]
    head, behind = submit(world), submit(world)
    world.advance(5)
    assert world.detail(head)["status"] == "RUNNABLE"
    assert world.detail(behind)["status"] == "RUNNABLE"
    sweep(world)
    assert world.detail(head)["status"] == "STARTING"
    world.ecs.start(world.task_of(head))
    finish(world, head)
    world.ecs.start(world.task_of(behind))
    finish(world, behind)


def test_a_launch_that_another_try_has_made_already_is_no_failure(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    world.run_until_idle()
    fence = world.job(job_id).fence
    world.ports.messages.send_launch_failure(fence, "Ecs.ConflictException", "another request")
    world.run_until_idle()
    assert world.detail(job_id)["status"] == "STARTING"
    world.ecs.start(world.task_of(job_id))
    finish(world, job_id)


def test_a_launch_that_was_lost_is_made_again_in_the_same_placement(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    world.deliver_stream()
    world.deliver_wakes()
    world.deliver_stream()
    world.machines.running.clear()  # the execution dies with what it was to start

    sweep(world)
    assert world.ecs.tasks == {}, "a launch may take its time"
    sweep(world)

    assert world.task_of(job_id).started_by == f"{job_id}/job/1"
    world.ecs.start(world.task_of(job_id))
    finish(world, job_id)
    assert world.detail(job_id)["status"] == "SUCCEEDED"


def test_a_cluster_that_vanished_is_no_fault_of_the_job(world: World) -> None:
    make_stage(world)
    cluster = world.ecs.clusters.pop(cluster_of(world, "fargate"))
    job_id = submit(world)
    world.run_until_idle()
    assert world.detail(job_id)["status"] == "RUNNABLE"
    assert "Cluster not found" in world.detail(job_id)["statusReason"]

    world.ecs.clusters[cluster_of(world, "fargate")] = cluster
    world.advance(10)
    world.ecs.start(world.task_of(job_id))
    finish(world, job_id)
    assert world.detail(job_id)["status"] == "SUCCEEDED"


def test_a_full_starting_window_holds_jobs_back_until_tasks_run() -> None:
    with make_world(starting_window=2) as world:
        make_stage(world)
        jobs = [submit(world) for _ in range(3)]
        world.run_until_idle()
        assert [world.detail(job)["status"] for job in jobs] == ["STARTING"] * 2 + ["RUNNABLE"]

        world.ecs.start(world.task_of(jobs[0]))
        world.run_until_idle()
        world.advance(2)

        assert world.detail(jobs[2])["status"] == "STARTING"
        assert world.capacity("fargate").starting == 2
        for job in jobs[1:]:
            world.ecs.start(world.task_of(job))
        for job in jobs:
            finish(world, job)
        world.advance(2)


def test_overrides_too_large_for_run_task_go_into_a_task_definition(world: World) -> None:
    make_stage(world)
    large = [{"name": f"NAME{n}", "value": "v" * 900} for n in range(10)]
    job_id = submit(world, containerOverrides={"environment": large})
    world.run_until_idle()

    request = world.task_of(job_id).request
    container = world.ecs.definitions[request["taskDefinition"]]["containerDefinitions"][0]
    names = {entry["name"] for entry in container["environment"]}
    assert {entry["name"] for entry in large} <= names
    assert world.task_of(job_id).environment["AWS_BATCH_JOB_ID"] == job_id
    world.ecs.start(world.task_of(job_id))
    finish(world, job_id)


def test_another_revision_has_a_task_definition_of_its_own(world: World) -> None:
    make_stage(world)
    make_definition(world, container={"image": "alpine"})
    old, new = submit(world, jobDefinition="work:1"), submit(world, jobDefinition="work:2")
    world.run_until_idle()
    images = {one["containerDefinitions"][0]["image"] for one in world.ecs.definitions.values()}
    assert images == {"busybox", "alpine"}
    for job_id in (old, new):
        world.ecs.start(world.task_of(job_id))
        finish(world, job_id)
