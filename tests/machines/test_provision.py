"""The provision machine, carried out state by state."""

from typing import Any

import pytest

from chalicelib.engine.provision.steps import STEPS
from tests.support import stack
from tests.support.asl import Execution, TaskError

FUNCTION = "arn:function"
MACHINE = stack.machine("ProvisionMachine", {"ProvisionStepArn": FUNCTION})
ENVIRONMENT = {"kind": "compute-environment", "name": "fargate"}
QUEUE = {"kind": "job-queue", "name": "queue"}
TRIGGER = {"kind": "trigger", "name": "nightly"}
CAUSE = '{"errorMessage": "no", "errorType": "AccessDenied"}'


class Function:
    """The function behind the states: fails each step as often as told, drains in turn."""

    def __init__(self, *, drained: tuple[int, ...] = (0,), **failures: int) -> None:
        self.failures = failures
        self.drained = list(drained)
        self.error = "AccessDenied"
        self.steps: list[str] = []
        self.payloads: list[dict[str, Any]] = []

    def invoke(self, resource: str, parameters: Any) -> Any:
        assert resource == "arn:aws:states:::lambda:invoke"
        assert parameters["FunctionName"] == FUNCTION
        payload = parameters["Payload"]
        step = payload["step"]
        self.steps.append(step)
        self.payloads.append(payload)
        if self.failures.get(step, 0) > 0:
            self.failures[step] -= 1
            raise TaskError(self.error, CAUSE)
        return {"Payload": {"remaining": self.drained.pop(0)} if step == "drain" else {}}


def carried_out(function: Function, request: dict[str, str]) -> tuple[Execution, list[float]]:
    execution = Execution(definition=MACHINE, invoke=function.invoke)
    steps = execution.run(request)
    waits: list[float] = []
    while True:
        try:
            waits.append(next(steps))
        except StopIteration:
            return execution, waits


def test_every_step_of_the_machine_is_a_step_of_the_function() -> None:
    named = {
        state["Parameters"]["Payload"]["step"]
        for state in MACHINE["States"].values()
        if state["Type"] == "Task"
    }
    assert named == set(STEPS)


@pytest.mark.parametrize(
    ("request_", "steps"),
    [
        ({**ENVIRONMENT, "action": "make"}, ["make_cluster", "accept"]),
        ({**ENVIRONMENT, "action": "remove"}, ["remove_cluster", "remove"]),
        ({**QUEUE, "action": "remove"}, ["drain", "remove"]),
        ({**TRIGGER, "action": "make"}, ["make_trigger", "accept"]),
        ({**TRIGGER, "action": "remove"}, ["remove_trigger", "remove"]),
    ],
)
def test_a_change_is_carried_out_step_by_step(request_: dict[str, str], steps: list[str]) -> None:
    function = Function()
    execution, waits = carried_out(function, request_)
    assert function.steps == steps
    assert (waits, execution.entered[-1]) == ([], "Done")
    for payload in function.payloads:
        assert (payload["kind"], payload["name"]) == (request_["kind"], request_["name"])


def test_a_queue_is_drained_until_nothing_is_left() -> None:
    function = Function(drained=(100, 2, 0))
    _, waits = carried_out(function, {**QUEUE, "action": "remove"})
    assert function.steps == ["drain", "drain", "drain", "remove"]
    assert waits == [3, 3]


@pytest.mark.parametrize(
    ("request_", "step"),
    [
        ({**ENVIRONMENT, "action": "make"}, "make_cluster"),
        ({**ENVIRONMENT, "action": "make"}, "accept"),
        ({**ENVIRONMENT, "action": "remove"}, "remove_cluster"),
        ({**ENVIRONMENT, "action": "remove"}, "remove"),
        ({**QUEUE, "action": "remove"}, "drain"),
        ({**TRIGGER, "action": "make"}, "make_trigger"),
        ({**TRIGGER, "action": "remove"}, "remove_trigger"),
    ],
)
def test_a_step_is_tried_again_and_its_last_failure_becomes_the_reason(
    request_: dict[str, str], step: str
) -> None:
    once = Function(**{step: 1})  # type: ignore[arg-type]
    execution, waits = carried_out(once, request_)
    assert once.steps.count(step) == 2
    assert len(waits) == 1
    assert execution.entered[-1] == "Done"
    always = Function(**{step: 99})  # type: ignore[arg-type]
    execution, _ = carried_out(always, request_)
    assert always.steps[-1] == "reject"
    assert always.payloads[-1]["cause"] == CAUSE
    assert execution.entered[-2:] == ["Reject", "Done"]


def test_a_cluster_in_use_is_waited_for_longer() -> None:
    function = Function(remove_cluster=12)
    function.error = "ClusterInUseError"
    execution, waits = carried_out(function, {**ENVIRONMENT, "action": "remove"})
    assert function.steps[-1] == "remove"
    assert 120 < sum(waits) <= 600
    assert execution.entered[-1] == "Done"


def test_a_trigger_that_aws_refuses_is_not_tried_again() -> None:
    function = Function(make_trigger=99)
    function.error = "RefusedError"
    execution, waits = carried_out(function, {**TRIGGER, "action": "make"})
    assert (function.steps, waits) == (["make_trigger", "reject"], [])
    assert execution.entered[-2:] == ["Reject", "Done"]


def test_an_execution_that_cannot_even_say_why_fails_itself() -> None:
    function = Function(make_cluster=99, reject=99)
    with pytest.raises(TaskError, match="ProvisionFailed"):
        carried_out(function, {**ENVIRONMENT, "action": "make"})


def test_every_state_is_come_by_in_these_tests() -> None:
    entered: set[str] = set()
    for request, function in (
        ({**ENVIRONMENT, "action": "make"}, Function()),
        ({**ENVIRONMENT, "action": "remove"}, Function(remove=99)),
        ({**QUEUE, "action": "remove"}, Function(drained=(1, 0))),
        ({**TRIGGER, "action": "make"}, Function()),
        ({**TRIGGER, "action": "remove"}, Function()),
    ):
        entered.update(carried_out(function, request)[0].entered)
    failing = Execution(definition=MACHINE, invoke=Function(drain=99, reject=99).invoke)
    steps = failing.run({**QUEUE, "action": "remove"})
    with pytest.raises(TaskError):
        for _ in steps:
            pass
    assert entered | set(failing.entered) == set(MACHINE["States"])
