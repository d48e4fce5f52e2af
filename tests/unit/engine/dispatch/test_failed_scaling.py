"""Environments whose instances cannot be launched: others take the jobs that wait for them."""

import pytest

from tests.support.fake_ecs import Task
from tests.support.scaling import NO_SPOT, report_failed_scaling
from tests.support.scenes import (
    ROLE,
    cluster_of,
    finish,
    make_definition,
    make_queue,
    submit,
    sweep,
)
from tests.support.world import World
from tests.support.world import world as make_world

LABEL = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"
WORDS = "UnfulfillableCapacity - Unable to fulfill capacity due to your request configuration."
QUOTA = (
    "Could not launch On-Demand Instances. VcpuLimitExceeded - You have requested more vCPU "
    "capacity than your current vCPU limit of 8 allows. Launching EC2 instance failed."
)
STOPS, LISTS, RUN_TASK = "ecs.StopTask", "ecs.ListTasks", "ecs.RunTask"


@pytest.fixture(name="world")
def over_both_stores(any_world: World) -> World:
    """Each scene runs twice: over the stores in memory, and over DynamoDB."""
    return any_world


def make_instances(world: World, *names: str) -> None:
    """Make environments of instances, their queue in that order, and a definition."""
    for name in names:
        world.api(
            "CreateComputeEnvironment",
            {"computeEnvironmentName": name, "type": "UNMANAGED", "serviceRole": ROLE},
        )
    world.run_until_idle()
    make_queue(world, environments=names)
    make_definition(world, platformCapabilities=["EC2"])


def place_of(world: World, job_id: str) -> str:
    clusters = {cluster_of(world, name): name for name in ("first", "second")}
    return clusters[world.task_of(job_id).cluster]


def fail_scaling(world: World, environment: str = "first", message: str = NO_SPOT) -> None:
    """Let a launch of instances fail that began a moment ago, and deliver what follows."""
    world.now_ms += 1_000
    report_failed_scaling(world, environment, message)
    world.run_until_idle()


def start_and_finish(world: World, *job_ids: str) -> None:
    for job_id in job_ids:
        world.ecs.start(world.task_of(job_id))
        world.run_until_idle()
        finish(world, job_id)


def seconds_of(world: World, environment: str) -> int | None:
    cooling = world.capacity(environment).cooling
    return cooling.seconds if cooling is not None else None


def test_without_instances_the_next_environment_takes_over_at_once(world: World) -> None:
    make_instances(world, "first", "second")
    jobs = [submit(world) for _ in range(3)]
    world.run_until_idle()
    assert {place_of(world, job_id) for job_id in jobs} == {"first"}

    fail_scaling(world)

    assert {place_of(world, job_id) for job_id in jobs} == {"second"}
    assert seconds_of(world, "first") == 10
    assert world.capacity("first").tasks == 0
    for job_id in jobs:
        assert world.task_of(job_id).started_by == f"{job_id}/job/1-2", "in the same attempt"
    start_and_finish(world, *jobs)
    assert {len(world.detail(job_id)["attempts"]) for job_id in jobs} == {1}


def test_the_first_environment_is_used_again_when_its_probe_runs(world: World) -> None:
    make_instances(world, "first", "second")
    early = submit(world)
    world.run_until_idle()
    fail_scaling(world)
    world.advance(10)
    later = [submit(world) for _ in range(2)]
    world.run_until_idle()
    assert [place_of(world, job_id) for job_id in later] == ["first", "second"]
    world.ecs.start(world.task_of(later[0]))
    world.run_until_idle()
    assert seconds_of(world, "first") is None
    last = submit(world)
    world.run_until_idle()
    assert place_of(world, last) == "first"
    start_and_finish(world, last, early, later[1])
    finish(world, later[0])


def test_a_task_that_has_an_instance_is_not_stopped(world: World) -> None:
    make_instances(world, "first", "second")
    running, waiting = submit(world), submit(world)
    world.run_until_idle()
    world.ecs.start(world.task_of(running))
    world.run_until_idle()
    fail_scaling(world)
    assert place_of(world, running) == "first"
    assert place_of(world, waiting) == "second"
    assert world.calls.count(STOPS) == 1
    finish(world, running)
    start_and_finish(world, waiting)


def test_a_task_that_ran_when_its_stop_arrived_uses_up_no_attempt(world: World) -> None:
    make_instances(world, "first", "second")
    job_id = submit(world)
    world.run_until_idle()
    task = world.task_of(job_id)

    def meanwhile(call: str) -> None:
        if call == STOPS and task.status == "PROVISIONING":
            world.ecs.start(task)

    world.on_call = meanwhile
    fail_scaling(world)
    world.on_call = None
    world.run_until_idle()
    detail = world.detail(job_id)
    assert (detail["status"], len(detail["attempts"])) == ("STARTING", 1)
    assert place_of(world, job_id) == "second"
    start_and_finish(world, job_id)
    assert world.detail(job_id)["status"] == "SUCCEEDED"


def test_a_queue_with_no_other_environment_leaves_its_tasks_where_they_wait(
    world: World,
) -> None:
    make_instances(world, "first")
    job_id = submit(world)
    world.run_until_idle()
    world.calls.clear()
    fail_scaling(world)
    assert world.calls.count(LISTS) == world.calls.count(STOPS) == 0
    later = submit(world)
    world.run_until_idle()
    detail = world.detail(later)
    assert detail["status"] == "RUNNABLE"
    assert detail["statusReason"] == (
        f"{LABEL} - Service cannot fulfill the capacity requested (first: {WORDS[:-1]})"
    )
    start_and_finish(world, job_id)
    world.advance(300)
    start_and_finish(world, later)


def test_with_all_environments_without_instances_the_reason_names_each(world: World) -> None:
    make_instances(world, "first", "second")
    waiting = submit(world)
    world.run_until_idle()
    fail_scaling(world)
    fail_scaling(world, "second", QUOTA)
    assert place_of(world, waiting) == "second", "it waits there, since nobody has capacity"
    job_id = submit(world)
    world.run_until_idle()
    reason = world.detail(job_id)["statusReason"]
    assert f"first: {WORDS[:-1]}; second: VcpuLimitExceeded - the account's EC2 quota" in reason
    assert "ask for a higher one in Service Quotas" in reason
    (published,) = world.events.blocks_of(job_id)
    assert published["Detail"]["statusReason"] == reason
    start_and_finish(world, waiting)
    world.advance(300)
    start_and_finish(world, job_id)


def test_a_head_without_instances_is_cancelled_by_its_queues_rule(world: World) -> None:
    make_instances(world, "first")
    action = {"reason": LABEL, "state": "RUNNABLE", "maxTimeSeconds": 600, "action": "CANCEL"}
    world.api("UpdateJobQueue", {"jobQueue": "queue", "jobStateTimeLimitActions": [action]})
    fail_scaling(world)
    job_id = submit(world)
    world.run_until_idle()
    for _ in range(12):
        fail_scaling(world)
        for task in world.ecs.live():
            world.ecs.fail_to_start(task, "EMPTY CAPACITY PROVIDER")
        sweep(world)
    assert world.detail(job_id)["status"] == "FAILED"
    assert world.detail(job_id)["statusReason"].endswith(LABEL)


def test_the_failures_of_one_burst_and_an_event_that_comes_again_count_once(
    world: World,
) -> None:
    make_instances(world, "first", "second")
    job_id = submit(world)
    world.run_until_idle()
    for _ in range(3):
        report_failed_scaling(world, "first", NO_SPOT)
    world.deliver_messages(again=True)
    world.now_ms += 1_000
    world.run_until_idle()
    assert seconds_of(world, "first") == 10
    assert world.calls.count(STOPS) == 1
    start_and_finish(world, job_id)


def test_an_event_that_comes_again_does_not_stop_the_probe(world: World) -> None:
    make_instances(world, "first", "second")
    report_failed_scaling(world, "first", NO_SPOT)
    world.deliver_messages(again=True)
    for message in world.sqs.task_events.messages:
        message.visible_at_ms = world.now_ms + 15_000
    world.advance(10)
    probe = submit(world)
    world.run_until_idle()
    assert place_of(world, probe) == "first"
    world.advance(10)
    assert place_of(world, probe) == "first"
    assert world.calls.count(STOPS) == 0
    start_and_finish(world, probe)


def test_only_as_many_are_given_back_as_others_have_capacity_for() -> None:
    with make_world(in_memory=True, starting_window=3) as world:
        make_instances(world, "first", "second")
        jobs = [submit(world) for _ in range(5)]
        world.run_until_idle()
        places = [place_of(world, job_id) for job_id in jobs]
        assert places == ["first"] * 3 + ["second"] * 2
        fail_scaling(world)
        places = [place_of(world, job_id) for job_id in jobs]
        assert places == ["second", "first", "first", "second", "second"], "the oldest goes"
        start_and_finish(world, *jobs)


def test_a_job_that_is_being_terminated_is_not_given_back(world: World) -> None:
    make_instances(world, "first", "second")
    job_id = submit(world)
    world.run_until_idle()
    world.ecs.obeys_stops = False
    world.api("TerminateJob", {"jobId": job_id, "reason": "enough"})
    world.run_until_idle()
    task = world.task_of(job_id)
    stops = world.calls.count(STOPS)
    fail_scaling(world)
    assert world.calls.count(STOPS) == stops
    world.ecs.end_stopping(task)
    world.run_until_idle()
    assert world.detail(job_id)["statusReason"] == "enough"


def test_a_task_that_ecs_itself_stopped_waiting_for_is_no_failed_attempt(world: World) -> None:
    make_instances(world, "first", "second")
    job_id = submit(world)
    world.run_until_idle()
    world.ecs.fail_to_start(world.task_of(job_id), "EMPTY CAPACITY PROVIDER")
    world.run_until_idle()
    assert place_of(world, job_id) == "second"
    assert seconds_of(world, "first") == 10
    start_and_finish(world, job_id)
    assert len(world.detail(job_id)["attempts"]) == 1


def test_a_lost_event_of_such_an_end_is_made_up_by_the_sweeper(world: World) -> None:
    make_instances(world, "first", "second")
    job_id = submit(world)
    world.run_until_idle()
    world.ecs.fail_to_start(world.task_of(job_id), "EMPTY CAPACITY PROVIDER")
    world.sqs.task_events.messages.clear()
    sweep(world, minutes=3)
    assert place_of(world, job_id) == "second"
    start_and_finish(world, job_id)


def test_events_of_groups_that_are_not_ours_change_nothing(world: World) -> None:
    make_instances(world, "first", "second")
    job_id = submit(world)
    world.run_until_idle()
    for group in ("gone", ""):
        report_failed_scaling(world, group)
    world.run_until_idle()
    assert seconds_of(world, "gone") is None
    assert place_of(world, job_id) == "first"
    start_and_finish(world, job_id)


def test_many_waiting_tasks_are_gone_through_page_by_page() -> None:
    with make_world(in_memory=True, starting_window=400) as world:
        make_instances(world, "first", "second")
        jobs = [submit(world) for _ in range(250)]
        world.run_until_idle()
        while len(world.ecs.live()) < 250:
            world.advance(10)
        began: list[Task] = world.ecs.live()
        world.calls.clear()
        fail_scaling(world)
        assert world.calls.count(LISTS) <= 4
        assert world.calls.count(STOPS) == 250
        assert all(task.status == "STOPPED" for task in began)
        world.advance(60)
        assert {place_of(world, job_id) for job_id in jobs} == {"second"}


def test_a_day_without_instances_costs_few_launches_stops_and_events() -> None:
    with make_world(in_memory=True, launches_per_second=18, launch_burst=20) as world:
        make_instances(world, "first", "second")
        jobs: list[str] = []
        for minute in range(24 * 60):
            if minute % 3 == 0:
                jobs.append(submit(world))
            world.advance(60)
            waiting = [task for task in world.ecs.live() if task.status == "PROVISIONING"]
            first = cluster_of(world, "first")
            if any(task.cluster == first for task in waiting):
                fail_scaling(world)
            for task in world.ecs.live():
                if task.cluster != first and task.status == "PROVISIONING":
                    world.ecs.start(task)
                elif task.status == "RUNNING":
                    world.ecs.finish(task)
            if minute % 30 == 0:
                world.sweep()
            world.run_until_idle()
        done = [world.job(job_id) for job_id in jobs]
        assert sum(job.is_terminal for job in done) >= len(jobs) - 3
        assert {job.attempt for job in done} == {1}
        # One probe in five minutes, after a few while the time doubles; each is stopped once.
        probes = 24 * 60 // 5 + 6
        assert world.calls.count(STOPS) <= probes
        assert world.calls.count(RUN_TASK) <= len(jobs) + probes
        assert world.calls.count(LISTS) <= probes + 24 * 60 // 30 * 2
        statuses = 4 * len(jobs) + 2 * probes  # of each job, and of each probe given back
        assert len(world.events.published) <= statuses + 10
        for task in world.ecs.live():
            if task.status == "PROVISIONING":
                world.ecs.start(task)
            world.ecs.finish(task)
        world.run_until_idle()
