"""What is read and shown of a job that is followed, whether it has one container or several."""

from typing import Any, cast

from batchyard.cli.jobs_view import exit_codes
from batchyard.client.clients import Clients
from batchyard.client.jobs import STATUSES, FailedJobs, QueueState, Stream, streams_of

Json = dict[str, Any]


def one(stream: str | None = None, **members: Any) -> Json:
    """Return a container as described, with a log stream if it ran."""
    return {**({"logStreamName": stream} if stream else {}), **members}


def several(*containers: Json) -> Json:
    return {"taskProperties": [{"containers": list(containers)}]}


def test_a_job_of_one_container_has_a_stream_for_each_attempt_that_ran() -> None:
    own = {"logConfiguration": {"options": {"awslogs-group": "mine"}}}
    job = {
        "status": "RUNNING",
        "container": one("third", **own),
        "attempts": [{"container": one("first")}, {"container": one()}],
    }
    assert streams_of(job) == [
        Stream(attempt=1, name="first", over=True, group="mine"),
        Stream(attempt=3, name="third", over=False, group="mine"),
    ]
    ended = {**job, "status": "FAILED", "attempts": [*job["attempts"], {"container": one("third")}]}
    assert [stream.name for stream in streams_of(ended)] == ["first", "third"]


def test_each_of_several_containers_has_its_own_stream_under_its_name() -> None:
    own = {"logConfiguration": {"options": {"awslogs-group": "mine"}}}
    job = {
        "status": "RUNNING",
        "container": {},
        "ecsProperties": several(one("a2", name="a"), one("b2", name="b", **own)),
        "attempts": [{"container": {}} | several(one("a1", name="a"), one(name="b"))],
    }
    assert streams_of(job) == [
        Stream(attempt=1, name="a1", over=True, container="a"),
        Stream(attempt=2, name="a2", over=False, container="a"),
        Stream(attempt=2, name="b2", over=False, container="b", group="mine"),
    ]


def test_a_lone_container_of_a_task_needs_no_name_before_its_lines() -> None:
    job = {"status": "RUNNING", "container": {}, "ecsProperties": several(one("a", name="a"))}
    assert streams_of(job) == [Stream(attempt=1, name="a", over=False)]


def test_exit_codes_are_shown_by_name_where_there_are_several() -> None:
    assert exit_codes({"container": {"exitCode": 0}}) == "0"
    assert exit_codes({"container": {}}) == ""
    ends = several(one(name="a", exitCode=7), one(name="b"), one(name="c", exitCode=143))
    assert exit_codes({"container": {}} | ends) == "a 7, c 143"


def state(*, in_flight: str = "", **ended: str) -> QueueState:
    """Return a queue with these job ids in flight, and these ids by status of ended jobs."""
    jobs = {
        job_id: {"jobId": job_id, "status": status, "stoppedAt": number}
        for status, ids in ended.items()
        for number, job_id in enumerate(ids.split())
    }
    return QueueState(
        name="q",
        counts=dict.fromkeys(STATUSES, 0),
        in_flight=(),
        in_flight_ids=frozenset(in_flight.split()),
        ended=jobs,
    )


def failed_after(*states: QueueState, described: dict[str, str] | None = None) -> list[str]:
    """Return the ids of failed jobs after these looks; `described` is what DescribeJobs has."""

    class Batch:
        def describe_jobs(self, jobs: list[str]) -> Json:
            known = described or {}
            found = [{"jobId": job_id, "status": known[job_id]} for job_id in jobs]
            return {"jobs": found}

    def clients(service: str) -> Batch:
        return Batch()

    failed = FailedJobs(cast(Clients, clients))
    for one_state in states:
        failed.note(one_state)
    return [job["jobId"] for job in failed.found()]


def test_only_jobs_that_fail_after_the_first_look_count_as_failed() -> None:
    before = state(in_flight="a b", FAILED="old")
    assert failed_after(before, state(SUCCEEDED="a", FAILED="b old")) == ["b"]
    assert failed_after(before, state(SUCCEEDED="a b", FAILED="old")) == []


def test_a_failed_job_that_is_not_among_the_newest_is_found_by_its_id() -> None:
    assert failed_after(state(in_flight="a"), state(), described={"a": "FAILED"}) == ["a"]
    assert failed_after(state(in_flight="a"), state(), described={"a": "SUCCEEDED"}) == []
