"""The launch machine, run state by state."""

import json
from typing import Any

from tests.support import stack
from tests.support.asl import Execution, TaskError

QUEUE = "https://sqs.test/task-events"
RUN, SEND = "arn:aws:states:::aws-sdk:ecs:runTask", "arn:aws:states:::sqs:sendMessage"
LAUNCHES = [{"startedBy": f"fence-{n}", "runTask": {"ClientToken": f"fence-{n}"}} for n in (1, 2)]
MADE = {"Tasks": [{"TaskArn": "arn:task"}], "Failures": []}


class Outside:
    """The services that the machine calls, with their answers in turn, the last one for ever."""

    def __init__(self, run: list[Any], send: list[Any] | None = None) -> None:
        self.answers = {RUN: run, SEND: send or [{}]}
        self.asked: dict[str, list[Any]] = {RUN: [], SEND: []}

    def invoke(self, resource: str, parameters: Any) -> Any:
        self.asked[resource].append(parameters)
        answers = self.answers[resource]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def reports(self) -> list[dict[str, Any]]:
        return [message["MessageBody"]["detail"] for message in self.asked[SEND]]


def carried_out(outside: Outside, launches: list[Any]) -> tuple[Execution, list[float], Any]:
    """Run the machine; return the execution, its waits and its output."""
    machine = stack.machine("LaunchMachine", {"TaskEventsQueueUrl": QUEUE})
    execution = Execution(definition=machine, invoke=outside.invoke)
    steps = execution.run({"launches": launches})
    waits: list[float] = []
    while True:
        try:
            waits.append(next(steps))
        except StopIteration as end:
            return execution, waits, end.value


def throttled() -> TaskError:
    return TaskError("Ecs.EcsException", "Rate exceeded (Service: Ecs, Status Code: 400)")


def test_every_launch_becomes_a_task_and_nothing_is_reported() -> None:
    outside = Outside([MADE])
    execution, waits, output = carried_out(outside, LAUNCHES)
    assert outside.asked[RUN] == [launch["runTask"] for launch in LAUNCHES]
    assert (outside.reports, waits, output) == ([], [], {})
    assert execution.entered.count("Done") == 2


def test_no_launches_are_no_calls() -> None:
    outside = Outside([MADE])
    carried_out(outside, [])
    assert outside.asked == {RUN: [], SEND: []}


def test_a_lack_of_capacity_is_reported_in_the_words_of_ecs() -> None:
    failure = {"Tasks": [], "Failures": [{"Arn": "x", "Reason": "RESOURCE:CPU"}]}
    outside = Outside([failure, MADE])
    carried_out(outside, LAUNCHES)
    assert outside.reports == [
        {"startedBy": "fence-1", "reason": "RESOURCE:CPU", "error": "RunTask.Failure"}
    ]
    (message,) = outside.asked[SEND]
    assert message["QueueUrl"] == QUEUE
    assert message["MessageBody"]["source"] == "batchyard"
    assert message["MessageBody"]["detail-type"] == "Launch Failed"


def test_a_throttled_launch_is_tried_again_after_longer_and_longer_waits() -> None:
    outside = Outside([throttled(), throttled(), MADE])
    execution, waits, _ = carried_out(outside, LAUNCHES[:1])
    assert waits == [1, 2]
    assert outside.reports == []
    assert "RunTask retry" in execution.handled


def test_a_launch_that_stays_throttled_is_reported() -> None:
    outside = Outside([throttled()])
    execution, waits, _ = carried_out(outside, LAUNCHES[:1])
    assert len(outside.asked[RUN]) == 6
    assert all(wait <= 20 for wait in waits)
    (report,) = outside.reports
    assert (report["startedBy"], report["error"]) == ("fence-1", "Ecs.EcsException")
    assert "Rate exceeded" in report["reason"]
    assert "RunTask catch" in execution.handled


def test_a_refused_launch_is_reported_at_once_and_the_others_go_on() -> None:
    refused = TaskError("Ecs.InvalidParameterException", "No such role.")
    outside = Outside([refused, MADE])
    _, waits, _ = carried_out(outside, LAUNCHES)
    assert outside.reports == [
        {
            "startedBy": "fence-1",
            "reason": "No such role.",
            "error": "Ecs.InvalidParameterException",
        }
    ]
    assert waits == []
    assert len(outside.asked[RUN]) == 2


def test_a_launch_that_another_request_has_made_counts_as_made() -> None:
    taken = TaskError("Ecs.ConflictException", "The clientToken was used with another request.")
    outside = Outside([taken, MADE])
    execution, waits, output = carried_out(outside, LAUNCHES)
    assert (outside.reports, waits, output) == ([], [], {})
    assert execution.entered.count("Done") == 2
    assert len(outside.asked[RUN]) == 2, "it is not tried again"


def test_a_message_that_cannot_be_sent_is_left_to_the_sweeper() -> None:
    busy = TaskError("Sqs.SdkClientException", "no route")
    for first in ({"Tasks": [], "Failures": [{"Reason": "AGENT"}]}, TaskError("Ecs.X", "y")):
        outside = Outside([first, MADE], [busy])
        execution, _, _ = carried_out(outside, LAUNCHES)
        assert len(outside.asked[SEND]) == 5
        assert execution.entered.count("Done") == 2


def test_a_message_is_sent_again_until_it_is_taken() -> None:
    failure = {"Tasks": [], "Failures": [{"Reason": "AGENT"}]}
    busy = TaskError("Sqs.SdkClientException", "no route")
    outside = Outside([failure], [busy, {}])
    execution, _, _ = carried_out(outside, LAUNCHES[:1])
    assert len(outside.asked[SEND]) == 2
    assert execution.handled == {"ReportFailure retry"}


def test_every_state_retry_and_catch_is_used_in_these_tests() -> None:
    failure = {"Tasks": [], "Failures": [{"Reason": "AGENT"}]}
    busy = TaskError("x", "y")
    entered: set[str] = set()
    handled: set[str] = set()
    answers: tuple[Any, ...] = ({}, busy)
    runs = ([MADE], [failure], [throttled(), TaskError("Ecs.X", "y")])
    for run in runs:
        for answer in answers:
            execution, _, _ = carried_out(Outside(list(run), [answer]), LAUNCHES[:1])
            entered.update(execution.entered)
            handled.update(execution.handled)
    machine = stack.machine("LaunchMachine", {"TaskEventsQueueUrl": QUEUE})
    branch = machine["States"]["LaunchEach"]["ItemProcessor"]["States"]
    assert entered == {*machine["States"], *branch}
    tasks = [name for name, state in branch.items() if state["Type"] == "Task"]
    assert handled == {f"{name} {what}" for name in tasks for what in ("retry", "catch")}


def test_what_a_machine_sends_is_json() -> None:
    outside = Outside([TaskError("Ecs.X", 'a "quoted"\nreason')])
    carried_out(outside, LAUNCHES[:1])
    assert json.loads(json.dumps(outside.reports))[0]["reason"] == 'a "quoted"\nreason'
