"""CancelJob and TerminateJob, for one job and in bulk, in each status."""

import pytest

from chalicelib.core.lane import Lane
from chalicelib.core.spec import Spec
from chalicelib.core.states import JobStatus
from chalicelib.ports import ContentionError
from tests.support.scenes import finish, make_stage, running, submit
from tests.support.values import a_job
from tests.support.world import ApiError, World

PREFIX = "arn:aws:batch:us-east-1:123456789012"
BOTH = pytest.mark.parametrize("operation", ["CancelJob", "TerminateJob"])


def stop(world: World, operation: str, job_id: str, reason: str = "enough") -> None:
    assert world.api(operation, {"jobId": job_id, "reason": reason}) == {}


def outcome(world: World, job_id: str) -> tuple[str, str | None]:
    job = world.detail(job_id)
    return job["status"], job.get("statusReason")


@BOTH
def test_a_runnable_job_fails_at_once_and_is_never_placed(world: World, operation: str) -> None:
    make_stage(world)
    job_id = submit(world, retryStrategy={"attempts": 5})
    stop(world, operation, job_id)
    assert outcome(world, job_id) == ("FAILED", "enough")
    world.run_until_idle()
    assert world.ecs.tasks == {}
    assert world.ports.lanes.heads(Lane.fifo("queue"), 9) == ()
    job = world.detail(job_id)
    assert (job["isCancelled"], job["isTerminated"]) == (
        operation == "CancelJob",
        operation == "TerminateJob",
    )


@BOTH
def test_a_pending_job_keeps_its_stop_for_later(world: World, operation: str) -> None:
    pending = a_job(JobStatus.PENDING)
    world.ports.jobs.submit(pending, Spec(job_id=pending.job_id, document={"container": {}}))
    stop(world, operation, pending.job_id)
    assert outcome(world, pending.job_id) == ("PENDING", None)
    job = world.detail(pending.job_id)
    assert job["isCancelled"] == (operation == "CancelJob")
    world.run_until_idle()


def test_a_cancel_leaves_a_starting_and_a_running_job_as_they_are(world: World) -> None:
    make_stage(world)
    starting = submit(world)
    runs = running(world)
    for job_id, status in ((starting, "STARTING"), (runs, "RUNNING")):
        stop(world, "CancelJob", job_id)
        assert outcome(world, job_id) == (status, None)
        assert world.detail(job_id)["isCancelled"] is False
    world.run_until_idle()
    assert len(world.ecs.live()) == 2


def test_a_terminate_of_a_running_job_stops_its_task(world: World) -> None:
    make_stage(world)
    job_id = running(world, retryStrategy={"attempts": 5})
    stop(world, "TerminateJob", job_id)
    accepted = world.detail(job_id)
    assert (accepted["status"], accepted["isTerminated"]) == ("RUNNING", True)
    stop(world, "TerminateJob", job_id, "again")
    world.run_until_idle()
    assert outcome(world, job_id) == ("FAILED", "enough")
    assert world.ecs.live() == []
    assert world.detail(job_id)["container"]["exitCode"] == 143


def test_a_terminate_of_a_starting_job_stops_what_was_launched(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    world.run_until_idle()
    stop(world, "TerminateJob", job_id)
    world.run_until_idle()
    assert outcome(world, job_id) == ("FAILED", "enough")
    assert world.ecs.live() == []


@BOTH
def test_a_job_that_has_ended_stays_as_it_is(world: World, operation: str) -> None:
    make_stage(world)
    job_id = running(world)
    finish(world, job_id)
    before = world.detail(job_id)
    stop(world, operation, job_id)
    assert world.detail(job_id) == before


@BOTH
@pytest.mark.parametrize("job_id", ["nobody", "x" * 600, "arn:aws:s3:::x"])
def test_an_unknown_job_is_a_success(world: World, operation: str, job_id: str) -> None:
    stop(world, operation, job_id)


@BOTH
def test_a_job_may_be_named_by_its_arn(world: World, operation: str) -> None:
    make_stage(world)
    job_id = submit(world)
    stop(world, operation, f"{PREFIX}:job/{job_id}")
    assert outcome(world, job_id) == ("FAILED", "enough")
    world.run_until_idle()


@BOTH
@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"reason": ""}, "reason is required"),
        ({"reason": "x" * 1025}, "at most 1024"),
        ({"jobId": ""}, "jobId is required"),
        ({"jobId": None}, "jobId"),
        ({"reason": None}, "reason"),
    ],
)
def test_a_stop_needs_a_job_and_a_reason(
    world: World, operation: str, members: dict[str, str | None], message: str
) -> None:
    with pytest.raises(ApiError, match=message) as caught:
        world.api(operation, {"jobId": "x", "reason": "y"} | members)
    assert caught.value.status == 400


def test_a_reason_may_be_as_long_as_it_may_be(world: World) -> None:
    make_stage(world)
    job_id = running(world)
    stop(world, "TerminateJob", job_id, "x" * 1024)
    world.run_until_idle()
    assert outcome(world, job_id) == ("FAILED", "x" * 1024)


@pytest.mark.parametrize("operation", ["CancelJobs", "TerminateJobs"])
def test_many_jobs_are_stopped_at_once_and_unknown_ones_are_a_success(
    world: World, operation: str
) -> None:
    make_stage(world)
    ids = [submit(world) for _ in range(3)]
    answered = world.api(operation, {"jobs": [*ids, "nobody", ids[0]], "reason": "enough"})
    assert answered == {"successful": [*ids, "nobody"], "errors": []}
    assert {outcome(world, job_id) for job_id in ids} == {("FAILED", "enough")}
    world.run_until_idle()


@pytest.mark.parametrize("operation", ["CancelJobs", "TerminateJobs"])
@pytest.mark.parametrize("number", [0, 51])
def test_one_to_fifty_jobs_are_stopped_at_once(world: World, operation: str, number: int) -> None:
    ids = [f"job-{n}" for n in range(number)]
    with pytest.raises(ApiError, match="between 1 and 50"):
        world.api(operation, {"jobs": ids, "reason": "enough"})


def test_a_decision_that_lost_its_condition_is_made_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dispatcher places the job between the read and the write of a terminate."""
    make_stage(world)
    job_id = submit(world)
    commit = world.ports.jobs.commit

    def after_dispatch(*args: object) -> object:
        monkeypatch.undo()
        world.run_until_idle()
        return commit(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(world.ports.jobs, "commit", after_dispatch)
    stop(world, "TerminateJob", job_id)
    assert world.detail(job_id)["status"] == "STARTING"
    assert world.detail(job_id)["isTerminated"] is True
    world.run_until_idle()
    assert outcome(world, job_id) == ("FAILED", "enough")


def test_a_job_that_others_keep_writing_is_answered_with_too_many_requests(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_stage(world)
    job_id = submit(world)

    def contended(*_: object) -> None:
        raise ContentionError("busy")

    with monkeypatch.context() as patched:
        patched.setattr(world.ports.jobs, "commit", contended)
        with pytest.raises(ApiError) as caught:
            stop(world, "TerminateJob", job_id)
        assert (caught.value.status, caught.value.code) == (429, "TooManyRequestsException")
        answered = world.api("TerminateJobs", {"jobs": [job_id, "nobody"], "reason": "enough"})
    assert answered["successful"] == ["nobody"]
    (error,) = answered["errors"]
    assert (error["job"], error["code"]) == (job_id, "ThrottlingException")
    world.run_until_idle()
