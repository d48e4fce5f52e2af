"""The environment of a job is in no log of ours, and in no execution whose history can be read.

A marked value goes through the simulated account in every way that a job can take, and everything
that is kept of it in logs and in Standard executions is searched.
"""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError

from chalicelib.handlers.submit import ClientException
from chalicelib.observe import logger
from tests.support.clients import client_error
from tests.support.drivers import run_to_the_end
from tests.support.fake_step_functions import LAUNCH_MACHINE_ARN, RUN_JOB_MACHINE_ARN
from tests.support.multinode import make_multinode_stage
from tests.support.scenes import make_definition, make_stage, make_task_definition, submit
from tests.support.triggers import document
from tests.support.triggers import put as put_trigger
from tests.support.world import ApiError, World
from tests.support.world import world as a_world

SECRET = "s3cr3t-of-the-job"
ENVIRONMENT = [{"name": "TOKEN", "value": SECRET}]
LONG = [*ENVIRONMENT, {"name": "FILLER", "value": "x" * 9000}]  # more than ECS takes as overrides
Json = dict[str, Any]


class Kept:
    """What an account keeps: log lines, and the data of Standard executions."""

    def __init__(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog
        self.data: list[str] = []
        self.launches: list[str] = []
        start, step = world.machines.do_start_execution, world.machines._run_step

        def do_start_execution(params: Json) -> Json:
            # An Express execution keeps nothing: its log has no data.
            is_express = params["stateMachineArn"] == LAUNCH_MACHINE_ARN
            (self.launches if is_express else self.data).append(json.dumps(params))
            return start(params)

        def run_step(function: str, payload: Json) -> Json:
            answered = step(function, payload)
            self.data.append(json.dumps([payload, answered]))
            return answered

        world.machines.__dict__["do_start_execution"] = do_start_execution
        world.machines._run_step = run_step

    @property
    def lines(self) -> list[str]:
        formatter = logger.registered_formatter
        ours = [record for record in self._caplog.records if record.name == "batchyard"]
        assert ours, "nothing was logged: the test would find nothing"
        return [formatter.format(record) for record in ours]

    def assert_clean(self) -> None:
        assert [one for one in self.lines + self.data if SECRET in one] == []
        assert any(SECRET in one for one in self.launches), "no job had the value"


@pytest.fixture(name="world")
def make_world() -> Iterator[World]:
    with a_world(in_memory=True) as made:
        yield made


@pytest.fixture(name="kept")
def make_kept(world: World, caplog: pytest.LogCaptureFixture) -> Kept:
    caplog.set_level(logging.DEBUG, logger="batchyard")
    return Kept(world, caplog)


def overrides(environment: list[Json] = ENVIRONMENT) -> Json:
    return {"containerOverrides": {"environment": environment}}


def test_a_job_that_runs_fails_is_retried_and_is_stopped(world: World, kept: Kept) -> None:
    make_stage(world)
    make_definition(world, container={"environment": ENVIRONMENT})
    jobs = [
        submit(world),
        submit(world, **overrides()),
        submit(world, **overrides(LONG)),
        submit(world, retryStrategy={"attempts": 2}),
        submit(world, arrayProperties={"size": 3}),
        submit(world),
    ]
    world.run_until_idle()
    world.api("TerminateJob", {"jobId": jobs[-1], "reason": "no"})
    run_to_the_end(world, jobs, lambda fence: 1)
    world.sweep()
    kept.assert_clean()


def test_a_task_of_several_containers(world: World, kept: Kept) -> None:
    make_stage(world)
    make_task_definition(
        world, {"name": "a", "environment": ENVIRONMENT}, {"name": "b", "environment": LONG}
    )
    run_to_the_end(world, [submit(world)], lambda fence: 0)
    small = {"name": "a", "environment": ENVIRONMENT}
    make_task_definition(world, small, {"name": "b"})
    run_to_the_end(world, [submit(world)], lambda fence: 0)
    kept.assert_clean()


def test_the_nodes_of_a_job(world: World, kept: Kept) -> None:
    make_multinode_stage(world)
    override = {"targetNodes": "0:", "containerOverrides": {"environment": ENVIRONMENT}}
    job_id = submit(
        world,
        jobDefinition="multinode",
        nodeOverrides={"nodePropertyOverrides": [override]},
    )
    run_to_the_end(world, [job_id], lambda fence: 0)
    kept.assert_clean()
    assert any("fence" in one for one in kept.data), "no machine was started for the nodes"


@pytest.mark.parametrize(
    "error",
    [
        client_error("ClientException", "Container.image should not be blank.", "RunTask"),
        client_error("ThrottlingException", "Rate exceeded", "RunTask"),
    ],
)
def test_a_launch_that_is_refused(world: World, kept: Kept, error: ClientError) -> None:
    make_stage(world)
    world.ecs.refusals = [error] * 20
    job_id = submit(world, **overrides())
    world.run_until_idle()
    run_to_the_end(world, [job_id], lambda fence: 0)
    kept.assert_clean()


def test_a_registration_whose_error_repeats_the_request(
    world: World, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """botocore's own errors quote values, those of the environment too."""
    make_stage(world)
    run_to_the_end(world, [submit(world, **overrides())], lambda fence: 0)
    report = f"Invalid type for parameter environment[0].value, value: {SECRET}, type: x"

    def refused(params: Json) -> Json:
        raise ParamValidationError(report=report)

    monkeypatch.setattr(world.ecs, "do_register_task_definition", refused)
    job_id = submit(world, **overrides(LONG))
    run_to_the_end(world, [job_id], lambda fence: 0)
    assert SECRET not in world.detail(job_id)["statusReason"]
    kept.assert_clean()


def test_requests_that_are_refused(world: World, kept: Kept) -> None:
    make_stage(world)
    run_to_the_end(world, [submit(world, **overrides())], lambda fence: 0)
    for wrong in (
        {"jobQueue": "nobody"},
        {"containerOverrides": {"environment": [{"name": "A", "value": SECRET}] * 2 + [SECRET]}},
        {"containerOverrides": {"environment": [{"name": "A", "value": [SECRET]}]}},
        {"containerOverrides": {"environment": [{"name": "A", "value": f"{SECRET}\0"}]}},
        {"containerOverrides": {"environment": {"A": SECRET}}},
    ):
        request = {"jobName": "job", "jobQueue": "queue", "jobDefinition": "work", **overrides()}
        with pytest.raises(ApiError):
            world.api("SubmitJob", request | wrong)
        # The function's log has the message of what it raises.
        with pytest.raises(ClientException) as raised:
            world.submit(request | wrong)
        assert SECRET not in str(raised.value)
    kept.assert_clean()


def test_a_store_that_fails(world: World, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    make_stage(world)
    run_to_the_end(world, [submit(world, **overrides())], lambda fence: 0)

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no")

    with monkeypatch.context() as patch:
        patch.setattr(world.ports.jobs, "submit", broken)
        with pytest.raises(ApiError, match="500"):
            submit(world, **overrides())
    kept.assert_clean()


def test_a_job_of_a_trigger(world: World, kept: Kept) -> None:
    make_stage(world)
    body = document()
    put_trigger(world, "orders", body | {"request": body["request"] | overrides()})
    world.run_until_idle()
    run_to_the_end(world, [submit(world, **overrides())], lambda fence: 0)
    kept.assert_clean()


def test_an_execution_of_run_job_has_what_its_caller_put_into_it(world: World, kept: Kept) -> None:
    """The one that remains (infra/docs/access.md): a request is the input of a Standard machine."""
    make_stage(world)
    request = {"jobName": "job", "jobQueue": "queue", "jobDefinition": "work", **overrides()}
    world.machines.answer(
        "StartExecution",
        {"stateMachineArn": RUN_JOB_MACHINE_ARN, "name": "run", "input": json.dumps(request)},
    )
    world.run_until_idle()
    (task,) = world.ecs.live()
    run_to_the_end(world, [task.started_by.partition("/")[0]], lambda fence: 0)
    assert any(SECRET in one for one in kept.data)
    assert [line for line in kept.lines if SECRET in line] == []
