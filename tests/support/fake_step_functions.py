"""Step Functions in memory: runs the stack's own machines, resumed by the World."""

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from botocore.model import Shape

from tests.support import stack
from tests.support.asl import Callback, Execution, Steps, TaskError
from tests.support.clients import FakeClient, OnCall, client_error, service_model
from tests.support.fake_ecs import FakeEcs
from tests.support.fake_sqs import TASK_EVENTS_QUEUE_URL, FakeSqs

_PREFIX = f"arn:aws:states:{stack.REGION}:{stack.ACCOUNT}:stateMachine:{stack.STACK}"
LAUNCH_MACHINE_ARN = f"{_PREFIX}-launch"
MULTINODE_MACHINE_ARN = f"{_PREFIX}-multinode"
PROVISION_MACHINE_ARN_PREFIX = f"{_PREFIX}-provision-"
# The provision machines by their logical names in the template.
PROVISION_MACHINES = {
    f"{PROVISION_MACHINE_ARN_PREFIX}compute-environment": "ProvisionComputeEnvironmentMachine",
    f"{PROVISION_MACHINE_ARN_PREFIX}job-queue": "ProvisionJobQueueMachine",
    f"{PROVISION_MACHINE_ARN_PREFIX}trigger": "ProvisionTriggerMachine",
}
PROVISION_STEP_ARN = "arn:aws:lambda:::function:provision-step"
RUN_JOB_MACHINE_ARN = f"{_PREFIX}-run-job"
SUBMIT_ARN = "arn:aws:lambda:::function:submit"
NODE_STEP_ARN = "arn:aws:lambda:::function:node-step"
STANDARD = frozenset({MULTINODE_MACHINE_ARN, RUN_JOB_MACHINE_ARN, *PROVISION_MACHINES})
EXPRESS_LIMIT_MS = 5 * 60 * 1000
NAME_LIMIT, INPUT_LIMIT_BYTES = 80, 256 * 1024

Json = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Run:
    """A current execution, and when it goes on."""

    name: str
    machine: str
    execution: Execution
    steps: Steps
    due_at_ms: int
    failure: TaskError | None = None
    output: Any = None
    stopped: bool = False
    started_at_ms: int = 0
    waits_for: Callback | None = None  # of the execution that this one is nested in

    @property
    def arn(self) -> str:
        return f"{self.machine.replace(':stateMachine:', ':execution:')}:{self.name}"


class FakeStepFunctions(FakeClient):
    """Runs machines; `run_step` calls the function of that ARN behind a machine's states.

    `on_status` gets the event of an execution that was stopped.
    """

    service = "stepfunctions"
    # No execution of these may fail; those of users, and of run_job, end as their job ends.
    own_machines = frozenset({LAUNCH_MACHINE_ARN, MULTINODE_MACHINE_ARN, *PROVISION_MACHINES})

    def __init__(
        self,
        now_ms: Callable[[], int],
        on_call: OnCall,
        *,
        ecs: FakeEcs,
        sqs: FakeSqs,
        run_step: Callable[[str, Json], Json],
        on_status: Callable[[Json], None] = lambda event: None,
    ) -> None:
        super().__init__(now_ms, on_call)
        self._ecs, self._sqs, self._run_step = ecs, sqs, run_step
        self._on_status = on_status
        self._machines = {
            LAUNCH_MACHINE_ARN: stack.machine(
                "LaunchMachine", {"TaskEventsQueueUrl": TASK_EVENTS_QUEUE_URL}
            ),
            MULTINODE_MACHINE_ARN: stack.machine(
                "MultinodeMachine",
                {"NodeStepArn": NODE_STEP_ARN},
            ),
            RUN_JOB_MACHINE_ARN: stack.machine("RunJobMachine", {"SubmitFunctionArn": SUBMIT_ARN}),
        }
        for arn, logical_id in PROVISION_MACHINES.items():
            self._machines[arn] = stack.machine(
                logical_id, {"ProvisionStepArn": PROVISION_STEP_ARN}
            )
        self._names: set[tuple[str, str]] = set()
        self._numbers = itertools.count(1)
        self._callbacks: dict[str, tuple[Callback, Run]] = {}
        self._current: Run | None = None  # whose step is being carried out
        self.answers: list[tuple[str, str, Json]] = []  # (call, token, parameters), as accepted
        self.running: list[Run] = []
        self.ended: list[Run] = []

    def add_machine(self, name: str, definition: Json) -> str:
        """Add a user's Standard machine; return its ARN."""
        arn = f"{_PREFIX}-{name}"
        self._machines[arn] = definition
        return arn

    def run_named(self, name: str) -> Run:
        """Return the execution of that name, current or ended."""
        (run,) = [run for run in self.running + self.ended if run.name == name]
        return run

    def do_start_execution(self, params: Json) -> Json:
        machine = params["stateMachineArn"]
        name = params.get("name") or f"unnamed-{next(self._numbers)}"
        assert len(name) <= NAME_LIMIT, f"an execution's name has at most 80 characters: {name}"
        assert len(params["input"].encode()) <= INPUT_LIMIT_BYTES, "an input over 256 KiB"
        assert re.fullmatch(r"[\w.-]+", name), f"no name of an execution: {name}"
        if machine in STANDARD:
            # A Standard machine runs once for each name; an Express one as often as it is started.
            if (machine, name) in self._names:
                raise client_error("ExecutionAlreadyExists", name, "StartExecution")
            self._names.add((machine, name))
        arn = f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
        execution = Execution(
            definition=self._machines[machine],
            invoke=self._invoke,
            context={"Execution": {"Id": arn, "Name": name, "StartTime": self._time()}},
            new_token=lambda: f"token-{next(self._numbers)}",
            now_ms=self.now_ms,
        )
        self.running.append(
            Run(
                name=name,
                machine=machine,
                execution=execution,
                steps=execution.run(json.loads(params["input"])),
                due_at_ms=self.now_ms(),
                started_at_ms=self.now_ms(),
            )
        )
        return {"executionArn": arn}

    def _time(self) -> str:
        """Return the time as the context object has it."""
        moment = datetime.fromtimestamp(self.now_ms() / 1000, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def do_stop_execution(self, params: Json) -> Json:
        """Stop an execution and, as Step Functions does, those that are nested in it."""
        (run,) = [run for run in self.running if run.arn == params["executionArn"]]
        run.stopped = True
        self.running.remove(run)
        self.ended.append(run)
        waited_for = [id(callback) for callback, outer in self._callbacks.values() if outer is run]
        for one in [one for one in self.running if id(one.waits_for) in waited_for]:
            self.do_stop_execution({"executionArn": one.arn})
        self._on_status(
            {
                "source": "aws.states",
                "detail-type": "Step Functions Execution Status Change",
                "detail": {
                    "executionArn": run.arn,
                    "stateMachineArn": run.machine,
                    "status": "ABORTED",
                    "inputDetails": {"included": False},
                },
            }
        )
        return {"stopDate": 0}

    def do_send_task_success(self, params: Json) -> Json:
        output = params["output"]
        assert len(output.encode()) <= 262_144, "an output over 256 KiB"
        return self._answer("SendTaskSuccess", params, json.loads(output))

    def do_send_task_failure(self, params: Json) -> Json:
        assert len(params["error"]) <= 256
        assert len(params["cause"]) <= 32_768
        failure = TaskError(params["error"], params["cause"])
        return self._answer("SendTaskFailure", params, failure)

    def _answer(self, call: str, params: Json, answer: Any) -> Json:
        """Take the first answer to a token, for an execution that still waits for it."""
        token = params["taskToken"]
        if token not in self._callbacks:
            raise client_error("TaskDoesNotExist", token, call)
        callback, run = self._callbacks[token]
        if callback.is_answered or run not in self.running:
            raise client_error("TaskTimedOut", token, call)
        self.answers.append((call, token, params))
        self._complete(callback, run, answer)
        return {}

    def _complete(self, callback: Callback, run: Run, answer: Any) -> None:
        callback.answer, callback.is_answered = answer, True
        run.due_at_ms = self.now_ms()

    def due(self) -> list[Run]:
        return [run for run in self.running if run.due_at_ms <= self.now_ms()]

    def resume(self, run: Run) -> None:
        """Resume the execution until its next wait, or its end.

        An Express execution that is older than five minutes is over, whatever it had still to do.
        """
        age_ms = self.now_ms() - run.started_at_ms
        if run.machine == LAUNCH_MACHINE_ARN and age_ms > EXPRESS_LIMIT_MS:
            run.stopped = True
            self.running.remove(run)
            self.ended.append(run)
            return
        self._current = run
        try:
            seconds = next(run.steps)
        except StopIteration as end:
            run.output = end.value
        except TaskError as error:
            run.failure = error
        else:
            if run in self.running:
                run.due_at_ms = self.now_ms() + int(seconds * 1000)
            return
        self.running.remove(run)
        self.ended.append(run)
        self._answer_outer(run)

    def _answer_outer(self, run: Run) -> None:
        """Answer the execution that waits for this one."""
        reported = {"ExecutionArn": run.arn, "StateMachineArn": run.machine, "Name": run.name}
        for callback, outer in list(self._callbacks.values()):
            if callback is not run.waits_for:
                continue
            if run.failure is None:
                self._complete(
                    callback, outer, reported | {"Status": "SUCCEEDED", "Output": run.output}
                )
            else:
                failure = {"Error": run.failure.error, "Cause": run.failure.cause}
                cause = json.dumps(reported | {"Status": "FAILED"} | failure)
                self._complete(callback, outer, TaskError("States.TaskFailed", cause))

    def _invoke(self, resource: str, parameters: Json) -> Any:
        match resource:
            case "arn:aws:states:::aws-sdk:ecs:runTask":
                return self._run_task(parameters)
            case "arn:aws:states:::sqs:sendMessage":
                message = {**parameters, "MessageBody": json.dumps(parameters["MessageBody"])}
                return self._sqs.answer("SendMessage", message)
            case "arn:aws:states:::lambda:invoke":
                function, payload = parameters["FunctionName"], parameters["Payload"]
                return {"Payload": self._function(function, payload)}
            case "arn:aws:states:::lambda:invoke.waitForTaskToken":
                function, payload = parameters["FunctionName"], parameters["Payload"]
                callback = self._callback(payload["taskToken"])
                self._function(function, payload)
                return callback
            case "arn:aws:states:::states:startExecution":
                return _pascal(self.answer("StartExecution", _start(parameters)))
            case "arn:aws:states:::states:startExecution.sync:2":
                started = self.answer("StartExecution", _start(parameters))
                (run,) = [run for run in self.running if run.arn == started["executionArn"]]
                run.waits_for = self._callback(run.arn)
                return run.waits_for
            case _:
                raise AssertionError(f"an integration that is not known: {resource}")

    def _callback(self, token: str) -> Callback:
        assert self._current is not None, "only an execution waits"
        callback = Callback()
        self._callbacks[token] = (callback, self._current)
        return callback

    def _run_task(self, parameters: Json) -> Any:
        operation = service_model("ecs").operation_model("RunTask")
        try:
            answered = self._ecs.answer("RunTask", _camel(operation.input_shape, parameters))
        except ClientError as error:
            code, text = error.response["Error"]["Code"], error.response["Error"]["Message"]
            raise TaskError(f"Ecs.{code}", text) from error
        return _pascal(answered)

    def _function(self, function: str, payload: Json) -> Json:
        try:
            return self._run_step(function, json.loads(json.dumps(payload)))
        except Exception as error:
            cause = {"errorMessage": str(error), "errorType": type(error).__name__}
            raise TaskError(type(error).__name__, json.dumps(cause)) from error


def _start(parameters: Json) -> Json:
    """Return StartExecution's own parameters from a state's parameters."""
    given = json.dumps(parameters["Input"])
    return {"stateMachineArn": parameters["StateMachineArn"], "input": given}


def _camel(shape: Shape | None, value: Any) -> Any:
    """Return names of Step Functions in the service model's camelCase; refuse unknown ones."""
    match getattr(shape, "type_name", None):
        case "structure":
            names = {name[0].upper() + name[1:]: name for name in shape.members}  # type: ignore[union-attr]
            return {names[key]: _camel(shape.members[names[key]], v) for key, v in value.items()}  # type: ignore[union-attr]
        case "list":
            return [_camel(shape.member, item) for item in value]  # type: ignore[union-attr]
        case _:
            return value


def _pascal(value: Any) -> Any:
    if isinstance(value, dict):
        return {key[0].upper() + key[1:]: _pascal(item) for key, item in value.items()}
    return [_pascal(item) for item in value] if isinstance(value, list) else value
