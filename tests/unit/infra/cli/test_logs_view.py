"""What `logs` and `watch` show of an array, on a fake of Batch and CloudWatch Logs."""

import io
from collections.abc import Mapping
from typing import Any, cast

import pytest
from rich.console import Console

from batchyard.cli.jobs_view import show_job
from batchyard.cli.logs_view import print_log
from batchyard.client import arrays
from batchyard.client.arrays import SHOWN_CHILDREN, SHOWN_LINES, first_failed_child
from batchyard.client.clients import Clients

Json = dict[str, Any]
ARRAY = "the-array"


class FakeArray:
    """Answers Batch and CloudWatch Logs for one array; child N has written `lines[N]`."""

    log_group = "/aws/batch/job"

    class exceptions:
        class ResourceNotFoundException(Exception):
            pass

    def __init__(self, statuses: Mapping[int, str], lines: Mapping[int, list[str]]) -> None:
        self.statuses = statuses
        self.lines = lines

    def __call__(self, service: str) -> "FakeArray":
        return self

    def list_jobs(self, *, arrayJobId: str, jobStatus: str, maxResults: int) -> Json:
        assert arrayJobId == ARRAY
        children = [self._child(n) for n, status in self.statuses.items() if status == jobStatus]
        return {"jobSummaryList": children[:maxResults]}

    def describe_jobs(self, *, jobs: list[str]) -> Json:
        return {
            "jobs": [
                self.array() if job == ARRAY else self._child(int(job.partition(":")[2]))
                for job in jobs
            ]
        }

    def get_log_events(self, *, logStreamName: str, **request: Any) -> Json:
        token = f"f/{logStreamName}"
        events = [] if request.get("nextToken") else self.lines[int(logStreamName)]
        return {"events": [{"message": text} for text in events], "nextForwardToken": token}

    def array(self) -> Json:
        statuses = list(self.statuses.values())
        return {
            "jobId": ARRAY,
            "jobName": "many",
            "status": "FAILED" if "FAILED" in statuses else "SUCCEEDED",
            "createdAt": 0,
            "stoppedAt": 1000,
            "arrayProperties": {
                "size": len(statuses),
                "statusSummary": {one: statuses.count(one) for one in {*statuses, "RUNNABLE"}},
            },
        }

    def _child(self, number: int) -> Json:
        container = {"logStreamName": str(number), "exitCode": 3}
        return {
            "jobId": f"{ARRAY}:{number}",
            "status": self.statuses[number],
            "stoppedAt": 1000 - number,
            "statusReason": f"child {number} ended",
            "container": container,
            "attempts": [{"container": container}],
            "arrayProperties": {"index": number},
        }


def logs_of(fake: FakeArray, capsys: pytest.CaptureFixture[str]) -> tuple[list[str], str]:
    """Return the lines that `logs ARRAY` prints, and its messages."""
    messages: list[str] = []
    clients = cast(Clients, fake)
    print_log(clients, ARRAY, follow=False, attempt=None, say=messages.append)
    return capsys.readouterr().out.splitlines(), "\n".join(messages)


def test_logs_of_an_array_are_its_childrens_lines_the_failed_ones_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fake = FakeArray({0: "SUCCEEDED", 1: "FAILED"}, {0: ["fine"], 1: ["begun", "broken"]})
    lines, messages = logs_of(fake, capsys)
    assert lines == ["[1] begun", "[1] broken", "[0] fine"]
    assert "0 more are not shown" in messages


def test_logs_of_a_large_array_are_bounded_and_say_how_many_children_are_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    size = SHOWN_CHILDREN + 5
    written = [f"line {n}" for n in range(SHOWN_LINES + 3)]
    fake = FakeArray(dict.fromkeys(range(size), "SUCCEEDED"), dict.fromkeys(range(size), written))
    lines, messages = logs_of(fake, capsys)
    assert len(lines) == SHOWN_CHILDREN * SHOWN_LINES
    assert lines[0] == "[0] line 3"
    assert "5 more are not shown" in messages
    assert f"batchyard logs {ARRAY}:INDEX" in messages


def test_logs_of_an_array_without_a_started_child_say_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines, messages = logs_of(FakeArray({0: "RUNNABLE", 1: "RUNNABLE"}, {}), capsys)
    assert lines == []
    assert "2 RUNNABLE" in messages
    assert "No child has started" in messages


def test_watch_of_an_array_shows_its_counts_and_the_child_that_failed_first() -> None:
    fake = FakeArray({0: "SUCCEEDED", 1: "FAILED", 2: "FAILED"}, {})
    screen = Console(file=io.StringIO(), width=200)
    clients = cast(Clients, fake)
    ended = show_job(
        [(fake.array(), [])],
        screen,
        first_failed=lambda array: first_failed_child(clients, array["jobId"]),
    )
    shown = cast(io.StringIO, screen.file).getvalue()
    assert ended["status"] == "FAILED"
    assert "FAILED 2" in shown
    assert "SUCCEEDED 1" in shown
    # Child 2 ended before child 1.
    assert "first failed child [2]: exit code 3, child 2 ended" in shown


def test_only_an_array_itself_is_an_array() -> None:
    assert arrays.is_array({"arrayProperties": {"size": 2}})
    assert not arrays.is_array({"arrayProperties": {"index": 0}})
    assert not arrays.is_array({})
