"""Stopped executions of run_job: their jobs are terminated, and no others."""

import json
from typing import Any

import pytest

from chalicelib.core.ids import JobKey, derived_job_id
from tests.support.drivers import run_to_the_end
from tests.support.fake_step_functions import MULTINODE_MACHINE_ARN, RUN_JOB_MACHINE_ARN
from tests.support.scenes import make_stage
from tests.support.waiting import REQUEST, add_example, jobs_of, start, stop_run
from tests.support.world import World

Json = dict[str, Any]
EXECUTION = RUN_JOB_MACHINE_ARN.replace(":stateMachine:", ":execution:") + ":run"


def report_stop(world: World, arn: str = EXECUTION, status: str = "ABORTED") -> None:
    """Return the event of Step Functions as the rule puts it into the queue."""
    event = {
        "source": "aws.states",
        "detail-type": "Step Functions Execution Status Change",
        "detail": {
            "executionArn": arn,
            "stateMachineArn": RUN_JOB_MACHINE_ARN,
            "status": status,
            "inputDetails": {"included": False},
        },
    }
    world.sqs.put(world.sqs.task_events, {"MessageBody": json.dumps(event)})


def running_job(world: World) -> str:
    """Return the job of an execution, with its task running."""
    make_stage(world)
    start(world, REQUEST)
    (job_id,) = jobs_of(world)
    world.ecs.start(world.task_of(job_id))
    world.run_until_idle()
    return job_id


def test_a_stop_of_the_execution_terminates_its_job(any_world: World) -> None:
    job_id = running_job(any_world)
    stop_run(any_world, any_world.machines.run_named("run"))
    run_to_the_end(any_world, [job_id], lambda fence: 0)
    detail = any_world.detail(job_id)
    assert (detail["status"], detail["isTerminated"]) == ("FAILED", True)
    assert "execution that ran the job was stopped" in detail["statusReason"]
    # The execution is over, so the answer to its task token is refused and ignored.
    assert any_world.machines.answers == []


def test_a_time_out_of_the_execution_terminates_its_job(quick: World) -> None:
    job_id = running_job(quick)
    report_stop(quick, status="TIMED_OUT")
    run_to_the_end(quick, [job_id], lambda fence: 0)
    assert "timed out" in quick.detail(job_id)["statusReason"]


def test_a_stop_of_the_outer_execution_reaches_the_job(quick: World) -> None:
    make_stage(quick)
    given = {"jobQueue": "queue", "jobDefinition": "work", "parameters": {}}
    outer = start(quick, given, machine=add_example(quick, "nested"), name="outer")
    (job_id,) = jobs_of(quick)
    stop_run(quick, outer)
    run_to_the_end(quick, [job_id], lambda fence: 0)
    assert quick.detail(job_id)["isTerminated"]


def test_an_array_is_terminated_as_a_whole(quick: World) -> None:
    make_stage(quick)
    run = start(quick, REQUEST | {"arrayProperties": {"size": 3}})
    (job_id,) = jobs_of(quick)
    stop_run(quick, run)
    run_to_the_end(quick, [job_id], lambda fence: 0)
    assert quick.detail(job_id)["arrayProperties"]["statusSummary"]["FAILED"] == 3


def test_a_stop_that_is_reported_twice_or_late_changes_nothing(quick: World) -> None:
    job_id = running_job(quick)
    run_to_the_end(quick, [job_id], lambda fence: 0)
    for _ in range(2):
        report_stop(quick)
    quick.run_until_idle()
    assert quick.detail(job_id)["status"] == "SUCCEEDED"


def test_a_stop_that_overtakes_the_submission_is_remembered(any_world: World) -> None:
    make_stage(any_world)
    report_stop(any_world)
    any_world.run_until_idle()
    run = start(any_world, REQUEST)
    (job_id,) = jobs_of(any_world)
    assert run in any_world.machines.running
    any_world.advance(20)
    assert any_world.detail(job_id)["isTerminated"]
    run_to_the_end(any_world, [job_id], lambda fence: 0)


def test_a_stop_without_a_job_is_dropped_after_a_minute(quick: World) -> None:
    report_stop(quick)
    quick.run_until_idle()
    sent = []
    for _ in range(5):
        sent.append(len(quick.sqs.task_events.messages))
        quick.advance(20)
    assert sent == [1, 1, 1, 0, 0]


@pytest.mark.parametrize(
    ("arn", "status"),
    [
        (EXECUTION, "FAILED"),
        (EXECUTION, "SUCCEEDED"),
        (MULTINODE_MACHINE_ARN.replace(":stateMachine:", ":execution:") + ":run", "ABORTED"),
        (EXECUTION.replace("-run-job:", "-run-job-of-mine:"), "ABORTED"),
    ],
)
def test_other_statuses_and_other_machines_are_ignored(quick: World, arn: str, status: str) -> None:
    job_id = running_job(quick)
    report_stop(quick, arn, status)
    quick.run_until_idle()
    assert quick.detail(job_id)["status"] == "RUNNING"
    assert quick.sqs.task_events.messages == []
    run_to_the_end(quick, [job_id], lambda fence: 0)


def test_the_job_of_an_execution_follows_from_its_arn_alone(quick: World) -> None:
    make_stage(quick)
    start(quick, REQUEST | {"parameters": {"any": "thing"}})
    assert jobs_of(quick) == [derived_job_id("function:submit", EXECUTION, b"")]
    key = JobKey(jobs_of(quick)[0])
    assert quick.ports.jobs.find_job(key) is not None


def test_the_arn_of_a_user_s_execution_is_an_ordinary_token(
    quick: World,
) -> None:
    """A Map may give the same client token to all its requests: they are different jobs."""
    make_stage(quick)
    token = "arn:aws:states:us-east-1:123456789012:execution:mine:run"
    ids = {
        quick.submit(REQUEST | {"clientToken": token, "jobName": name})["jobId"]
        for name in ("one", "two")
    }
    assert len(ids) == 2
    quick.run_until_idle()
