"""The run_job machine and the examples around it, run over the World with jobs."""

import json
from typing import Any

import pytest

from chalicelib.core.ids import Fence
from tests.support.asl import Callback, Execution, TaskError
from tests.support.drivers import run_to_the_end
from tests.support.fake_step_functions import SUBMIT_ARN
from tests.support.scenes import make_definition, make_stage
from tests.support.stack import machine
from tests.support.waiting import REQUEST, add_example, jobs_of, start
from tests.support.world import World

WAIT = "arn:aws:states:::lambda:invoke.waitForTaskToken"
MACHINE = machine("RunJobMachine", {"SubmitFunctionArn": SUBMIT_ARN})
NESTED = {"jobQueue": "queue", "jobDefinition": "work", "parameters": {"a": "b"}}


class Outside:
    """The submit function: it fails as often as `failures` says, then waits for the callback."""

    def __init__(self, *failures: str, answer: Any = None) -> None:
        self.failures, self.answer = list(failures), answer
        self.payloads: list[Any] = []

    def invoke(self, resource: str, parameters: Any) -> Any:
        assert (resource, parameters["FunctionName"]) == (WAIT, SUBMIT_ARN)
        self.payloads.append(parameters["Payload"])
        if self.failures:
            raise TaskError(self.failures.pop(0), "no")
        return Callback(self.answer, is_answered=True)


def carried_out(outside: Outside) -> tuple[Execution, Any]:
    tokens = iter(f"token-{number}" for number in range(20))
    execution = Execution(
        definition=MACHINE,
        invoke=outside.invoke,
        context={"Execution": {"Id": "arn:run"}},
        new_token=lambda: next(tokens),
    )
    steps = execution.run(REQUEST)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return execution, end.value


def test_the_function_gets_the_request_the_execution_and_a_token() -> None:
    outside = Outside(answer={"jobId": "x"})
    execution, output = carried_out(outside)
    assert output == {"jobId": "x"}
    assert outside.payloads == [
        {"request": REQUEST, "clientToken": "arn:run", "taskToken": "token-0"}
    ]
    assert execution.entered == ["RunJob"]
    assert "State transitions: 1." in MACHINE["Comment"]


def test_a_function_that_fails_is_called_again_for_the_same_job() -> None:
    outside = Outside("Lambda.Unknown", "Lambda.ServiceException", answer={})
    carried_out(outside)
    assert [payload["clientToken"] for payload in outside.payloads] == ["arn:run"] * 3
    assert [payload["taskToken"] for payload in outside.payloads] == [
        "token-0", "token-1", "token-2",
    ]  # fmt: skip


@pytest.mark.parametrize("error", ["Batch.JobFailed", "ClientException", "States.Timeout"])
def test_the_execution_ends_as_its_job_did(error: str) -> None:
    outside = Outside(answer=TaskError(error, "because"))
    with pytest.raises(TaskError) as failure:
        carried_out(outside)
    assert (failure.value.error, failure.value.cause) == (error, "because")
    assert len(outside.payloads) == 1


def test_a_function_that_keeps_failing_fails_the_execution() -> None:
    outside = Outside(*["Lambda.Unknown"] * 20)
    with pytest.raises(TaskError, match=r"Lambda\.Unknown"):
        carried_out(outside)
    assert len(outside.payloads) == 9


@pytest.fixture(name="stage")
def make_the_stage(quick: World) -> World:
    make_stage(quick)
    return quick


def finish(world: World, *failing: str) -> None:
    """Run all jobs to their ends; those with these names fail, and so do their dependents."""
    rounds = 3  # jobs that depend on others

    def script(fence: Fence) -> int:
        return int(world.detail(fence.job_id)["jobName"] in failing)

    for _ in range(rounds):
        run_to_the_end(world, jobs_of(world), script)


def test_the_nested_example_succeeds_with_the_job(stage: World) -> None:
    run = start(stage, NESTED, machine=add_example(stage, "nested"))
    finish(stage)
    (job_id,) = jobs_of(stage)
    assert run.output == {"jobId": job_id, "status": "SUCCEEDED"}
    assert stage.detail(job_id)["parameters"] == {"a": "b"}


def test_the_nested_example_catches_the_job_s_failure(stage: World) -> None:
    run = start(stage, NESTED, machine=add_example(stage, "nested"))
    finish(stage, "nested")
    assert run.failure is not None
    assert run.failure.error == "States.TaskFailed"
    assert json.loads(run.failure.cause)["Error"] == "Batch.JobFailed"
    assert run.execution.handled == {"RunJob catch"}


def test_the_flat_example_waits_without_a_nested_execution(stage: World) -> None:
    run = start(stage, REQUEST, machine=add_example(stage, "flat"))
    finish(stage)
    (job_id,) = jobs_of(stage)
    assert run.output == stage.detail(job_id)
    own = stage.machines.own_machines
    assert [r.name for r in stage.machines.ended if r.machine not in own] == ["run"]


def test_the_flat_example_reads_the_failed_job(stage: World) -> None:
    run = start(stage, REQUEST, machine=add_example(stage, "flat"))
    finish(stage, "job")
    assert run.failure is None
    assert run.output["failed"]["status"] == "FAILED"


def scatter(world: World) -> Any:
    given = {
        "jobQueue": "queue",
        "scatterDefinition": "work",
        "gatherDefinition": make_definition(world, "gather"),
        "size": 2,
    }
    return start(world, given, machine=add_example(world, "scatter_gather"))


def test_the_scatter_example_gathers_after_the_array(stage: World) -> None:
    run = scatter(stage)
    array, gathering = jobs_of(stage)
    assert stage.detail(gathering)["status"] == "PENDING"
    finish(stage)
    assert run.output == stage.detail(gathering)
    assert run.output["status"] == "SUCCEEDED"
    assert run.output["dependsOn"] == [{"jobId": array}]
    assert stage.detail(array)["arrayProperties"]["statusSummary"]["SUCCEEDED"] == 2


def test_the_scatter_example_fails_with_the_array(stage: World) -> None:
    run = scatter(stage)
    finish(stage, "scatter")
    assert run.failure is not None
    assert "Dependent Job failed" in run.failure.cause


def test_the_map_example_returns_the_end_of_every_job(stage: World) -> None:
    jobs = [REQUEST | {"jobName": name} for name in ("one", "two", "three")]
    run = start(stage, {"jobs": jobs}, machine=add_example(stage, "map"))
    finish(stage, "two")
    one, two, three = run.output
    assert (one["status"], three["status"]) == ("SUCCEEDED", "SUCCEEDED")
    assert (two["failed"]["jobName"], two["failed"]["status"]) == ("two", "FAILED")
    assert len(jobs_of(stage)) == 3


def test_every_example_is_run_here() -> None:
    from tests.machines.test_source import EXAMPLES

    names = {name.removesuffix(".asl.json") for name in EXAMPLES}
    assert names == {"nested", "flat", "scatter_gather", "map"}
