"""The multi-node machine, run state by state."""

from typing import Any

import pytest

from tests.support import stack
from tests.support.asl import Execution, TaskError

FUNCTION = "arn:function"
MACHINE = stack.machine("MultinodeMachine", {"NodeStepArn": FUNCTION})
STEP = "arn:aws:states:::lambda:invoke"
FENCE = "0000000a-0000-4000-8000-000000000000/job/1"
GIVEN = {"fence": FENCE, "launches": []}
FAILURE = TaskError("RuntimeError", "no")


def look(state: str, seconds: int = 0, chunks: int = 0) -> dict[str, Any]:
    made = [
        {"step": "start", "first": n, "last": n, "pause": 2 if n < chunks else 0}
        for n in range(1, chunks + 1)
    ]
    return {"state": state, "seconds": seconds, "chunks": made}


class Outside:
    """The services that the machine calls; `looks` are the answers in turn, the last for ever."""

    def __init__(self, *looks: dict[str, Any] | Exception, chunks: int = 0) -> None:
        self.looks = list(looks)
        self.failures = chunks
        self.asked: list[Any] = []

    def invoke(self, resource: str, parameters: Any) -> Any:
        self.asked.append(parameters)
        assert resource == STEP
        assert parameters["FunctionName"] == FUNCTION
        if parameters["Payload"]["step"] == "start":
            if self.failures:
                self.failures -= 1
                raise FAILURE
            return {"Payload": {}}
        assert parameters["Payload"] == {"step": "look", "fence": FENCE}
        answer = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(answer, Exception):
            raise answer
        return {"Payload": answer}

    @property
    def started(self) -> list[int]:
        payloads = [p["Payload"] for p in self.asked]
        return [p["first"] for p in payloads if p["step"] == "start"]


def carried_out(outside: Outside) -> tuple[Execution, list[float]]:
    execution = Execution(definition=MACHINE, invoke=outside.invoke)
    steps = execution.run(GIVEN)
    waits: list[float] = []
    while True:
        try:
            waits.append(next(steps))
        except StopIteration:
            return execution, waits


def test_a_small_job_takes_as_few_transitions_as_the_source_says() -> None:
    outside = Outside(look("RUNNING", chunks=1))
    execution, waits = carried_out(outside)
    assert execution.entered == [
        "LookAtMainNode",
        "MainNodeRuns?",
        "StartOtherNodes",
        "StartChunk",
        "PaceChunks",
        "Done",
    ]
    assert "State transitions: 6 " in MACHINE["Comment"]
    assert waits == [0]


def test_the_main_node_is_waited_for_as_long_as_the_step_says() -> None:
    outside = Outside(look("WAIT", 2), look("WAIT", 5), look("RUNNING", chunks=1))
    execution, waits = carried_out(outside)
    assert waits == [2, 5, 0]
    assert len(execution.entered) == 6 + 2 * 3
    assert outside.started == [1]


def test_chunks_are_started_in_turn_and_apart() -> None:
    outside = Outside(look("RUNNING", chunks=3))
    execution, waits = carried_out(outside)
    assert outside.started == [1, 2, 3]
    assert waits == [2, 2, 0]
    assert len(execution.entered) == 6 + 2 * 2


@pytest.mark.parametrize("state", ["GONE", "anything else"])
def test_a_placement_that_is_over_gets_no_more_nodes(state: str) -> None:
    outside = Outside(look("WAIT", 2), look(state))
    execution, _ = carried_out(outside)
    assert outside.started == []
    assert execution.entered[-2:] == ["MainNodeRuns?", "Done"]


def test_a_job_of_one_node_has_no_others() -> None:
    execution, _ = carried_out(Outside(look("RUNNING")))
    assert execution.entered[-2:] == ["StartOtherNodes", "Done"]


def test_each_step_is_tried_again() -> None:
    outside = Outside(FAILURE, look("RUNNING", chunks=1), chunks=1)
    execution, _ = carried_out(outside)
    assert execution.handled == {
        "LookAtMainNode retry",
        "StartChunk retry",
    }
    assert outside.started == [1, 1]


def test_a_chunk_that_cannot_be_started_does_not_hold_up_the_next() -> None:
    outside = Outside(look("RUNNING", chunks=2), chunks=7)
    execution, _ = carried_out(outside)
    assert outside.started == [1] * 7 + [2]
    assert "StartChunk catch" in execution.handled
    assert execution.entered[-1] == "Done"


def test_an_execution_that_can_start_nothing_fails() -> None:
    execution = Execution(definition=MACHINE, invoke=Outside(FAILURE).invoke)
    steps = execution.run(GIVEN)
    with pytest.raises(TaskError, match="NodesNotStarted"):
        for _ in steps:
            pass
    assert "LookAtMainNode catch" in execution.handled
    assert execution.entered[-1] == "GiveUp"


def test_every_state_is_entered_in_these_tests() -> None:
    (inner,) = [s for s in MACHINE["States"].values() if s["Type"] == "Map"]
    states = MACHINE["States"].keys() | inner["ItemProcessor"]["States"].keys()
    execution, _ = carried_out(Outside(look("WAIT", 2), look("RUNNING", chunks=2)))
    assert states - set(execution.entered) == {"GiveUp"}
