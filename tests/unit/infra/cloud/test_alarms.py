"""What the stack watches: every part of it, with metrics that exist and an instruction for each."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from batchyard.docs import stack
from chalicelib.core.measures import Measure
from chalicelib.observe import NAMESPACE

ALARMS = stack.resources("AWS::CloudWatch::Alarm")
FUNCTIONS = set(stack.resources(stack.FUNCTION))
MAPPINGS = stack.resources("AWS::Lambda::EventSourceMapping").values()
# An execution of this machine fails when its job does, which is its caller's business.
FAILS_WITH_ITS_JOB = {"RunJobMachine"}

Metric = tuple[str, str, dict[str, Any]]  # namespace, name, dimensions


def metrics_of(name: str) -> Iterator[Metric]:
    """Yield the metrics that an alarm looks at."""
    properties = ALARMS[name]["Properties"]
    dimensions = {one["Name"]: one["Value"] for one in properties["Dimensions"]}
    yield properties["Namespace"], properties["MetricName"], dimensions


def watched(metric: str) -> set[str]:
    """Return the logical ids of what the alarms on this metric look at."""
    return {
        resource
        for alarm in ALARMS
        for _, name, dimensions in metrics_of(alarm)
        if name == metric
        for resource in stack.named([*dimensions.values()])
    }


def source_of(mapping: Mapping[str, Any]) -> str:
    return str(mapping["Properties"]["EventSourceArn"]["Fn::GetAtt"][0])


def test_every_function_has_an_alarm_on_its_errors() -> None:
    assert watched("Errors") == FUNCTIONS


def test_the_throttles_of_the_account_have_an_alarm() -> None:
    """Without dimensions: the functions of an account share one pool of concurrency."""
    assert [*metrics_of("ThrottlesAlarm")] == [("AWS/Lambda", "Throttles", {})]


def test_every_stream_has_an_alarm_on_how_far_its_function_is_behind() -> None:
    tables = stack.resources(stack.TABLE)
    behind = {
        one["Properties"]["FunctionName"]["Ref"] for one in MAPPINGS if source_of(one) in tables
    }
    assert behind
    assert watched("IteratorAge") == behind


def test_every_queue_has_an_alarm_on_its_oldest_message_or_on_any_message() -> None:
    dead = stack.dead_letter_queues()
    assert watched("ApproximateAgeOfOldestMessage") == set(stack.resources(stack.QUEUE)) - dead
    assert watched("ApproximateNumberOfMessagesVisible") == dead


def test_every_machine_has_an_alarm_on_failed_executions() -> None:
    machines = set(stack.resources(stack.MACHINE))
    assert watched("ExecutionsFailed") == machines - FAILS_WITH_ITS_JOB


def test_every_table_has_an_alarm_on_its_throttles() -> None:
    tables = set(stack.resources(stack.TABLE))
    assert watched("ReadThrottleEvents") == watched("WriteThrottleEvents") == tables


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_looks_at_a_metric_that_is_published(name: str) -> None:
    for namespace, metric, dimensions in metrics_of(name):
        if namespace == NAMESPACE:
            assert metric in {*Measure}
            assert dimensions == {"stack": {"Ref": "AWS::StackName"}}
        if namespace == "AWS/ApiGateway":
            api = stack.resources("AWS::Serverless::Api")["RestAPI"]["Properties"]
            assert dimensions["ApiName"] == api["Name"]


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_can_fire_and_says_what_to_do(name: str) -> None:
    properties = ALARMS[name]["Properties"]
    periods = properties["EvaluationPeriods"]
    assert properties.get("DatapointsToAlarm", periods) <= periods
    assert properties["ComparisonOperator"] == "GreaterThanThreshold"
    assert properties["TreatMissingData"] == "notBreaching"
    assert "NotifiesAlarms" in json.dumps(properties["AlarmActions"])
    instruction = r"\b([Rr]ead|[Ll]ook|[Ss]ee|[Rr]aise|[Cc]orrect|describe|terminate)\b"
    assert re.search(instruction, properties["AlarmDescription"])


def test_the_alarms_on_own_metrics_are_those_that_nothing_else_shows() -> None:
    own = {metric for name in ALARMS for space, metric, _ in metrics_of(name) if space == NAMESPACE}
    assert own == {
        Measure.HANDLED_FAILURES,
        Measure.SWEEPER_REPAIRS,
        Measure.OLDEST_RUNNABLE,
    }


def test_the_dashboard_shows_every_measure_and_only_what_exists() -> None:
    (dashboard,) = stack.resources("AWS::CloudWatch::Dashboard").values()
    text = dashboard["Properties"]["DashboardBody"]["Fn::Sub"]
    known = {*stack.template()["Resources"]}
    for reference in re.findall(r"\$\{(\w+)(?:\.\w+)?\}", text):
        assert reference in known
    shown = set()
    for widget in json.loads(text)["widgets"]:
        assert widget["x"] + widget["width"] <= 24
        for metric in widget["properties"]["metrics"]:
            if isinstance(metric[0], dict):
                shown.update(re.findall(r'MetricName="(\w+)"', metric[0]["expression"]))
            elif metric[0] == NAMESPACE:
                assert metric[2:4] == ["stack", "${AWS::StackName}"]
                shown.add(metric[1])
    assert shown == {*Measure} - {Measure.SUBMITTED_JOBS}
