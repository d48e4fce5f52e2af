"""Task tokens: a task that waits for a job's end is answered once, whatever is repeated or lost."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.engine.notify import task_tokens as answering
from chalicelib.ports import CAUSE_LIMIT
from tests.support.clients import client_error
from tests.support.drivers import run_to_the_end
from tests.support.scenes import make_stage
from tests.support.waiting import REQUEST, jobs_of, start
from tests.support.world import World

Json = dict[str, Any]


def answers(world: World) -> list[tuple[str, Json]]:
    """Return every accepted answer, as (call, JSON)."""
    return [
        (call, json.loads(params["output" if call == "SendTaskSuccess" else "cause"]))
        for call, _, params in world.machines.answers
    ]


def end(world: World, exit_code: int = 0) -> None:
    run_to_the_end(world, jobs_of(world), lambda fence: exit_code)


def test_a_task_gets_the_detail_of_its_succeeded_job(any_world: World) -> None:
    make_stage(any_world)
    run = start(any_world, REQUEST)
    assert run in any_world.machines.running
    end(any_world)
    (job_id,) = jobs_of(any_world)
    assert run.failure is None
    assert run.output == any_world.detail(job_id)
    assert run.output["status"] == "SUCCEEDED"
    assert [call for call, _ in answers(any_world)] == ["SendTaskSuccess"]


def test_a_failed_job_fails_the_task_with_the_detail_as_cause(any_world: World) -> None:
    make_stage(any_world)
    run = start(any_world, REQUEST)
    end(any_world, 3)
    assert run.failure is not None
    assert run.failure.error == "Batch.JobFailed"
    cause = json.loads(run.failure.cause)
    assert cause == any_world.detail(cause["jobId"])
    assert cause["container"]["exitCode"] == 3


def test_the_task_of_an_array_is_answered_once_by_its_parent(quick: World) -> None:
    make_stage(quick)
    run = start(quick, REQUEST | {"arrayProperties": {"size": 3}})
    end(quick)
    assert run.output["arrayProperties"]["statusSummary"]["SUCCEEDED"] == 3
    assert len(answers(quick)) == 1


def test_a_job_that_fails_with_its_dependency_fails_its_task(quick: World) -> None:
    make_stage(quick)
    first = quick.submit(REQUEST)["jobId"]
    run = start(quick, REQUEST | {"dependsOn": [{"jobId": first}]})
    end(quick, 1)
    assert run.failure is not None
    assert json.loads(run.failure.cause)["statusReason"] == "Dependent Job failed"


def test_a_record_that_is_delivered_again_answers_once(quick: World) -> None:
    make_stage(quick)
    start(quick, REQUEST)
    (job_id,) = jobs_of(quick)
    quick.ecs.start(quick.task_of(job_id))
    quick.run_until_idle()
    quick.ecs.finish(quick.task_of(job_id), 0)
    quick.deliver_messages()
    for _ in range(3):
        quick.deliver_stream(again=True)
    quick.run_until_idle()
    assert quick.calls.count("stepfunctions.SendTaskSuccess") == 4
    assert len(answers(quick)) == 1


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_a_task_that_waits_no_more_is_no_failure(quick: World, code: str) -> None:
    refuse(quick, code)
    make_stage(quick)
    quick.submit(REQUEST | {"taskToken": "gone"})
    end_by_failure_of_nothing(quick)


def end_by_failure_of_nothing(world: World) -> None:
    """The job ends, and nothing is delivered again or left over."""
    end(world)
    assert world.calls.count("stepfunctions.SendTaskSuccess") == 1


def refuse(world: World, code: str) -> None:
    def refused(params: Json) -> Json:
        raise client_error(code, "no", "SendTaskSuccess")

    world.machines.do_send_task_success = refused  # type: ignore[method-assign]


def test_after_any_other_failure_the_record_is_delivered_again(quick: World) -> None:
    make_stage(quick)
    start(quick, REQUEST)
    (job_id,) = jobs_of(quick)
    quick.ecs.start(quick.task_of(job_id))
    quick.run_until_idle()
    quick.ecs.finish(quick.task_of(job_id), 0)
    quick.deliver_messages()
    answer = quick.machines.do_send_task_success
    refuse(quick, "ThrottlingException")
    quick.deliver_stream()
    assert [type(failure) for failure in quick.failures] == [ClientError]
    quick.failures.clear()
    quick.machines.do_send_task_success = answer  # type: ignore[method-assign]
    quick.run_until_idle()
    assert [call for call, _ in answers(quick)] == ["SendTaskSuccess"]


def test_another_try_of_a_task_is_answered_too(any_world: World) -> None:
    """Each try of a task has a token of its own; the job is the first one's."""
    make_stage(any_world)
    event = REQUEST | {"clientToken": "mine"}
    first = any_world.submit(event | {"taskToken": "one"})
    for _ in range(2):
        assert any_world.submit(event | {"taskToken": "two"}) == first
    end(any_world)
    found = any_world.ports.jobs.find_specs([first["jobId"]])[first["jobId"]]
    assert found.task_tokens == {"one", "two"}
    # Tokens that no execution has: both are tried, and refused by the service.
    assert any_world.calls.count("stepfunctions.SendTaskSuccess") == 2


def test_a_token_that_arrives_after_the_job_s_end_is_answered_at_once(any_world: World) -> None:
    make_stage(any_world)
    request = REQUEST | {"clientToken": "arn:of:nobody"}
    any_world.submit(request)
    end(any_world)
    machine = any_world.machines.add_machine("late", late_machine())
    run = start(any_world, request, machine=machine)
    assert run.output["status"] == "SUCCEEDED"
    any_world.run_until_idle()


def late_machine() -> Json:
    payload = {"request.$": "$", "taskToken.$": "$$.Task.Token"}
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {"FunctionName": "arn:aws:lambda:::function:submit", "Payload": payload},
        "End": True,
    }
    return {"StartAt": "Late", "States": {"Late": state}}


def test_a_token_for_a_job_that_has_expired_changes_nothing(any_world: World) -> None:
    make_stage(any_world)
    job_id = any_world.submit(REQUEST)["jobId"]
    end(any_world)
    any_world.expire(job_id)
    any_world.run_until_idle()
    assert not any_world.ports.jobs.add_task_token(job_id, "late")
    answering.wait_for(job_id, "late", any_world.ports)
    assert any_world.ports.jobs.find_specs([job_id]) == {}


@pytest.mark.parametrize(
    "request_",
    [
        {**REQUEST, "jobQueue": "nobody"},
        {**REQUEST, "arrayProperties": {"size": 1}},
        {"jobName": "job"},
        "text",
        [],
    ],
    ids=["queue", "array", "members", "text", "list"],
)
def test_a_refused_request_is_an_error_of_the_execution(quick: World, request_: Any) -> None:
    make_stage(quick)
    run = start(quick, request_)
    assert run.failure is not None
    assert run.failure.error == "ClientException"
    assert run.failure.cause
    assert jobs_of(quick) == []
    assert run.execution.handled == set()


def test_the_api_never_shows_a_token(quick: World) -> None:
    make_stage(quick)
    job_id = quick.submit(REQUEST | {"taskToken": "secret-token"})["jobId"]
    end(quick)
    seen = [quick.detail(job_id), *(entry["Detail"] for entry in quick.events.published)]
    assert "secret-token" not in json.dumps(seen, default=str)


def test_tags_and_tokens_change_independently(any_world: World) -> None:
    """Both are in one row, and each change leaves the other alone."""
    make_stage(any_world)
    answered = any_world.submit(REQUEST | {"taskToken": "one", "clientToken": "mine"})
    arn = answered["jobArn"]
    any_world.api("TagResource", {"resourceArn": arn, "tags": {"colour": "green"}})
    any_world.submit(REQUEST | {"taskToken": "two", "clientToken": "mine"})
    spec = any_world.ports.jobs.find_specs([answered["jobId"]])[answered["jobId"]]
    assert spec.task_tokens == {"one", "two"}
    assert spec.tags == {"colour": "green"}
    any_world.run_until_idle()


@pytest.mark.parametrize("exit_code", [0, 3])
def test_a_detail_over_the_limit_is_sent_in_its_short_form(
    quick: World, exit_code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_stage(quick)
    run = start(quick, REQUEST)
    for name in ("OUTPUT_LIMIT_BYTES", "CAUSE_LIMIT"):
        monkeypatch.setattr(answering, name, 300)
    end(quick, exit_code)
    (job_id,) = jobs_of(quick)
    detail = quick.detail(job_id)
    short = {name: detail[name] for name in answering.SHORT_FORM}
    short["container"] = {"exitCode": exit_code}
    answer = run.output if run.failure is None else json.loads(run.failure.cause)
    assert answer == short


def test_the_short_form_fits_the_cause_of_a_failure() -> None:
    """A job's reason has at most 1,024 characters and its name 128, six characters of JSON each."""
    longest = dict.fromkeys(answering.SHORT_FORM, "\u00e9" * 1024)
    assert len(json.dumps(longest)) < CAUSE_LIMIT
