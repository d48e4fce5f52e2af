"""Step Functions in memory: carries out the very machines of the stack, resumed by the World."""

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from botocore.model import Shape

from tests.support import stack
from tests.support.asl import Execution, Steps, TaskError
from tests.support.clients import FakeClient, OnCall, client_error, service_model
from tests.support.fake_ecs import FakeEcs
from tests.support.fake_sqs import TASK_EVENTS_QUEUE_URL, FakeSqs

_PREFIX = f"arn:aws:states:{stack.REGION}:{stack.ACCOUNT}:stateMachine:{stack.STACK}"
LAUNCH_MACHINE_ARN = f"{_PREFIX}-launch"
MULTINODE_MACHINE_ARN = f"{_PREFIX}-multinode"
PROVISION_MACHINE_ARN = f"{_PREFIX}-provision"
PROVISION_STEP_ARN = "arn:aws:lambda:::function:provision-step"
NODE_STEP_ARN = "arn:aws:lambda:::function:node-step"
STANDARD = frozenset({MULTINODE_MACHINE_ARN, PROVISION_MACHINE_ARN})
NAME_LIMIT, INPUT_LIMIT_BYTES = 80, 256 * 1024

Json = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Run:
    """An execution under way, and when it goes on."""

    name: str
    machine: str
    execution: Execution
    steps: Steps
    due_at_ms: int
    failure: TaskError | None = None


class FakeStepFunctions(FakeClient):
    """`run_step` carries out the function of that ARN behind a machine's states."""

    service = "stepfunctions"

    def __init__(
        self,
        now_ms: Callable[[], int],
        on_call: OnCall,
        *,
        ecs: FakeEcs,
        sqs: FakeSqs,
        run_step: Callable[[str, Json], Json],
    ) -> None:
        super().__init__(now_ms, on_call)
        self._ecs, self._sqs, self._run_step = ecs, sqs, run_step
        self._machines = {
            LAUNCH_MACHINE_ARN: stack.machine(
                "LaunchMachine", {"TaskEventsQueueUrl": TASK_EVENTS_QUEUE_URL}
            ),
            MULTINODE_MACHINE_ARN: stack.machine(
                "MultinodeMachine",
                {"LaunchMachineArn": LAUNCH_MACHINE_ARN, "NodeStepArn": NODE_STEP_ARN},
            ),
            PROVISION_MACHINE_ARN: stack.machine(
                "ProvisionMachine", {"ProvisionStepArn": PROVISION_STEP_ARN}
            ),
        }
        self._names: set[tuple[str, str]] = set()
        self._numbers = itertools.count(1)
        self.running: list[Run] = []
        self.ended: list[Run] = []

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
        execution = Execution(definition=self._machines[machine], invoke=self._invoke)
        self.running.append(
            Run(
                name=name,
                machine=machine,
                execution=execution,
                steps=execution.run(json.loads(params["input"])),
                due_at_ms=self.now_ms(),
            )
        )
        return {"executionArn": f"{machine}:{name}"}

    def due(self) -> list[Run]:
        return [run for run in self.running if run.due_at_ms <= self.now_ms()]

    def resume(self, run: Run) -> None:
        """Carry the execution on to its next wait, or to its end."""
        try:
            run.due_at_ms = self.now_ms() + int(next(run.steps) * 1000)
            return
        except StopIteration:
            pass
        except TaskError as error:
            run.failure = error
        self.running.remove(run)
        self.ended.append(run)

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
            case "arn:aws:states:::states:startExecution":
                nested = {
                    "stateMachineArn": parameters["StateMachineArn"],
                    "input": json.dumps(parameters["Input"]),
                }
                return _pascal(self.answer("StartExecution", nested))
            case _:
                raise AssertionError(f"an integration that is not known: {resource}")

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


def _camel(shape: Shape | None, value: Any) -> Any:
    """Step Functions' PascalCase as the service's model names it; refuses what it does not know."""
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
