"""The provision machines, run state by state."""

from typing import Any

import pytest

from chalicelib.engine.provision.steps import PATIENCE_SECONDS, POSTPONE, REJECT, STEPS
from tests.support import stack
from tests.support.asl import Execution, TaskError
from tests.support.fake_step_functions import PROVISION_MACHINE_ARN_PREFIX, PROVISION_MACHINES

FUNCTION = "arn:function"
MACHINES = {
    arn.removeprefix(PROVISION_MACHINE_ARN_PREFIX): stack.machine(
        logical_id, {"ProvisionStepArn": FUNCTION}
    )
    for arn, logical_id in PROVISION_MACHINES.items()
}
ENVIRONMENT, QUEUE, TRIGGER = "compute-environment", "job-queue", "trigger"
NAMES = {ENVIRONMENT: "fargate", QUEUE: "queue", TRIGGER: "nightly"}
MAKING = ("make_cluster", "make_capacity", "attach_providers", "accept")
REMOVING = (
    "drain_capacity",
    "detach_providers",
    "remove_capacity",
    "remove_cluster",
    "remove",
)
STARTED_AT = "2027-01-15T08:00:00.000Z"
CAUSE = '{"errorMessage": "no", "errorType": "AccessDenied"}'


class Function:
    """The function behind the states: fails a step as often as `failures` says."""

    def __init__(self, *, drained: tuple[int, ...] = (0,), **failures: int) -> None:
        self.failures = failures
        self.drained = list(drained)
        self.error = "AccessDenied"
        self.patience = 99  # how many postponements it answers with WAIT, and one more
        self.steps: list[str] = []
        self.payloads: list[dict[str, Any]] = []

    def invoke(self, resource: str, parameters: Any) -> Any:
        assert resource == "arn:aws:states:::lambda:invoke"
        assert parameters["FunctionName"] == FUNCTION
        payload = parameters["Payload"]
        step = payload["step"]
        self.steps.append(step)
        self.patience -= step == "postpone"
        self.payloads.append(payload)
        if self.failures.get(step, 0) > 0:
            self.failures[step] -= 1
            raise TaskError(self.error, CAUSE)
        if step == "postpone":
            assert payload["since"] == STARTED_AT
            decision = "WAIT" if self.patience > 0 else "GIVE_UP"
            return {"Payload": {"decision": decision, "seconds": 300}}
        return {"Payload": {"remaining": self.drained.pop(0)} if step == "drain" else {}}


def execution_of(function: Function, kind: str) -> Execution:
    context = {"Execution": {"StartTime": STARTED_AT}}
    return Execution(definition=MACHINES[kind], invoke=function.invoke, context=context)


def passing(step: str) -> Function:
    """Return a function whose step passes in the tenth try, the second after a pause."""
    function = Function(**{step: 9})  # type: ignore[arg-type]
    function.error = "PassingError"
    return function


def run(function: Function, kind: str, action: str) -> tuple[Execution, list[float]]:
    """Run the machine of the kind to its end; return the execution and its waits in seconds."""
    execution = execution_of(function, kind)
    steps = execution.run({"name": NAMES[kind], "action": action})
    waits: list[float] = []
    while True:
        try:
            waits.append(next(steps))
        except StopIteration:
            return execution, waits


def test_there_is_a_machine_for_every_kind_that_is_provisioned() -> None:
    assert set(MACHINES) == set(STEPS)


@pytest.mark.parametrize("kind", MACHINES)
def test_a_machine_calls_every_step_of_its_kind_and_no_other(kind: str) -> None:
    tasks = [one for one in MACHINES[kind]["States"].values() if one["Type"] == "Task"]
    payloads = [task["Parameters"]["Payload"] for task in tasks]
    assert {payload["step"] for payload in payloads} == {*STEPS[kind], POSTPONE, REJECT}
    assert {payload["kind"] for payload in payloads} == {kind}


@pytest.mark.parametrize(
    ("kind", "action", "steps"),
    [
        (ENVIRONMENT, "make", [*MAKING]),
        (ENVIRONMENT, "remove", [*REMOVING]),
        (QUEUE, "remove", ["drain", "remove"]),
        (TRIGGER, "make", ["make_trigger", "accept"]),
        (TRIGGER, "remove", ["remove_trigger", "remove"]),
    ],
)
def test_a_change_is_made_step_by_step(kind: str, action: str, steps: list[str]) -> None:
    function = Function()
    execution, waits = run(function, kind, action)
    assert function.steps == steps
    assert (waits, execution.entered[-1]) == ([], "Done")
    for payload in function.payloads:
        assert (payload["kind"], payload["name"]) == (kind, NAMES[kind])


def test_a_queue_is_drained_until_nothing_is_left() -> None:
    function = Function(drained=(100, 2, 0))
    _, waits = run(function, QUEUE, "remove")
    assert function.steps == ["drain", "drain", "drain", "remove"]
    assert waits == [3, 3]


@pytest.mark.parametrize(
    ("kind", "action", "step"),
    [
        *((ENVIRONMENT, "make", step) for step in MAKING),
        *((ENVIRONMENT, "remove", step) for step in REMOVING),
        (QUEUE, "remove", "drain"),
        (TRIGGER, "make", "make_trigger"),
        (TRIGGER, "remove", "remove_trigger"),
    ],
)
def test_a_step_is_tried_again_and_its_last_failure_is_the_reason(
    kind: str, action: str, step: str
) -> None:
    once = Function(**{step: 1})  # type: ignore[arg-type]
    execution, waits = run(once, kind, action)
    assert once.steps.count(step) == 2
    assert len(waits) == 1
    assert execution.entered[-1] == "Done"
    always = Function(**{step: 99})  # type: ignore[arg-type]
    execution, _ = run(always, kind, action)
    assert always.steps[-1] == "reject"
    assert always.payloads[-1]["cause"] == CAUSE
    assert execution.entered[-2:] == ["Reject", "Done"]


def test_a_cluster_in_use_is_waited_for_longer() -> None:
    function = Function(remove_cluster=12)
    function.error = "ClusterInUseError"
    execution, waits = run(function, ENVIRONMENT, "remove")
    assert function.steps[-1] == "remove"
    assert 120 < sum(waits) <= 600
    assert execution.entered[-1] == "Done"


PASSING = ("PassingError", "Lambda.TooManyRequestsException", "States.Timeout")
STEPS_OF_MACHINES = [
    (kind, action, step)
    for kind, action, steps in (
        (ENVIRONMENT, "make", MAKING),
        (ENVIRONMENT, "remove", REMOVING),
        (QUEUE, "remove", ("drain", "remove")),
        (TRIGGER, "make", ("make_trigger", "accept")),
        (TRIGGER, "remove", ("remove_trigger", "remove")),
    )
    for step in steps
]


@pytest.mark.parametrize("error", PASSING)
@pytest.mark.parametrize(("kind", "action", "step"), STEPS_OF_MACHINES)
def test_what_passes_by_itself_is_waited_for_and_never_rejected(
    kind: str, action: str, step: str, error: str
) -> None:
    function = Function(drained=(0,) * 9, **{step: 20})
    function.error = error
    execution, waits = run(function, kind, action)
    assert "reject" not in function.steps
    assert execution.entered[-1] == "Done"
    assert function.steps.count("postpone") == 2, "twice the tries of a step were not enough"
    assert function.payloads[function.steps.index("postpone")]["cause"] == CAUSE
    assert max(wait for wait in waits if wait != 300) <= 30
    assert waits.count(300) == 2


@pytest.mark.parametrize(("kind", "action", "step"), STEPS_OF_MACHINES)
def test_what_does_not_pass_in_half_a_day_is_rejected_with_its_reason(
    kind: str, action: str, step: str
) -> None:
    function = Function(drained=(0,) * 9, **{step: 99})
    function.error, function.patience = "PassingError", 3
    execution, _ = run(function, kind, action)
    assert function.steps.count("postpone") == 3
    assert (function.steps[-1], function.payloads[-1]["cause"]) == ("reject", CAUSE)
    assert execution.entered[-1] == "Done"


def test_a_postponement_that_cannot_be_recorded_changes_nothing() -> None:
    function = Function(make_cluster=10, postpone=99)
    function.error = "PassingError"
    execution, _ = run(function, ENVIRONMENT, "make")
    assert {"Postpone retry", "Postpone catch"} <= execution.handled
    assert (function.steps[-1], execution.entered[-1]) == ("accept", "Done")


def test_a_machine_of_a_change_waits_longer_than_an_update_may_take_and_then_ends() -> None:
    longest = PATIENCE_SECONDS + 7200 * 60  # what an update policy may leave to jobs
    assert longest < MACHINES[ENVIRONMENT]["TimeoutSeconds"] <= 7 * 24 * 3600
    assert MACHINES[TRIGGER]["TimeoutSeconds"] <= 24 * 3600


def test_a_trigger_that_aws_refuses_is_not_tried_again() -> None:
    function = Function(make_trigger=99)
    function.error = "RefusedError"
    execution, waits = run(function, TRIGGER, "make")
    assert (function.steps, waits) == (["make_trigger", "reject"], [])
    assert execution.entered[-2:] == ["Reject", "Done"]


def test_an_execution_that_cannot_record_the_reason_fails() -> None:
    function = Function(make_cluster=99, reject=99)
    with pytest.raises(TaskError, match="ProvisionFailed"):
        run(function, ENVIRONMENT, "make")


def test_every_state_is_entered_in_these_tests() -> None:
    entered: dict[str, set[str]] = {kind: set() for kind in MACHINES}
    for kind, action, function in (
        (ENVIRONMENT, "make", Function()),
        (ENVIRONMENT, "remove", Function(remove=99)),
        (QUEUE, "remove", Function(drained=(1, 0))),
        (TRIGGER, "make", Function()),
        (TRIGGER, "remove", Function(remove=99)),
        (ENVIRONMENT, "make", passing("make_cluster")),
        (QUEUE, "remove", passing("drain")),
        (TRIGGER, "make", passing("make_trigger")),
    ):
        entered[kind].update(run(function, kind, action)[0].entered)
    for kind, action, step in (
        (ENVIRONMENT, "make", "make_cluster"),
        (QUEUE, "remove", "drain"),
        (TRIGGER, "make", "make_trigger"),
    ):
        function = Function(**{step: 99}, reject=99)  # type: ignore[arg-type]
        execution = execution_of(function, kind)
        with pytest.raises(TaskError, match="ProvisionFailed"):
            for _ in execution.run({"name": NAMES[kind], "action": action}):
                pass
        entered[kind].update(execution.entered)
    assert entered == {kind: set(machine["States"]) for kind, machine in MACHINES.items()}
