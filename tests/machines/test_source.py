"""The state machines as source: documented, bounded in time, with every failure provided for."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.stack import ROOT

PATHS = sorted((ROOT / "statemachines").glob("*.asl.json"))
MACHINES = {path.stem: json.loads(path.read_text()) for path in PATHS}
EXAMPLES = {
    path.name: json.loads(path.read_text())
    for path in sorted((ROOT / "statemachines" / "examples").glob("*.asl.json"))
}
Json = dict[str, Any]


def scopes(machine: Json) -> Iterator[Json]:
    """Yield the machine and the processors of its maps, each with its own states."""
    yield machine
    for state in machine["States"].values():
        if "ItemProcessor" in state:
            yield from scopes(state["ItemProcessor"])


SCOPES = [(name, scope) for name, machine in MACHINES.items() for scope in scopes(machine)]
IN_EXAMPLES = [scope for machine in EXAMPLES.values() for scope in scopes(machine)]
ALL_SCOPES = [scope for _, scope in SCOPES] + IN_EXAMPLES
STATES = [(scope, name) for scope in ALL_SCOPES for name in scope["States"]]
# The rules on failures hold for our machines; the reader of an example decides about its own.
TASKS = [
    (scope, name)
    for _, scope in SCOPES
    for name in scope["States"]
    if scope["States"][name]["Type"] == "Task"
]
# A job may take any time, and the execution is meant to fail with its failure.
WAITING = [
    (scope, name)
    for scope, name in TASKS
    if scope["States"][name]["Resource"].endswith(".waitForTaskToken")
]
BOUNDED = [task for task in TASKS if task not in WAITING]
each_state = pytest.mark.parametrize(("scope", "name"), STATES, ids=lambda value: _named(value))
each_task = pytest.mark.parametrize(("scope", "name"), TASKS, ids=lambda value: _named(value))
each_bounded_task = pytest.mark.parametrize(
    ("scope", "name"), BOUNDED, ids=lambda value: _named(value)
)


def _named(value: Any) -> str:
    return value if isinstance(value, str) else str(value["StartAt"])


def followers(state: Json) -> set[str]:
    """Return the states that may follow this one."""
    found = {state[key] for key in ("Next", "Default") if key in state}
    found |= {rule["Next"] for key in ("Choices", "Catch") for rule in state.get(key, [])}
    return found


def reached(scope: Json, start: str) -> set[str]:
    found: set[str] = set()
    waiting = {start}
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= followers(scope["States"][name]) - found
    return found


def test_there_are_machines() -> None:
    assert set(MACHINES) == {
        *{"launch.asl", "multinode.asl", "run_job.asl"},
        *{f"provision_{kind}.asl" for kind in ("compute_environment", "job_queue", "trigger")},
    }
    assert [name for _, name in WAITING] == ["RunJob"]


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_says_who_starts_it_with_what_and_how_it_ends(name: str) -> None:
    comment = MACHINES[name]["Comment"]
    for word in ("Started by", "Input: {", "nd"):
        assert word in comment
    (path,) = [word for word in comment.replace("(", " ").replace(")", " ").split() if "/" in word]
    assert (ROOT / path).is_file()


@each_state
def test_a_state_says_why_it_exists(scope: Json, name: str) -> None:
    comment = scope["States"][name].get("Comment", "")
    assert comment.endswith(".")
    assert len(comment.split()) > 4


@each_state
def test_a_state_is_reached_and_comes_to_an_end(scope: Json, name: str) -> None:
    assert name in reached(scope, scope["StartAt"])
    ends = {
        one
        for one, state in scope["States"].items()
        if state.get("End") or state["Type"] in {"Succeed", "Fail"}
    }
    assert reached(scope, name) & ends


@each_state
def test_a_state_leads_to_states_that_there_are(scope: Json, name: str) -> None:
    state = scope["States"][name]
    assert followers(state) <= scope["States"].keys()
    if state["Type"] == "Choice":
        assert "Default" in state
    elif state["Type"] not in {"Succeed", "Fail"}:
        assert ("Next" in state) != bool(state.get("End"))


@each_bounded_task
def test_a_task_is_bounded_in_time(scope: Json, name: str) -> None:
    assert 1 <= scope["States"][name]["TimeoutSeconds"] <= 300


@each_task
def test_a_task_is_tried_again_a_bounded_number_of_times_and_longer_apart(
    scope: Json, name: str
) -> None:
    rules = scope["States"][name]["Retry"]
    assert rules
    for rule in rules:
        assert rule["Comment"]
        if rule["MaxAttempts"] == 0:
            # What another try would not change, by its own name.
            assert "States.ALL" not in rule["ErrorEquals"]
            assert rule is not rules[-1]
            continue
        assert 1 <= rule["MaxAttempts"] <= 12
        assert rule["IntervalSeconds"] >= 1
        assert rule["BackoffRate"] > 1


def test_a_machine_that_waits_times_out_before_its_task_does() -> None:
    """Only an execution that has timed out has its job terminated."""
    machine = MACHINES["run_job.asl"]
    assert machine["TimeoutSeconds"] < machine["States"]["RunJob"]["TimeoutSeconds"]


@each_bounded_task
def test_whatever_fails_in_a_task_is_caught_with_a_reason(scope: Json, name: str) -> None:
    last = scope["States"][name]["Catch"][-1]
    assert last["ErrorEquals"] == ["States.ALL"]
    assert last["Comment"]


@pytest.mark.parametrize("name", MACHINES)
def test_a_file_is_written_as_it_is_read(name: str) -> None:
    """Two spaces, no tabs, a newline at the end; no member twice."""
    text = (ROOT / "statemachines" / f"{name}.json").read_text()
    assert text.endswith("}\n")
    assert "\t" not in text

    def unique(pairs: list[tuple[str, Any]]) -> Json:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    json.loads(text, object_pairs_hook=unique)


def test_a_launch_ends_within_the_life_of_an_express_execution() -> None:
    """Five minutes; a branch's waits and calls must fit, but for ECS hanging in each call."""
    (branch,) = [
        scope for name, scope in SCOPES if name == "launch.asl" and "RunTask" in scope["States"]
    ]
    waits = 0.0
    for name in ("RunTask", "ReportError"):
        (rule,) = branch["States"][name]["Retry"]
        for number in range(rule["MaxAttempts"]):
            wait = rule["IntervalSeconds"] * rule["BackoffRate"] ** number
            waits += min(wait, rule.get("MaxDelaySeconds", wait))
    assert waits + branch["States"]["RunTask"]["TimeoutSeconds"] < 300
