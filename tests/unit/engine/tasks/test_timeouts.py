"""Attempts that take too long: the deadline message, and the sweeper for distant deadlines."""

from tests.support.scenes import finish, make_stage, running, submit, sweep
from tests.support.world import World

TIMEOUT_REASON = "Job attempt duration exceeded timeout"


def test_an_attempt_is_stopped_to_the_second(world: World) -> None:
    make_stage(world)
    job_id = running(world, timeout={"attemptDurationSeconds": 60})

    world.advance(59)
    assert world.detail(job_id)["status"] == "RUNNING"
    world.advance(1)

    detail = world.detail(job_id)
    assert detail["status"] == "FAILED"
    assert detail["statusReason"] == TIMEOUT_REASON
    assert detail["stoppedAt"] - detail["startedAt"] == 60_000
    assert world.ecs.live() == []


def test_a_timed_out_attempt_is_not_retried(world: World) -> None:
    make_stage(world)
    job_id = running(world, timeout={"attemptDurationSeconds": 60}, retryStrategy={"attempts": 3})
    world.advance(60)
    assert world.detail(job_id)["status"] == "FAILED"
    assert len(world.detail(job_id)["attempts"]) == 1


def test_the_timeout_of_a_second_attempt_counts_from_its_own_start(world: World) -> None:
    make_stage(world)
    job_id = running(world, timeout={"attemptDurationSeconds": 60}, retryStrategy={"attempts": 2})
    world.advance(50)
    finish(world, job_id, 1)
    world.ecs.start(world.task_of(job_id))
    world.run_until_idle()

    world.advance(59)
    assert world.detail(job_id)["status"] == "RUNNING"
    world.advance(1)
    assert world.detail(job_id)["statusReason"] == TIMEOUT_REASON


def test_a_container_that_ended_before_its_deadline_beat_it(world: World) -> None:
    make_stage(world)
    job_id = running(world, timeout={"attemptDurationSeconds": 60})
    task = world.task_of(job_id)
    world.now_ms += 59_000
    world.ecs.finish(task)
    (end,) = world.sqs.task_events.deliverable(world.now_ms)
    world.now_ms += 2_000
    deadline = [m for m in world.sqs.task_events.deliverable(world.now_ms) if m is not end]

    world.deliver_messages(deadline)
    assert world.detail(job_id)["status"] == "RUNNING"
    world.deliver_messages([end])
    world.run_until_idle()

    assert world.detail(job_id)["status"] == "SUCCEEDED"


def test_a_deadline_message_that_came_early_comes_back_once(world: World) -> None:
    make_stage(world)
    job_id = running(world, timeout={"attemptDurationSeconds": 600})
    (early,) = world.sqs.task_events.messages
    world.now_ms += 100_000

    world.deliver_messages([early])

    (again,) = world.sqs.task_events.messages
    assert again.visible_at_ms == world.now_ms + 500_000
    world.advance(500)
    assert world.detail(job_id)["statusReason"] == TIMEOUT_REASON
    assert world.sqs.task_events.messages == []


def test_a_stale_deadline_message_does_not_multiply(world: World) -> None:
    make_stage(world)
    job_id = running(world, timeout={"attemptDurationSeconds": 600}, retryStrategy={"attempts": 2})
    finish(world, job_id, 1)
    world.ecs.start(world.task_of(job_id))
    world.run_until_idle()
    stale, present = world.sqs.task_events.messages

    world.deliver_messages([stale], again=True)
    world.deliver_messages([stale])

    assert world.sqs.task_events.messages == [present]
    finish(world, job_id)


def test_a_deadline_beyond_what_sqs_holds_back_is_the_sweepers(world: World) -> None:
    make_stage(world)
    job_id = running(world, timeout={"attemptDurationSeconds": 3600})
    assert world.sqs.task_events.messages == []

    sweep(world, minutes=57)
    assert world.sqs.task_events.messages == []
    sweep(world)
    assert len(world.sqs.task_events.messages) == 1
    world.advance(120)

    detail = world.detail(job_id)
    assert detail["statusReason"] == TIMEOUT_REASON
    assert detail["stoppedAt"] - detail["startedAt"] == 3_600_000


def test_the_sweeper_finds_an_overdue_attempt_whose_message_was_lost(world: World) -> None:
    make_stage(world)
    job_id = running(world, timeout={"attemptDurationSeconds": 60})
    world.sqs.task_events.messages.clear()

    sweep(world)

    assert world.detail(job_id)["statusReason"] == TIMEOUT_REASON


def test_no_timeout_counts_while_a_job_is_starting(world: World) -> None:
    make_stage(world)
    job_id = submit(world, timeout={"attemptDurationSeconds": 60})
    world.run_until_idle()
    sweep(world, minutes=2)
    assert world.detail(job_id)["status"] == "STARTING"
    world.ecs.start(world.task_of(job_id))
    finish(world, job_id)
    assert world.detail(job_id)["status"] == "SUCCEEDED"
