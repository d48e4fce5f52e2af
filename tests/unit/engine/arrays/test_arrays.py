"""Arrays: one row until they run, how they look meanwhile, and how they end."""

import pytest

from chalicelib.core.lane import Lane
from tests.support.arrays import array, listed, rows, step, summary
from tests.support.drivers import run_to_the_end, work
from tests.support.scenes import make_stage, submit, sweep
from tests.support.world import ApiError, World


@pytest.fixture(name="world")
def over_both_stores(any_world: World) -> World:
    """Run each test over the stores in memory, and over DynamoDB."""
    return any_world


def test_an_array_runs_as_far_as_capacity_allows_and_its_summary_says_so(world: World) -> None:
    make_stage(world, max_vcpus=3)
    job_id = array(world, 5)
    assert summary(world, job_id) == {"RUNNABLE": 5}
    assert world.detail(job_id)["status"] == "PENDING"
    world.run_until_idle()
    assert summary(world, job_id) == {"STARTING": 3, "RUNNABLE": 2}
    step(world, job_id, 1)
    assert summary(world, job_id) == {"STARTING": 2, "RUNNING": 1, "RUNNABLE": 2}
    step(world, job_id, 1)
    assert summary(world, job_id) == {"STARTING": 3, "SUCCEEDED": 1, "RUNNABLE": 1}
    run_to_the_end(world, [job_id], lambda fence: 0)
    assert summary(world, job_id) == {"SUCCEEDED": 5}
    detail = world.detail(job_id)
    assert (detail["status"], detail["attempts"]) == ("SUCCEEDED", [])
    assert detail["stoppedAt"] >= detail["createdAt"]
    assert world.capacity("fargate").tasks == 0


@pytest.mark.parametrize("size", [2, 100, 10_000])
def test_a_submission_writes_the_same_rows_whatever_the_size(world: World, size: int) -> None:
    make_stage(world)
    world.calls.clear()
    job_id = array(world, size)
    assert world.calls.count("dynamodb.TransactWriteItems") == 1
    assert not {call for call in world.calls if "Write" in call or "Put" in call} - {
        "dynamodb.TransactWriteItems"
    }
    assert rows(world, job_id) == []
    world.api("TerminateJob", {"jobId": job_id, "reason": "enough"})
    world.run_until_idle()
    assert summary(world, job_id) == {"FAILED": size}


def test_a_child_knows_its_index_and_the_size_and_nothing_else_is_its_own(world: World) -> None:
    make_stage(world)
    job_id = array(world, 3, tags={"team": "blue"}, timeout={"attemptDurationSeconds": 60})
    world.run_until_idle()
    task = world.task_of(f"{job_id}/c2")
    assert task.environment["AWS_BATCH_JOB_ARRAY_INDEX"] == "2"
    assert task.environment["AWS_BATCH_JOB_ARRAY_SIZE"] == "3"
    assert task.environment["AWS_BATCH_JOB_ID"] == f"{job_id}:2"
    child = world.detail(f"{job_id}:2")
    assert child["jobId"] == f"{job_id}:2"
    assert child["jobArn"].endswith(f"job/{job_id}:2")
    assert child["arrayProperties"] == {"index": 2}
    assert child["timeout"] == {"attemptDurationSeconds": 60}
    # The array is the tagged resource: a child cannot be tagged.
    assert child["tags"] == {"resourceArn": child["jobArn"].rpartition(":")[0]}
    run_to_the_end(world, [job_id], lambda fence: 0)


def test_virtual_children_are_described_and_listed_like_others(world: World) -> None:
    make_stage(world, max_vcpus=2)
    job_id = array(world, 6)
    world.run_until_idle()
    assert rows(world, job_id) == [0, 1]
    assert world.detail(f"{job_id}:5")["status"] == "RUNNABLE"
    assert listed(world, job_id, "RUNNABLE") == [2, 3, 4, 5]
    assert listed(world, job_id, "RUNNABLE", maxResults=1) == [2, 3, 4, 5]
    assert listed(world, job_id, "STARTING") == [0, 1]
    step(world, job_id, 1)
    running = world.api("ListJobs", {"arrayJobId": job_id})["jobSummaryList"]
    assert [one["jobId"] for one in running] == [f"{job_id}:1"]
    asked = {"jobs": [f"{job_id}:6", f"{job_id}:-1", f"{job_id}:x", f"{job_id}:01"]}
    assert world.api("DescribeJobs", asked)["jobs"] == []
    run_to_the_end(world, [job_id], lambda fence: 0)


def test_a_listing_of_children_pages_through_an_array_of_many(world: World) -> None:
    make_stage(world, max_vcpus=1)
    job_id = array(world, 2500)
    world.run_until_idle()
    assert listed(world, job_id, "RUNNABLE") == list(range(1, 2500))
    assert listed(world, job_id, "SUCCEEDED") == []
    world.api("CancelJob", {"jobId": job_id, "reason": "enough"})
    world.run_until_idle()
    assert listed(world, job_id, "FAILED") == list(range(1, 2500))
    run_to_the_end(world, [job_id], lambda fence: 0)


def test_a_failed_child_is_retried_alone_before_the_others_go_on(world: World) -> None:
    make_stage(world, max_vcpus=1)
    job_id = array(world, 3, retryStrategy={"attempts": 2})
    world.run_until_idle()
    step(world, job_id, 0)
    step(world, job_id, 0, exit_code=3)
    assert summary(world, job_id) == {"STARTING": 1, "RUNNABLE": 2}
    assert world.task_of(f"{job_id}/c0").environment["AWS_BATCH_JOB_ATTEMPT"] == "2"
    jobs = run_to_the_end(world, [job_id, f"{job_id}:0"], lambda fence: 0)
    assert jobs[job_id].status == "SUCCEEDED"
    assert [one.exit_code for one in jobs[f"{job_id}:0"].attempts] == [3, 0]


def test_an_array_fails_with_a_child_once_all_others_have_ended(world: World) -> None:
    make_stage(world, max_vcpus=2)
    job_id = array(world, 4)
    world.run_until_idle()
    step(world, job_id, 0)
    step(world, job_id, 0, exit_code=1)
    assert world.detail(job_id)["status"] == "PENDING"
    run_to_the_end(world, [job_id], lambda fence: 0)
    detail = world.detail(job_id)
    assert (detail["status"], detail["statusReason"]) == ("FAILED", "Array Child Job failed")
    assert summary(world, job_id) == {"SUCCEEDED": 3, "FAILED": 1}


@pytest.mark.parametrize("operation", ["CancelJob", "TerminateJob"])
def test_a_virtual_child_is_stopped_alone(world: World, operation: str) -> None:
    make_stage(world, max_vcpus=1)
    job_id = array(world, 4)
    world.run_until_idle()
    world.api(operation, {"jobId": f"{job_id}:2", "reason": "not this one"})
    child = world.detail(f"{job_id}:2")
    assert (child["status"], child["statusReason"]) == ("FAILED", "not this one")
    assert child["isCancelled" if operation == "CancelJob" else "isTerminated"]
    assert summary(world, job_id) == {"STARTING": 1, "RUNNABLE": 2, "FAILED": 1}
    run_to_the_end(world, [job_id], lambda fence: 0)
    assert summary(world, job_id) == {"SUCCEEDED": 3, "FAILED": 1}
    assert not [t for t in world.ecs.tasks.values() if "/c2/" in t.started_by]


def test_an_array_all_of_whose_children_are_stopped_alone_ends(world: World) -> None:
    make_stage(world, max_vcpus=1)
    blocker = submit(world)
    world.run_until_idle()
    job_id = array(world, 3)
    for number in range(3):
        world.api("CancelJob", {"jobId": f"{job_id}:{number}", "reason": "none of them"})
    world.run_until_idle()
    assert world.detail(job_id)["status"] == "FAILED"
    run_to_the_end(world, [blocker], lambda fence: 0)
    assert world.ports.lanes.heads(Lane.fifo("queue"), 9) == ()


def test_more_children_stopped_alone_than_one_dispatch_passes_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.engine.dispatch.commit_plan.TAKEN_LIMIT", 2)
    make_stage(world, max_vcpus=1)
    blocker = submit(world)
    world.run_until_idle()
    job_id = array(world, 8)
    for number in (0, 1, 2, 3, 5, 7):
        world.api("CancelJob", {"jobId": f"{job_id}:{number}", "reason": "not this one"})
    run_to_the_end(world, [blocker, job_id], lambda fence: 0)
    assert listed(world, job_id, "SUCCEEDED") == [4, 6]


def test_a_cancelled_array_lets_what_runs_go_on_and_nothing_else(world: World) -> None:
    make_stage(world, max_vcpus=2)
    job_id = array(world, 5)
    world.run_until_idle()
    step(world, job_id, 0)
    world.api("CancelJob", {"jobId": job_id, "reason": "enough"})
    assert summary(world, job_id) == {"RUNNING": 1, "STARTING": 1, "FAILED": 3}
    assert world.detail(job_id)["isCancelled"]
    world.run_until_idle()
    child = world.detail(f"{job_id}:4")
    assert (child["status"], child["statusReason"], child["isCancelled"]) == (
        "FAILED",
        "enough",
        True,
    )
    run_to_the_end(world, [job_id], lambda fence: 0)
    assert summary(world, job_id) == {"SUCCEEDED": 2, "FAILED": 3}
    detail = world.detail(job_id)
    assert (detail["status"], detail["statusReason"]) == ("FAILED", "enough")


def test_a_terminated_array_leaves_nothing_running(world: World) -> None:
    make_stage(world, max_vcpus=3)
    job_id = array(world, 6, retryStrategy={"attempts": 3})
    world.run_until_idle()
    step(world, job_id, 0)
    step(world, job_id, 1)
    world.api("TerminateJob", {"jobId": job_id, "reason": "enough"})
    world.run_until_idle()
    for task in world.ecs.live():
        world.ecs.start(task)  # one whose launch was under way
        world.run_until_idle()
    assert world.ecs.live() == []
    assert summary(world, job_id) == {"FAILED": 6}
    for number in range(6):
        child = world.detail(f"{job_id}:{number}")
        assert (child["statusReason"], child["isTerminated"]) == ("enough", True)
        assert len(child["attempts"]) <= 1
    assert world.detail(job_id)["statusReason"] == "enough"
    sweep(world)
    assert world.ports.lanes.child_ranges("queue", limit=9) == ()


def test_a_terminate_after_a_cancel_ends_what_the_cancel_let_go_on(world: World) -> None:
    make_stage(world, max_vcpus=1)
    job_id = array(world, 2)
    world.run_until_idle()
    step(world, job_id, 0)
    world.api("CancelJob", {"jobId": job_id, "reason": "first"})
    world.run_until_idle()
    world.api("TerminateJob", {"jobId": job_id, "reason": "second"})
    world.run_until_idle()
    assert world.ecs.live() == []
    assert world.detail(f"{job_id}:0")["statusReason"] == "second"
    assert world.detail(f"{job_id}:1")["statusReason"] == "first"


def test_a_child_that_fails_after_its_array_was_cancelled_is_not_retried(world: World) -> None:
    make_stage(world, max_vcpus=1)
    job_id = array(world, 2, retryStrategy={"attempts": 5})
    world.run_until_idle()
    step(world, job_id, 0)
    world.api("CancelJob", {"jobId": job_id, "reason": "enough"})
    world.run_until_idle()
    step(world, job_id, 0, exit_code=1)
    child = world.detail(f"{job_id}:0")
    assert (child["status"], child["statusReason"]) == ("FAILED", "enough")
    assert [one["container"]["exitCode"] for one in child["attempts"]] == [1]
    assert world.detail(job_id)["status"] == "FAILED"


def test_a_retry_that_waits_is_cancelled_with_its_array(world: World) -> None:
    make_stage(world, max_vcpus=1)
    job_id = array(world, 2, retryStrategy={"attempts": 5})
    world.run_until_idle()
    step(world, job_id, 0)
    world.ecs.finish(world.task_of(f"{job_id}/c0"), 1)
    world.deliver_messages()  # and the dispatcher is not woken yet
    assert world.detail(f"{job_id}:0")["status"] == "RUNNABLE"
    world.api("CancelJob", {"jobId": job_id, "reason": "enough"})
    world.deliver_wakes()
    world.run_until_idle()
    assert world.detail(f"{job_id}:0")["status"] == "FAILED"
    assert world.detail(job_id)["status"] == "FAILED"
    assert world.ecs.live() == []
    assert world.ports.lanes.heads(Lane.fifo("queue"), 9) == ()


def test_many_children_that_run_are_stopped_in_stretches(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.engine.arrays.children.CHILD_RANGES_PAGE", 1)
    make_stage(world, max_vcpus=2)
    job_id = array(world, 6)
    world.run_until_idle()
    for number in (0, 1):
        step(world, job_id, number)
        step(world, job_id, number)
    for number in (2, 3):
        step(world, job_id, number)
    world.api("TerminateJob", {"jobId": job_id, "reason": "enough"})
    world.run_until_idle()
    assert world.ecs.live() == []
    assert summary(world, job_id) == {"SUCCEEDED": 2, "FAILED": 4}


def test_the_end_of_an_array_is_found_by_the_sweeper_if_its_record_is_lost(world: World) -> None:
    make_stage(world)
    job_id = array(world, 2)
    world.run_until_idle()
    for number in (0, 1, 0):
        step(world, job_id, number)
    world.ecs.finish(world.task_of(f"{job_id}/c1"), 0)
    world.deliver_messages()
    world.jobs_stream.draw()
    world.jobs_stream.records.clear()
    assert world.detail(job_id)["status"] == "PENDING"
    sweep(world)
    assert world.detail(job_id)["status"] == "SUCCEEDED"


def test_a_child_whose_launch_was_lost_is_found_by_the_sweeper(world: World) -> None:
    make_stage(world)
    job_id = array(world, 2)
    world.run_until_idle()
    world.ecs.lose(world.task_of(f"{job_id}/c1"))
    sweep(world, minutes=12)
    world.advance(10)
    assert world.detail(f"{job_id}:1")["status"] == "STARTING"
    assert world.job(f"{job_id}:1").dispatch_count == 2
    run_to_the_end(world, [job_id], lambda fence: 0)


def test_the_head_of_an_array_that_cannot_be_placed_says_why(world: World) -> None:
    make_stage(world, max_vcpus=1)
    world.api("UpdateComputeEnvironment", {"computeEnvironment": "fargate", "state": "DISABLED"})
    world.run_until_idle()
    job_id = array(world, 3)
    world.run_until_idle()
    assert "ENABLED" in world.detail(job_id)["statusReason"]
    world.api("UpdateComputeEnvironment", {"computeEnvironment": "fargate", "state": "ENABLED"})
    world.run_until_idle()
    assert "statusReason" not in world.detail(job_id)
    sweep(world)
    assert "free below maxvCpus" in world.detail(job_id)["statusReason"]
    run_to_the_end(world, [job_id], lambda fence: 0)


def test_an_array_is_split_over_the_environments_of_its_queue(world: World) -> None:
    from tests.support.scenes import make_definition, make_environment, make_queue

    make_environment(world, "first", max_vcpus=2)
    make_environment(world, "second", max_vcpus=1)
    make_queue(world, environments=("first", "second"))
    make_definition(world)
    job_id = array(world, 5)
    world.run_until_idle()
    assert (world.capacity("first").tasks, world.capacity("second").tasks) == (2, 1)
    run_to_the_end(world, [job_id], lambda fence: 0)


def test_a_queue_that_is_deleted_takes_its_arrays_along(world: World) -> None:
    make_stage(world, max_vcpus=1)
    job_id = array(world, 50)
    world.run_until_idle()
    step(world, job_id, 0)
    world.api("UpdateJobQueue", {"jobQueue": "queue", "state": "DISABLED"})
    world.api("DeleteJobQueue", {"jobQueue": "queue"})
    for _ in range(5):
        world.advance(30)
        work(world, lambda fence: 0)
    world.run_until_idle()
    assert summary(world, job_id) == {"FAILED": 50}
    assert world.api("DescribeJobQueues", {"jobQueues": ["queue"]})["jobQueues"] == []


def test_the_largest_size_is_a_setting_of_the_stack() -> None:
    from tests.support.world import world as make_world

    with make_world(array_size_limit=1_000_000) as world:
        make_stage(world, max_vcpus=1)
        job_id = array(world, 1_000_000)
        assert summary(world, job_id) == {"RUNNABLE": 1_000_000}
        world.run_until_idle()
        step(world, job_id, 0)
        step(world, job_id, 0)
        world.api("TerminateJob", {"jobId": job_id, "reason": "enough"})
        world.run_until_idle()
        assert summary(world, job_id) == {"SUCCEEDED": 1, "FAILED": 999_999}
        assert len(rows(world, job_id)) == 2


@pytest.mark.parametrize("size", [-1, 0, 1, 10_001, 2**31 - 1])
def test_a_size_out_of_range_is_refused(world: World, size: int) -> None:
    make_stage(world)
    with pytest.raises(ApiError, match="Array size must be between 2 and 10000"):
        array(world, size)


def test_an_expired_child_is_not_taken_for_one_that_has_yet_to_run(world: World) -> None:
    make_stage(world)
    job_id = array(world, 2)
    run_to_the_end(world, [job_id], lambda fence: 0)
    world.expire(f"{job_id}:0")
    assert world.api("DescribeJobs", {"jobs": [f"{job_id}:0"]})["jobs"] == []
    assert listed(world, job_id, "SUCCEEDED") == [1]
    world.run_until_idle()
