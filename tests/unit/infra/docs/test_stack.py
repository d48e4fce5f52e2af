"""The diagrams and tables of the stack show all of it, and the handbook speaks of every alarm."""

import re

import pytest

from batchyard.docs import stack
from tests.support.stack import ROOT

HANDBOOK = (ROOT / "infra" / "docs" / "operations.md").read_text()
FUNCTIONS = sorted(stack.resources(stack.FUNCTION))
DIAGRAM = stack.invocations_diagram()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_invoked_by_something_that_the_diagram_shows(name: str) -> None:
    assert [edge for edge in stack.invocations() if edge[1] == name]
    assert f"    {name}[" in DIAGRAM


def test_every_machine_and_every_queue_is_shown() -> None:
    dead = stack.dead_letter_queues()
    queues = set(stack.resources(stack.QUEUE)) - dead
    assert dead
    for name in {*stack.resources(stack.MACHINE), *queues}:
        assert re.search(rf"^    {name}\W", DIAGRAM, re.MULTILINE), name
    for name in dead:
        assert name not in DIAGRAM
        assert f"| {name} |" in stack.queues_table()


def test_every_table_is_written_by_some_function() -> None:
    for name in stack.resources(stack.TABLE):
        assert f"--> {name}" in stack.tables_diagram()


def test_known_ways_are_shown() -> None:
    """Lest the template be read wrongly: a few ways that every job goes."""
    for way in (
        'JobsTable -->|"stream"| React',
        "React --> WakeQueue",
        "WakeQueue --> Dispatch",
        "React --> LaunchMachine",
        'ECS -->|"RUNNING, STOPPED"| TaskEventsQueue',
        "TaskEventsQueue --> TaskEvents",
        "MultinodeMachine --> NodeStep",
        'Clock -->|"rate(1 minute)"| Sweep',
    ):
        assert f"    {way}\n" in DIAGRAM, way


def test_every_alarm_has_an_instruction() -> None:
    alarms = stack.resources("AWS::CloudWatch::Alarm")
    assert alarms
    assert [name for name in alarms if not re.search(rf"^\|[^|]*\b{name}\b", HANDBOOK, re.M)] == []


def test_a_definition_of_every_machine_is_in_the_table() -> None:
    for path in (ROOT / "statemachines").glob("*.asl.json"):
        assert f"`statemachines/{path.name}`" in stack.machines_table()
