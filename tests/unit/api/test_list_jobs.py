"""ListJobs: by status, by one filter, in pages."""

from typing import Any

import pytest

from chalicelib.api import list_jobs as job_lists
from tests.support.scenes import finish, make_definition, make_queue, make_stage, running, submit
from tests.support.world import ApiError, World

PREFIX = "arn:aws:batch:us-east-1:123456789012"


def listed(world: World, **request: Any) -> list[str]:
    """Return the names of the jobs on the only page."""
    answered = world.api("ListJobs", {"jobQueue": "queue"} | request)
    assert "nextToken" not in answered
    return [summary["jobName"] for summary in answered["jobSummaryList"]]


def filtered(world: World, name: str, *values: str, **request: Any) -> list[str]:
    return listed(world, filters=[{"name": name, "values": list(values)}], **request)


def paged(world: World, **request: Any) -> list[list[str]]:
    pages: list[list[str]] = []
    token = ""
    while True:
        answered = world.api("ListJobs", {"jobQueue": "queue", "nextToken": token} | request)
        pages.append([summary["jobName"] for summary in answered["jobSummaryList"]])
        token = answered.get("nextToken", "")
        if not token:
            return pages


def fill(world: World, number: int = 5) -> list[str]:
    """Submit jobs a, b, c, ..., the first of them the newest; all wait."""
    make_stage(world)
    return [submit(world, name) for name in "abcdefgh"[:number]]


def test_without_a_status_the_running_jobs_are_listed(world: World) -> None:
    make_stage(world)
    running(world, "runs")
    submit(world, "waits")
    assert listed(world) == ["runs"]
    assert listed(world, jobStatus="RUNNING") == ["runs"]
    assert listed(world, jobStatus="RUNNABLE") == ["waits"]
    assert listed(world, jobStatus="PENDING") == []
    world.run_until_idle()


def test_a_queue_is_named_by_name_or_arn_and_lists_its_own(world: World) -> None:
    fill(world, 1)
    make_queue(world, "other")
    submit(world, "elsewhere", queue="other")
    assert listed(world, jobStatus="RUNNABLE", jobQueue=f"{PREFIX}:job-queue/other") == [
        "elsewhere"
    ]
    with pytest.raises(ApiError, match="not found"):
        listed(world, jobQueue="nobody")
    world.run_until_idle()


def test_jobs_come_newest_first_in_pages(world: World) -> None:
    fill(world)
    pages = paged(world, jobStatus="RUNNABLE", maxResults=2)
    assert pages == [["e", "d"], ["c", "b"], ["a"]]
    world.run_until_idle()


def test_the_last_full_page_has_no_token(world: World) -> None:
    fill(world, 4)
    assert paged(world, jobStatus="RUNNABLE", maxResults=2) == [["d", "c"], ["b", "a"]]
    world.run_until_idle()


def test_a_summary_says_how_the_job_ended(world: World) -> None:
    make_stage(world)
    job_id = running(world, "a")
    finish(world, job_id, 3, reason="OutOfMemoryError: x")
    (summary,) = world.api("ListJobs", {"jobQueue": "queue", "jobStatus": "FAILED"})[
        "jobSummaryList"
    ]
    job = world.detail(job_id)
    assert summary["container"] == {"exitCode": 3, "reason": "OutOfMemoryError: x"}
    for name in ("jobArn", "jobName", "createdAt", "startedAt", "stoppedAt", "jobDefinition"):
        assert summary[name] == job[name], name
    assert summary["statusReason"] == "Essential container in task exited"
    assert not {"isCancelled", "isTerminated"} & summary.keys()


def test_a_summary_has_a_stop_only_where_there_was_one(world: World) -> None:
    job_id, _ = fill(world, 2)
    world.api("TerminateJob", {"jobId": job_id, "reason": "enough"})
    answered = world.api("ListJobs", {"jobQueue": "queue", "jobStatus": "FAILED"})
    assert answered["jobSummaryList"][0]["isTerminated"] is True
    world.run_until_idle()


def test_a_filter_looks_in_every_status_whatever_status_is_asked_for(world: World) -> None:
    make_stage(world)
    running(world, "same")
    submit(world, "same")
    submit(world, "other")
    assert filtered(world, "JOB_NAME", "same", jobStatus="FAILED") == ["same", "same"]
    world.run_until_idle()


@pytest.mark.parametrize(
    ("pattern", "names"),
    [("a*", ["ab", "Aa"]), ("AA", ["Aa"]), ("*", ["b", "ab", "Aa"]), ("x*", []), ("*b", [])],
)
def test_names_match_in_any_case_and_by_their_beginning(
    world: World, pattern: str, names: list[str]
) -> None:
    make_stage(world)
    for name in ("Aa", "ab", "b"):
        submit(world, name)
    assert filtered(world, "JOB_NAME", pattern) == names
    world.run_until_idle()


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("work", ["2", "1"]),
        ("work:2", ["2"]),
        ("wo*", ["3", "2", "1"]),
        (f"{PREFIX}:job-definition/work:1", ["1"]),
        (f"{PREFIX}:job-definition/nobody:1", []),
        ("WORK", []),
    ],
)
def test_definitions_match_by_name_revision_or_arn(
    world: World, value: str, names: list[str]
) -> None:
    make_stage(world)
    submit(world, "1")
    make_definition(world)
    submit(world, "2")
    make_definition(world, "worker")
    submit(world, "3", jobDefinition="worker")
    assert filtered(world, "JOB_DEFINITION", value) == names
    world.run_until_idle()


def test_creation_bounds_are_exclusive(world: World) -> None:
    ids = fill(world, 3)
    middle = str(world.detail(ids[1])["createdAt"])
    assert filtered(world, "BEFORE_CREATED_AT", middle) == ["a"]
    assert filtered(world, "AFTER_CREATED_AT", middle) == ["c"]
    world.run_until_idle()


def test_a_share_filter_heeds_the_status(world: World) -> None:
    fill(world, 1)
    assert filtered(world, "SHARE_IDENTIFIER", "-*") == ["a"]
    assert filtered(world, "SHARE_IDENTIFIER", "-*", jobStatus="RUNNING") == []
    world.run_until_idle()


def test_filtered_jobs_come_in_pages_over_all_statuses(world: World) -> None:
    make_stage(world, max_vcpus=1)
    running(world, "a1")
    for name in ("b", "a2", "a3"):
        submit(world, name)
    job_id = submit(world, "a4")
    world.api("CancelJob", {"jobId": job_id, "reason": "enough"})
    filters = [{"name": "JOB_NAME", "values": ["a*"]}]
    pages = paged(world, filters=filters, maxResults=2)
    assert [name for page in pages for name in page] == ["a4", "a3", "a2", "a1"]
    assert all(len(page) <= 2 for page in pages)
    world.run_until_idle()


def test_a_filtered_call_looks_at_a_bounded_number_of_jobs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_lists, "LOOKED_AT_LIMIT", 2)
    fill(world)
    filters = [{"name": "JOB_NAME", "values": ["a"]}]
    assert paged(world, filters=filters) == [[], [], ["a"]]
    world.run_until_idle()


@pytest.mark.parametrize(
    ("request_members", "message"),
    [
        ({"jobQueue": None}, "Exactly one of"),
        ({"arrayJobId": "x"}, "Exactly one of"),
        ({"arrayJobId": "x", "multiNodeJobId": "y"}, "Exactly one of"),
        ({"jobStatus": "NOPE"}, "NOPE"),
        ({"maxResults": 1001}, "maxResults"),
        ({"maxResults": 0}, "maxResults"),
        ({"filters": [{"name": "JOB_NAME", "values": ["a"]}], "maxResults": 101}, "maxResults"),
        (
            {"filters": [{"name": "JOB_NAME", "values": ["a"]}] * 2},
            "Only one filter key-value pair can be specified.",
        ),
        (
            {"filters": [{"name": "JOB_NAME", "values": ["a", "b"]}]},
            "Filter cannot take more than one value.",
        ),
        ({"filters": [{"name": "JOB_NAME"}]}, "exactly one value"),
        ({"filters": [{"name": "COLOUR", "values": ["a"]}]}, "COLOUR is not valid"),
        ({"filters": [{"values": ["a"]}]}, "None is not valid"),
        ({"filters": [{"name": "AFTER_CREATED_AT", "values": ["soon"]}]}, "not a time"),
        ({"filters": [{"name": "AFTER_CREATED_AT", "values": ["1" * 14]}]}, "not a time"),
        ({"nextToken": "bm9uc2Vuc2U="}, "nextToken is not valid"),
        ({"nextToken": "MTI="}, "nextToken is not valid"),
        ({"nextToken": "x"}, "nextToken is not valid"),
    ],
)
def test_a_wrong_listing_is_refused(
    world: World, request_members: dict[str, Any], message: str
) -> None:
    make_stage(world)
    with pytest.raises(ApiError, match=message) as caught:
        listed(world, **request_members)
    assert caught.value.status == 400


def test_a_job_that_goes_on_between_two_reads_is_listed_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_stage(world)
    job_id = submit(world, "moves")
    read = world.ports.jobs.list_by_status

    def and_then_it_moves(*args: Any, **kwargs: Any) -> Any:
        found = read(*args, **kwargs)
        if found:
            world.run_until_idle()
        return found

    monkeypatch.setattr(world.ports.jobs, "list_by_status", and_then_it_moves)
    name_filter = [{"name": "JOB_NAME", "values": ["moves"]}]
    answered = world.api("ListJobs", {"jobQueue": "queue", "filters": name_filter})
    (summary,) = answered["jobSummaryList"]
    assert (summary["jobId"], summary["status"]) == (job_id, "STARTING")
