"""A small interpreter of Amazon States Language, enough to run the machines of this stack.

Pass, Task, Choice, Map, Wait, Succeed and Fail, with paths, retries, catches and a few intrinsics.
An execution is resumed by its owner: it yields the seconds that it would wait, and records every
state that it entered. A state or member that it does not know is an error, never skipped.
"""

import json
import re
from collections.abc import Callable, Generator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Invoke = Callable[[str, Any], Any]  # (resource, parameters) -> result; raises TaskError
Steps = Generator[float, None, Any]

UNTIL_ANSWERED = 1e9  # the seconds that a task waits which somebody else is to answer

_KNOWN_MEMBERS = {
    "Type", "Comment", "Next", "End", "Resource", "Parameters", "InputPath", "ResultPath",
    "ResultSelector", "OutputPath", "TimeoutSeconds", "Retry", "Catch", "Choices", "Default",
    "ItemsPath", "MaxConcurrency", "ItemProcessor", "Seconds", "SecondsPath", "Result", "Error",
    "Cause", "ErrorPath", "CausePath", "ItemSelector",
}  # fmt: skip


class TaskError(Exception):
    """A task that failed, with the name that Retry and Catch match."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error, self.cause = error, cause


@dataclass(slots=True)
class Callback:
    """The result of a task that waits for an answer: `answer` is a value or a TaskError."""

    answer: Any = None
    is_answered: bool = False


@dataclass(slots=True, kw_only=True)
class Execution:
    """One run of a machine; `entered` and `handled` show what of the machine it came by.

    `context` is the context object, `new_token` makes the token of a task that waits for one.
    """

    definition: Mapping[str, Any]
    invoke: Invoke
    context: Mapping[str, Any] = field(default_factory=dict)
    new_token: Callable[[], str] = lambda: "token"
    now_ms: Callable[[], int] = lambda: 0
    entered: list[str] = field(default_factory=list)
    handled: set[str] = field(default_factory=set)  # "<state> retry" and "<state> catch"

    def run(self, given: Any) -> Steps:
        """Run the steps of the execution; return its output, or raise TaskError for its failure."""
        return self._run_states(self.definition, deepcopy(given))

    def _run_states(self, machine: Mapping[str, Any], data: Any) -> Steps:
        name = machine["StartAt"]
        while True:
            state = machine["States"][name]
            assert state.keys() <= _KNOWN_MEMBERS, f"{name}: {state.keys() - _KNOWN_MEMBERS}"
            self.entered.append(name)
            follower, data = yield from self._run_state(name, state, data)
            if follower is None:
                return data
            name = follower

    def _run_state(self, name: str, state: Mapping[str, Any], data: Any) -> Steps:
        """Run one state; return (the next state or None, its input)."""
        match state["Type"]:
            case "Choice":
                return _chosen(state, data, self._in_state()), data
            case "Wait":
                path = state.get("SecondsPath")
                yield float(_at(data, path) if path else state["Seconds"])
                return _after(state), data
            case "Succeed":
                return None, data
            case "Fail":
                raise TaskError(*(_said(state, name, data) for name in ("Error", "Cause")))
            case "Pass":
                given = _parameters(state["Parameters"], data) if "Parameters" in state else data
                return _after(state), _put(data, state, state.get("Result", given))
            case "Task" | "Map":
                return (yield from self._worked(name, state, data))
            case other:
                raise AssertionError(f"{name} is a {other}")

    def _in_state(self) -> Mapping[str, Any]:
        """Return the context object in a state that is entered now."""
        entered = datetime.fromtimestamp(self.now_ms() / 1000, UTC)
        return {**self.context, "State": {"EnteredTime": entered.isoformat()}}

    def _worked(self, name: str, state: Mapping[str, Any], data: Any) -> Steps:
        tries: dict[int, int] = {}
        while True:
            try:
                result = yield from self._result(state, data)
            except TaskError as error:
                rule = _retrier(state, error, tries)
                if rule is not None:
                    self.handled.add(f"{name} retry")
                    yield rule
                    continue
                catcher = _matching(state.get("Catch", []), error)
                if catcher is None:
                    raise
                self.handled.add(f"{name} catch")
                failure = {"Error": error.error, "Cause": error.cause}
                return catcher["Next"], _put(data, catcher, failure)
            if "ResultSelector" in state:
                result = _parameters(state["ResultSelector"], result)
            return _after(state), _put(data, state, result)

    def _result(self, state: Mapping[str, Any], data: Any) -> Steps:
        given = _at(data, state.get("InputPath", "$"))
        if state["Type"] == "Task":
            # Every try of a task that waits has a token of its own.
            context = {**self.context, "Task": {"Token": self.new_token()}}
            parameters = given
            if "Parameters" in state:
                parameters = _parameters(state["Parameters"], given, context)
            result = self.invoke(state["Resource"], parameters)
            if isinstance(result, Callback):
                result = yield from _answered(result)
            return result
        results = []
        for number, item in enumerate(_at(given, state["ItemsPath"])):
            if "ItemSelector" in state:
                context = {**self.context, "Map": {"Item": {"Index": number, "Value": item}}}
                item = _parameters(state["ItemSelector"], given, context)
            result = yield from self._run_states(state["ItemProcessor"], deepcopy(item))
            results.append(result)
        return results


def _answered(callback: Callback) -> Steps:
    while not callback.is_answered:
        yield UNTIL_ANSWERED
    if isinstance(callback.answer, TaskError):
        raise callback.answer
    return callback.answer


def _said(state: Mapping[str, Any], name: str, data: Any) -> str:
    """Return the Error or the Cause of a Fail state."""
    path = state.get(f"{name}Path")
    return str(_at(data, path) if path else state[name])


def _after(state: Mapping[str, Any]) -> str | None:
    return None if state.get("End") else str(state["Next"])


def _put(data: Any, state: Mapping[str, Any], result: Any) -> Any:
    """Return `data` with the state's result where ResultPath says, reduced to OutputPath."""
    path = state.get("ResultPath", "$")
    if path == "$":
        data = result
    elif path is not None:
        key = re.fullmatch(r"\$\.(\w+)", path)
        assert key is not None, f"ResultPath {path}"
        data = {**data, key[1]: result}
    output = state.get("OutputPath", "$")
    return {} if output is None else _at(data, output)


def _parameters(template: Any, data: Any, context: Any = None) -> Any:
    if isinstance(template, list):
        return [_parameters(item, data, context) for item in template]
    if not isinstance(template, Mapping):
        return template
    return {
        key.removesuffix(".$"): _value(value, data, context)
        if key.endswith(".$")
        else _parameters(value, data, context)
        for key, value in template.items()
    }


def _value(expression: str, data: Any, context: Any) -> Any:
    """Return the value of a path, a path into the context object or an intrinsic function."""
    call = re.fullmatch(r"States\.(\w+)\((.*)\)", expression)
    if call is None:
        return _at(context if expression.startswith("$$") else data, expression)
    given = [part.strip() for part in call[2].split(",")]
    match call[1]:
        case "Format":
            values = [_value(part, data, context) for part in given[1:]]
            return given[0].strip("'").format(*values)
        case "StringToJson":
            return json.loads(_value(given[0], data, context))
        case other:
            raise AssertionError(f"an intrinsic function that is not known: {other}")


def _at(data: Any, path: str) -> Any:
    """Return the value at a path such as `$.result.Failures[0].Reason`."""
    for key, index in re.findall(r"\.(\w+)|\[(\d+)\]", path):
        try:
            data = data[key] if key else data[int(index)]
        except (KeyError, IndexError, TypeError):
            raise TaskError("States.Runtime", f"nothing at {path}") from None
    return data


def _chosen(state: Mapping[str, Any], data: Any, context: Any) -> str:
    for choice in state["Choices"]:
        if _holds(choice, data, context):
            return str(choice["Next"])
    return str(state["Default"])


def _holds(rule: Mapping[str, Any], data: Any, context: Any) -> bool:
    if "And" in rule:
        return all(_holds(part, data, context) for part in rule["And"])
    if "IsPresent" in rule:
        try:
            _at(data, rule["Variable"])
        except TaskError:
            return not rule["IsPresent"]
        return bool(rule["IsPresent"])
    value = _value(rule["Variable"], data, context)
    if "TimestampGreaterThanPath" in rule:
        limit = _value(rule["TimestampGreaterThanPath"], data, context)
        return datetime.fromisoformat(value) > datetime.fromisoformat(limit)
    wanted = [rule[name] for name in ("StringEquals", "NumericEquals") if name in rule]
    assert len(wanted) == 1, f"a comparison that is not known: {rule}"
    return bool(value == wanted[0])


def _matching(rules: list[Any], error: TaskError) -> Any:
    """Return the first rule for this error. States.ALL does not match States.Runtime."""
    for rule in rules:
        names = rule["ErrorEquals"]
        if error.error in names or ("States.ALL" in names and error.error != "States.Runtime"):
            return rule
    return None


def _retrier(state: Mapping[str, Any], error: TaskError, tries: dict[int, int]) -> float | None:
    """Return the seconds to wait before another try, or None when there is none."""
    rule = _matching(state.get("Retry", []), error)
    if rule is None:
        return None
    number = tries[id(rule)] = tries.get(id(rule), 0) + 1
    if number > rule.get("MaxAttempts", 3):
        return None
    wait = rule.get("IntervalSeconds", 1) * rule.get("BackoffRate", 2.0) ** (number - 1)
    return float(min(wait, rule.get("MaxDelaySeconds", wait)))
