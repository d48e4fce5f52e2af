"""Dispatching: order, priorities, shared environments, and what wakes the dispatcher."""

from tests.support.scenes import (
    cluster_of,
    finish,
    make_definition,
    make_environment,
    make_queue,
    make_stage,
    needing,
    running,
    submit,
    sweep,
)
from tests.support.world import World
from tests.support.world import world as make_world


def start_and_finish(world: World, *job_ids: str) -> None:
    for job_id in job_ids:
        world.ecs.start(world.task_of(job_id))
        finish(world, job_id)


def statuses(world: World, *job_ids: str) -> list[str]:
    return [str(world.job(job_id).status) for job_id in job_ids]


def test_a_queue_is_served_in_the_order_of_submission(world: World) -> None:
    make_stage(world, max_vcpus=2)
    jobs = [submit(world, f"job-{number}") for number in range(4)]
    world.run_until_idle()
    assert statuses(world, *jobs) == ["STARTING", "STARTING", "RUNNABLE", "RUNNABLE"]

    start_and_finish(world, jobs[1])
    assert statuses(world, *jobs) == ["STARTING", "SUCCEEDED", "STARTING", "RUNNABLE"]
    start_and_finish(world, jobs[0], jobs[2], jobs[3])


def test_a_head_that_waits_for_capacity_blocks_the_jobs_behind_it(world: World) -> None:
    make_stage(world, max_vcpus=3)
    first = submit(world, "first", containerOverrides=needing(2))
    head = submit(world, "head", containerOverrides=needing(2))
    small = submit(world, "small")
    world.run_until_idle()
    assert statuses(world, first, head, small) == ["STARTING", "RUNNABLE", "RUNNABLE"]

    start_and_finish(world, first)
    assert statuses(world, head, small) == ["STARTING", "STARTING"]
    start_and_finish(world, head, small)


def test_the_queue_of_higher_priority_is_served_first_on_a_shared_environment(
    world: World,
) -> None:
    make_stage(world, max_vcpus=1)
    make_queue(world, "urgent", priority=10)
    holder = running(world, "holder")
    plain = submit(world, "plain")
    urgent = submit(world, "urgent", queue="urgent")
    world.run_until_idle()

    finish(world, holder)

    assert statuses(world, plain, urgent) == ["RUNNABLE", "STARTING"]
    start_and_finish(world, urgent, plain)


def test_among_queues_of_one_priority_the_oldest_job_is_served_first(world: World) -> None:
    make_stage(world, max_vcpus=1)
    make_queue(world, "another")
    holder = running(world, "holder")
    older = submit(world, "older", queue="queue")
    younger = submit(world, "younger", queue="another")
    world.run_until_idle()
    finish(world, holder)
    assert statuses(world, older, younger) == ["STARTING", "RUNNABLE"]
    start_and_finish(world, older, younger)


def test_a_job_overflows_into_the_next_environment_of_its_queue(world: World) -> None:
    make_environment(world, "spot", max_vcpus=1, type="FARGATE_SPOT")
    make_environment(world, "fargate", max_vcpus=1)
    make_queue(world, environments=("spot", "fargate"))
    make_definition(world)
    first, second, third = (submit(world) for _ in range(3))
    world.run_until_idle()

    clusters = [world.task_of(job_id).cluster for job_id in (first, second)]
    assert clusters == [cluster_of(world, "spot"), cluster_of(world, "fargate")]
    assert statuses(world, third) == ["RUNNABLE"]
    start_and_finish(world, second)
    assert world.task_of(third).cluster == cluster_of(world, "fargate")
    start_and_finish(world, first, third)


def test_a_retry_may_be_placed_on_another_environment(world: World) -> None:
    make_environment(world, "spot", max_vcpus=1, type="FARGATE_SPOT")
    make_environment(world, "fargate", max_vcpus=1)
    make_queue(world, environments=("spot", "fargate"))
    make_definition(world)
    job_id = running(world, retryStrategy={"attempts": 2})
    world.api("UpdateComputeEnvironment", {"computeEnvironment": "spot", "state": "DISABLED"})
    world.run_until_idle()

    finish(world, job_id, 1)

    assert world.task_of(job_id).cluster == cluster_of(world, "fargate")
    assert world.capacity("spot").tasks == 0
    start_and_finish(world, job_id)


def test_a_disabled_environment_takes_no_new_job_and_lets_its_own_end(world: World) -> None:
    make_stage(world)
    old = running(world)
    change = {"computeEnvironment": "fargate"}
    world.api("UpdateComputeEnvironment", change | {"state": "DISABLED"})
    world.run_until_idle()
    new = submit(world)
    sweep(world)
    assert statuses(world, old, new) == ["RUNNING", "RUNNABLE"]
    assert "ENABLED and VALID" in world.detail(new)["statusReason"]

    finish(world, old)
    assert statuses(world, old, new) == ["SUCCEEDED", "RUNNABLE"]

    world.api("UpdateComputeEnvironment", change | {"state": "ENABLED"})
    world.run_until_idle()
    assert statuses(world, new) == ["STARTING"]
    start_and_finish(world, new)


def test_a_disabled_queue_still_lets_its_queued_jobs_run(world: World) -> None:
    make_stage(world, max_vcpus=1)
    first = running(world)
    queued = submit(world)
    world.run_until_idle()
    world.api("UpdateJobQueue", {"jobQueue": "queue", "state": "DISABLED"})
    world.run_until_idle()
    finish(world, first)
    assert statuses(world, queued) == ["STARTING"]
    start_and_finish(world, queued)


def test_a_raised_maximum_starts_waiting_jobs_at_once(world: World) -> None:
    make_stage(world, max_vcpus=1)
    first, second = running(world), submit(world)
    world.run_until_idle()
    world.api(
        "UpdateComputeEnvironment",
        {"computeEnvironment": "fargate", "computeResources": {"maxvCpus": 2}},
    )
    world.run_until_idle()
    assert statuses(world, second) == ["STARTING"]
    finish(world, first)
    start_and_finish(world, second)


def test_freed_capacity_reaches_the_queues_that_share_the_environment(world: World) -> None:
    make_stage(world, max_vcpus=1)
    make_queue(world, "other")
    holder = running(world)
    waiting = submit(world, queue="other")
    world.run_until_idle()
    assert statuses(world, waiting) == ["RUNNABLE"]
    finish(world, holder)
    assert statuses(world, waiting) == ["STARTING"]
    start_and_finish(world, waiting)


def test_freed_capacity_reaches_other_queues_after_the_jobs_own_queue_left_the_environment(
    world: World,
) -> None:
    make_stage(world, max_vcpus=1)
    make_environment(world, "elsewhere")
    make_queue(world, "other")
    holder = running(world)
    waiting = submit(world, queue="other")
    order = [{"order": 1, "computeEnvironment": "elsewhere"}]
    world.api("UpdateJobQueue", {"jobQueue": "queue", "computeEnvironmentOrder": order})
    world.run_until_idle()

    finish(world, holder)

    assert statuses(world, waiting) == ["STARTING"]
    start_and_finish(world, waiting)


def test_a_retry_that_leaves_its_environment_frees_it_for_other_queues(world: World) -> None:
    make_stage(world, max_vcpus=1)
    make_environment(world, "elsewhere")
    make_queue(world, "other")
    holder = running(world, retryStrategy={"attempts": 2})
    waiting = submit(world, queue="other")
    order = [{"order": 1, "computeEnvironment": "elsewhere"}]
    world.api("UpdateJobQueue", {"jobQueue": "queue", "computeEnvironmentOrder": order})
    world.run_until_idle()

    finish(world, holder, 1)

    assert world.task_of(holder).cluster == cluster_of(world, "elsewhere")
    assert statuses(world, waiting) == ["STARTING"]
    start_and_finish(world, waiting, holder)


def test_full_starting_windows_of_two_scheduling_domains_do_not_block_each_other() -> None:
    with make_world(starting_window=1) as world:
        make_stage(world)
        make_environment(world, "other")
        make_queue(world, "other", environments=("other",))
        first, second = submit(world), submit(world)
        third, fourth = submit(world, queue="other"), submit(world, queue="other")
        world.run_until_idle()
        assert statuses(world, first, third) == ["STARTING", "STARTING"]
        assert statuses(world, second, fourth) == ["RUNNABLE", "RUNNABLE"]

        for job_id in (first, third):
            world.ecs.start(world.task_of(job_id))
        world.advance(2)

        assert statuses(world, second, fourth) == ["STARTING", "STARTING"]
        for job_id in (second, fourth):
            world.ecs.start(world.task_of(job_id))
        for job_id in (first, second, third, fourth):
            finish(world, job_id)
        world.advance(2)


def test_the_dispatcher_sends_another_wake_for_what_it_has_no_time_for(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    world.left_ms = 1_000
    world.deliver_stream()
    world.deliver_wakes()
    assert statuses(world, job_id) == ["RUNNABLE"]

    world.left_ms = 10_000
    world.run_until_idle()
    assert statuses(world, job_id) == ["STARTING"]
    start_and_finish(world, job_id)


def test_two_dispatchers_at_the_same_time_place_each_job_once(world: World) -> None:
    make_stage(world, max_vcpus=2)
    jobs = [submit(world) for _ in range(3)]
    world.deliver_stream()
    other = world.sqs.wakes.deliverable(world.now_ms)
    nested = iter([True])

    def meanwhile(call: str) -> None:
        """Run the second dispatcher just before the first one writes."""
        if call == "dynamodb.TransactWriteItems" and next(nested, False):
            world.deliver_wakes(other, again=True)

    world.on_call = meanwhile
    world.deliver_wakes()
    world.on_call = None
    world.run_until_idle()

    assert sorted(statuses(world, *jobs)) == ["RUNNABLE", "STARTING", "STARTING"]
    assert world.capacity("fargate").cpu_units == 2048
    assert len(world.ecs.tasks) == 2
    start_and_finish(world, *jobs)


def test_a_ready_row_without_a_runnable_job_does_not_block_its_lane(world: World) -> None:
    make_stage(world)
    gone = submit(world)
    behind = submit(world)
    world.expire(gone)
    world.run_until_idle()
    assert statuses(world, behind) == ["STARTING"]
    assert not world.ports.lanes.has_work("queue")
    start_and_finish(world, behind)
