"""Samples become lines that CloudWatch reads as metrics, in the embedded metric format."""

import json
import warnings
from dataclasses import dataclass
from typing import Any

import pytest

from chalicelib.core.measures import Measure, Sample
from chalicelib.observe import measure, publish_samples


@dataclass(frozen=True)
class Stack:
    metrics_detail: str = "queue"
    stack: str = "yard"


def published(capsys: pytest.CaptureFixture[str], detail: str = "queue") -> list[dict[str, Any]]:
    capsys.readouterr()
    publish_samples("react", Stack(metrics_detail=detail))
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def dimensions(line: dict[str, Any]) -> list[list[str]]:
    found: list[list[str]] = line["_aws"]["CloudWatchMetrics"][0]["Dimensions"]
    return found


def test_counts_are_added_up_and_durations_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    measure(*[Sample(measure=Measure.JOBS_FAILED, queue="high")] * 3)
    for value in (120, 140):
        measure(Sample(measure=Measure.SUBMIT_TO_START, value=value, queue="high"))
    (line,) = published(capsys)
    assert (line["stack"], line["queue"]) == ("yard", "high")
    assert (line["JobsFailed"], line["SubmitToStart"]) == ([3.0], [120.0, 140.0])
    assert dimensions(line) == [["stack"], ["stack", "queue"]]
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Batchyard"
    assert {"Name": "SubmitToStart", "Unit": "Milliseconds"} in directive["Metrics"]


def test_each_queue_has_a_line_and_what_has_none_belongs_to_the_function(
    capsys: pytest.CaptureFixture[str],
) -> None:
    measure(Sample(measure=Measure.RETRIES, queue="high"), Sample(measure=Measure.CONTENTION))
    measure(Sample(measure=Measure.RETRIES, queue="low"))
    lines = published(capsys)
    assert [line.get("queue") or line["function"] for line in lines] == ["high", "react", "low"]


def test_more_values_than_a_line_may_hold_go_on_in_the_next(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """CloudWatch reads at most 100 values of a metric in a line."""
    for value in range(250):
        measure(Sample(measure=Measure.SUBMIT_TO_START, value=value, queue="high"))
    with warnings.catch_warnings(action="error"):
        lines = published(capsys)
    assert [len(line["SubmitToStart"]) for line in lines] == [99, 99, 52]
    assert [value for line in lines for value in line["SubmitToStart"]] == [*range(250)]
    assert all(dimensions(line) == [["stack"], ["stack", "queue"]] for line in lines)


def test_samples_are_published_once(capsys: pytest.CaptureFixture[str]) -> None:
    measure(Sample(measure=Measure.RETRIES, queue="high"))
    assert len(published(capsys)) == 1
    assert published(capsys) == []


def test_a_stack_may_leave_out_the_queues(capsys: pytest.CaptureFixture[str]) -> None:
    measure(Sample(measure=Measure.RETRIES, queue="high"), Sample(measure=Measure.CONTENTION))
    of_queue, of_function = published(capsys, "stack")
    assert dimensions(of_queue) == [["stack"]]
    assert dimensions(of_function) == [["stack"], ["stack", "function"]]


def test_a_stack_may_have_no_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    measure(Sample(measure=Measure.RETRIES, queue="high"))
    assert published(capsys, "none") == []
    assert published(capsys) == []
