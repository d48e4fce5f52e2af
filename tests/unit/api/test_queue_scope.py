"""The API of one job queue: what its callers see and do, and what stays hidden from them."""

import json
from typing import Any

import pytest

from tests.support.multinode import node_properties
from tests.support.scenes import make_definition, make_environment, make_queue, make_stage, submit
from tests.support.stack import ACCOUNT
from tests.support.world import ApiError, World

ALLOWED = {
    "CancelJob", "CancelJobs", "DescribeJobs", "ListJobs", "SubmitJob", "TerminateJob",
    "TerminateJobs",
}  # fmt: skip
NOBODY = "00000000-1111-4111-8111-111111111111"
REQUEST = {"jobName": "job", "jobQueue": "queue", "jobDefinition": "work"}
Json = dict[str, Any]


@pytest.fixture(name="theirs")
def make_other_team(world: World) -> str:
    """Make our queue `queue` and another team's `theirs`, with a job in it; return the job's id."""
    make_stage(world)
    make_queue(world, "theirs")
    job_id = submit(world, "secret", queue="theirs")
    world.run_until_idle()
    return job_id


def ours(world: World, operation: str, **request: Any) -> Json:
    return world.api(operation, request, queue="queue")


def without_ids(text: str, *ids: str) -> str:
    for one in ids:
        text = text.replace(one, "ID")
    return text


def answer_of(world: World, operation: str, **request: Any) -> str:
    """Return the answer or the refusal as text."""
    try:
        return json.dumps(ours(world, operation, **request))
    except ApiError as refusal:
        return str(refusal)


def test_a_team_submits_lists_describes_and_stops_jobs_of_its_queue(world: World) -> None:
    make_stage(world)
    first = ours(world, "SubmitJob", **REQUEST)["jobId"]
    arn = f"arn:aws:batch:us-east-1:{ACCOUNT}:job-queue/queue"
    second = ours(world, "SubmitJob", **REQUEST | {"jobQueue": arn})["jobId"]
    array = ours(world, "SubmitJob", **REQUEST, arrayProperties={"size": 2})["jobId"]
    found = ours(world, "ListJobs", jobQueue="queue", jobStatus="RUNNABLE")["jobSummaryList"]
    assert {job["jobId"] for job in found} == {first, second}
    described = ours(world, "DescribeJobs", jobs=[first, f"{array}:1"])["jobs"]
    assert [job["jobId"] for job in described] == [first, f"{array}:1"]
    ours(world, "CancelJob", jobId=first, reason="no")
    ours(world, "TerminateJobs", jobs=[second, array], reason="no")
    world.run_until_idle()
    assert {world.detail(job_id)["status"] for job_id in (first, second, array)} == {"FAILED"}


@pytest.mark.parametrize("kind", ["plain", "array", "child", "nodes", "node"])
def test_a_job_of_another_queue_looks_as_if_it_did_not_exist(world: World, kind: str) -> None:
    make_stage(world)
    make_queue(world, "theirs")
    theirs = _job_of(world, kind)
    suffix = {"child": ":0", "node": "#1"}.get(kind, "")
    shown, unknown = f"{theirs}{suffix}", f"{NOBODY}{suffix}"
    assert world.api("DescribeJobs", {"jobs": [shown]})["jobs"]
    before = world.ports.jobs.find_job(world.job(theirs).key)
    for operation, request in (
        ("DescribeJobs", {"jobs": ["X"]}),
        ("ListJobs", {"arrayJobId": "X", "jobStatus": "RUNNABLE"}),
        ("ListJobs", {"multiNodeJobId": "X", "jobStatus": "RUNNABLE"}),
        ("CancelJob", {"jobId": "X", "reason": "no"}),
        ("TerminateJob", {"jobId": "X", "reason": "no"}),
        ("CancelJobs", {"jobs": ["X"], "reason": "no"}),
        ("TerminateJobs", {"jobs": ["X"], "reason": "no"}),
        ("SubmitJob", REQUEST | {"dependsOn": [{"jobId": "X"}]}),
    ):
        asked = [
            answer_of(world, operation, **json.loads(json.dumps(request).replace("X", job_id)))
            for job_id in (shown, unknown)
        ]
        assert without_ids(asked[0], shown) == without_ids(asked[1], unknown), operation
    assert world.ports.jobs.find_job(world.job(theirs).key) == before
    world.run_until_idle()


def _job_of(world: World, kind: str) -> str:
    """Submit a job of that kind to the other team's queue; return its id."""
    if kind in ("array", "child"):
        return submit(world, queue="theirs", arrayProperties={"size": 2})
    if kind in ("nodes", "node"):
        make_environment_of_nodes(world)
        return submit(world, queue="metal", jobDefinition="multinode")
    return submit(world, queue="theirs")


def make_environment_of_nodes(world: World) -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/x"
    metal = {"computeEnvironmentName": "metal", "type": "UNMANAGED", "serviceRole": role}
    world.api("CreateComputeEnvironment", metal)
    world.run_until_idle()
    make_queue(world, "metal", environments=("metal",))
    world.api(
        "RegisterJobDefinition",
        {
            "jobDefinitionName": "multinode",
            "type": "multinode",
            "nodeProperties": node_properties(),
        },
    )


def test_another_queue_looks_as_if_it_did_not_exist(world: World, theirs: str) -> None:
    for operation, request in (
        ("SubmitJob", REQUEST),
        ("ListJobs", {}),
        ("ListJobs", {"filters": [{"name": "JOB_NAME", "values": ["secret"]}]}),
    ):
        asked = [
            answer_of(world, operation, **request | {"jobQueue": name})
            for name in ("theirs", "nobody")
        ]
        assert asked[0].replace("theirs", "nobody") == asked[1], operation
        assert "JobQueue nobody not found" in asked[1]
    arn = f"arn:aws:batch:us-east-1:{ACCOUNT}:job-queue/theirs"
    assert f"JobQueue {arn} not found" in answer_of(world, "ListJobs", jobQueue=arn)
    assert world.job(theirs).status == "STARTING"


def test_a_job_may_wait_for_one_of_its_own_queue_only(world: World, theirs: str) -> None:
    first = ours(world, "SubmitJob", **REQUEST)["jobId"]
    second = ours(world, "SubmitJob", **REQUEST, dependsOn=[{"jobId": first}])["jobId"]
    assert world.detail(second)["status"] == "PENDING"
    for kind in ("N_TO_N", ""):
        depends = [{"jobId": theirs, "type": kind}] if kind else [{"jobId": theirs}]
        array = {"arrayProperties": {"size": 2}} if kind else {}
        refused = answer_of(world, "SubmitJob", **REQUEST, **array, dependsOn=depends)
        assert f"Job {theirs} of dependsOn not found" in refused
    world.run_until_idle()


def test_a_bulk_request_stops_what_is_of_the_queue_and_leaves_the_rest(
    world: World, theirs: str
) -> None:
    own = ours(world, "SubmitJob", **REQUEST)["jobId"]
    answered = ours(world, "TerminateJobs", jobs=[own, theirs, NOBODY], reason="no")
    assert answered == {"successful": [own, theirs, NOBODY], "errors": []}
    world.run_until_idle()
    assert world.detail(own)["status"] == "FAILED"
    assert world.detail(theirs)["status"] == "STARTING"


def test_a_queue_without_jobs_and_one_that_does_not_exist_are_empty_alike(world: World) -> None:
    make_environment(world)
    make_definition(world)
    assert world.api("DescribeJobs", {"jobs": [NOBODY]}, queue="nobody") == {"jobs": []}
    with pytest.raises(ApiError, match="JobQueue nobody not found"):
        world.api("SubmitJob", REQUEST | {"jobQueue": "nobody"}, queue="nobody")


@pytest.mark.parametrize(
    "operation",
    ["CreateJobQueue", "DeleteJobQueue", "DescribeJobDefinitions", "DescribeJobQueues",
     "RegisterJobDefinition", "UpdateComputeEnvironment", "GetJobQueueSnapshot"],
)  # fmt: skip
def test_everything_but_the_jobs_of_the_queue_is_refused(world: World, operation: str) -> None:
    """Whatever the request holds: nothing of it is looked at."""
    with pytest.raises(ApiError) as refusal:
        world.api(operation, {}, queue="queue")
    assert (refusal.value.status, refusal.value.code) == (403, "AccessDeniedException")
    assert f"not authorized to perform: batch:{operation} " in refusal.value.message
    assert all(name in refusal.value.message for name in ALLOWED)


@pytest.mark.parametrize(
    "name", ["", "a b", "a/b", "..", "*", "queue%2F", "x" * 129, "ä", "a\n", "queue#RUNNING"]
)
def test_what_is_no_name_of_a_queue_is_refused(world: World, name: str) -> None:
    with pytest.raises(ApiError) as refusal:
        world.api("DescribeJobs", {"jobs": ["x"]}, queue=name)
    assert refusal.value.status == 400
    assert "Job Queue name should match a valid pattern" in refusal.value.message


def test_a_repeated_submit_finds_its_job_only_where_it_was_made(world: World) -> None:
    """The same call through another queue's endpoint is no second try of it."""
    make_stage(world)
    make_queue(world, "theirs")
    request = REQUEST | {"jobQueue": "theirs"}
    world.api("SubmitJob", request, invocation_id="one", queue="theirs")
    with pytest.raises(ApiError, match="JobQueue theirs not found"):
        world.api("SubmitJob", request, invocation_id="one", queue="queue")
    world.run_until_idle()
