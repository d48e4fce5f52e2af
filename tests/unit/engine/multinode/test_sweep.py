"""Multi-node jobs and the sweeper: nodes whose events were lost."""

from tests.support.clients import client_error
from tests.support.multinode import (
    ADDRESS,
    MAIN_ADDRESS,
    REFUSAL,
    end_main,
    make_multinode_stage,
    node_statuses,
    running_multinode_job,
    start_main,
    start_others,
    submit_multinode_job,
    tasks_of,
)
from tests.support.scenes import sweep
from tests.support.world import World


def test_a_node_whose_launch_was_refused_is_launched_again_by_the_sweeper(world: World) -> None:
    make_multinode_stage(world)
    job_id = submit_multinode_job(world)
    world.run_until_idle()
    world.ecs.refusals = [REFUSAL]
    start_main(world, job_id)
    assert tasks_of(world, job_id).keys() == {"job", "n2"}
    start_others(world, job_id)
    assert world.detail(f"{job_id}#1")["statusReason"] == "RESOURCE:CPU"

    sweep(world, minutes=2)
    again = tasks_of(world, job_id)["n1"]
    assert again.started_by == f"{job_id}/n1/1"
    assert again.environment[MAIN_ADDRESS] == ADDRESS
    start_others(world, job_id)
    assert node_statuses(world, job_id) == ["RUNNING"] * 3
    end_main(world, job_id)
    assert world.ecs.live() == []


def test_a_node_that_can_never_be_launched_fails_in_the_end(world: World) -> None:
    make_multinode_stage(world)
    job_id = submit_multinode_job(world)
    world.run_until_idle()
    fault = client_error("ClusterNotFoundException", "Cluster not found.", "RunTask")
    world.ecs.refuse = lambda request: fault if "/n1/" in request["startedBy"] else None
    start_main(world, job_id)
    world.advance(60)
    start_others(world, job_id)
    sweep(world, minutes=12)
    assert node_statuses(world, job_id) == ["RUNNING", "FAILED", "RUNNING"]
    assert world.detail(f"{job_id}#1")["container"]["reason"] == "Cluster not found."
    calls = world.calls.count("ecs.RunTask")
    sweep(world, minutes=5)
    assert world.calls.count("ecs.RunTask") == calls
    end_main(world, job_id)


def test_an_environment_without_capacity_for_a_node_is_set_aside(world: World) -> None:
    make_multinode_stage(world)
    job_id = submit_multinode_job(world)
    world.run_until_idle()
    world.ecs.refusals = [REFUSAL]
    start_main(world, job_id)
    cooling = world.capacity("metal").cooling
    assert cooling is not None
    assert (cooling.seconds, cooling.reason) == (10, "RESOURCE:CPU")
    sweep(world, minutes=2)
    start_others(world, job_id)
    end_main(world, job_id)


def test_nodes_that_were_never_launched_are_launched_by_the_sweeper(world: World) -> None:
    make_multinode_stage(world)
    job_id = submit_multinode_job(world)
    world.run_until_idle()
    world.machines.running = [r for r in world.machines.running if "-multinode" not in r.machine]
    start_main(world, job_id)
    assert tasks_of(world, job_id).keys() == {"job"}
    sweep(world, minutes=2)
    assert tasks_of(world, job_id).keys() == {"job", "n1", "n2"}
    start_others(world, job_id)
    end_main(world, job_id)
    assert world.ecs.live() == []


def test_a_start_and_an_end_of_a_node_that_were_never_reported_are_found(world: World) -> None:
    make_multinode_stage(world)
    job_id = submit_multinode_job(world)
    world.run_until_idle()
    start_main(world, job_id)
    tasks = tasks_of(world, job_id)
    world.ecs.start(tasks["n1"])
    world.sqs.task_events.messages.clear()
    sweep(world, minutes=2)
    assert node_statuses(world, job_id)[:2] == ["RUNNING", "RUNNING"]

    world.ecs.start(tasks["n2"])
    world.run_until_idle()
    world.ecs.finish(tasks["n1"], 5)
    world.sqs.task_events.messages.clear()
    world.ecs.lose(tasks["n2"])
    sweep(world, minutes=3)
    assert node_statuses(world, job_id) == ["RUNNING", "FAILED", "FAILED"]
    assert world.detail(f"{job_id}#1")["container"]["exitCode"] == 5
    assert "gone" in world.detail(f"{job_id}#2")["statusReason"]
    end_main(world, job_id)


def test_the_sweeper_repeats_a_lost_stop_of_nodes(world: World) -> None:
    make_multinode_stage(world)
    job_id = running_multinode_job(world)
    world.ecs.obeys_stops = False
    world.api("TerminateJob", {"jobId": job_id, "reason": "enough"})
    world.jobs_stream.draw()
    world.jobs_stream.records.clear()
    sweep(world)
    assert {task.desired for task in world.ecs.live()} == {"STOPPED"}
    for task in world.ecs.live():
        world.ecs.end_stopping(task)
    world.run_until_idle()
    assert world.detail(job_id)["status"] == "FAILED"
