"""What happens to jobs, as their owner sees it through the API."""

import json
import urllib.request
import uuid
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from batchyard.client.environment import variables
from tests.e2e.world import World, until

pytestmark = pytest.mark.e2e

EXITED = "Essential container in task exited"


@pytest.fixture(scope="module")
def queue(world: World) -> str:
    """Return a queue with capacity for all jobs of these tests that need not wait."""
    return world.queue(world.environment(vcpus=16))


def test_a_job_succeeds_and_sees_its_environment(world: World, queue: str) -> None:
    definition = world.definition("sh", "-c", "env; echo end")
    colour = {"name": "COLOUR", "value": "blue [and] green"}
    overrides = {"environment": [colour, {"name": "WITHOUT_A_VALUE"}]}
    job_id = world.submit(queue, definition, containerOverrides=overrides)
    job = world.await_job(job_id, "SUCCEEDED")
    container = job["container"]
    assert (container["exitCode"], job["statusReason"]) == (0, EXITED)
    assert job["createdAt"] <= job["startedAt"] <= job["stoppedAt"]
    task_id = container["taskArn"].rpartition("/")[2]
    assert container["logStreamName"] == f"{definition}/default/{task_id}"

    lines = world.log_of(container, last_line="end")
    environment = dict(line.split("=", 1) for line in lines if "=" in line)
    assert environment["AWS_BATCH_JOB_ID"] == job_id
    assert environment["AWS_BATCH_JOB_ATTEMPT"] == "1"
    assert environment["AWS_BATCH_JQ_NAME"] == queue
    [placed_on] = world.batch.describe_job_queues(jobQueues=[queue])["jobQueues"]
    order = placed_on["computeEnvironmentOrder"]
    assert order[0]["computeEnvironment"].endswith(f"/{environment['AWS_BATCH_CE_NAME']}")
    assert environment["AWS_EXECUTION_ENV"] == "AWS_ECS_FARGATE"
    assert environment["COLOUR"] == "blue [and] green"
    assert "WITHOUT_A_VALUE" not in environment


def test_a_job_fails_with_its_exit_code(world: World, queue: str) -> None:
    definition = world.definition("sh", "-c", "echo out; echo err >&2; exit 7")
    job = world.await_job(world.submit(queue, definition), "FAILED")
    assert (job["container"]["exitCode"], job["statusReason"]) == (7, EXITED)
    [attempt] = job["attempts"]
    assert attempt["container"]["exitCode"] == 7
    lines = world.log_of(job["container"], last_line="err")
    assert sorted(lines) == ["err", "out"]


def test_a_command_that_does_not_exist_fails_the_start(world: World, queue: str) -> None:
    job = world.await_job(world.submit(queue, world.definition("no-such-program")), "FAILED")
    assert "exitCode" not in job["container"]
    assert job["container"]["reason"].startswith("CannotStartContainerError")


def test_rules_on_exit_codes_retry_and_end(world: World, queue: str) -> None:
    # Exit codes 75, 75, 9: the first rule retries twice, the second ends it before its 5 attempts.
    definition = world.definition(
        "sh",
        "-c",
        "echo try $AWS_BATCH_JOB_ATTEMPT; test $AWS_BATCH_JOB_ATTEMPT = 3 && exit 9; exit 75",
    )
    rules = [{"onExitCode": "7*", "action": "RETRY"}, {"onExitCode": "*", "action": "EXIT"}]
    job_id = world.submit(queue, definition, retryStrategy={"attempts": 5, "evaluateOnExit": rules})
    job = world.await_job(job_id, "FAILED")
    assert [a["container"]["exitCode"] for a in job["attempts"]] == [75, 75, 9]
    for number, attempt in enumerate(job["attempts"], start=1):
        world.log_of(attempt["container"], last_line=f"try {number}")
    starts = [attempt["startedAt"] for attempt in job["attempts"]]
    assert starts == sorted(set(starts))


def test_terminating_a_running_job_stops_it(world: World, queue: str) -> None:
    job_id = world.submit(queue, world.definition("sleep", "600"), retryStrategy={"attempts": 3})
    world.await_job(job_id, "RUNNING")
    world.batch.terminate_job(jobId=job_id, reason="seen enough")
    job = world.await_job(job_id, "FAILED")
    assert job["statusReason"] == "seen enough"
    assert job["isTerminated"]
    assert len(job["attempts"]) == 1
    assert job["container"]["exitCode"] == 143


def test_the_queue_of_higher_priority_goes_first(world: World) -> None:
    environment = world.environment(vcpus=1)
    low, high = world.queue(environment, priority=1), world.queue(environment, priority=9)
    size = {"vcpus": "1", "memory": "2048"}
    blocker = world.submit(low, world.definition("sleep", "600", **size))
    world.await_job(blocker, "RUNNING")
    short = world.definition("true", **size)
    submitted = [world.submit(low, short), world.submit(low, short), world.submit(high, short)]
    world.batch.terminate_job(jobId=blocker, reason="make capacity")
    first, second, favoured = (world.await_job(job_id, "SUCCEEDED") for job_id in submitted)
    assert favoured["startedAt"] <= first["startedAt"] <= second["startedAt"]
    assert favoured["stoppedAt"] <= first["startedAt"], "one vCPU holds one job"


def test_list_jobs_pages_through_all_jobs_once(world: World, queue: str) -> None:
    definition = world.definition("true")
    submitted = [world.submit(queue, definition) for _ in range(7)]
    for job_id in submitted:
        world.await_job(job_id, "SUCCEEDED")
    pages = world.batch.get_paginator("list_jobs").paginate(
        jobQueue=queue,
        filters=[{"name": "JOB_DEFINITION", "values": [definition]}],
        PaginationConfig={"PageSize": 3},
    )
    listed = [job["jobId"] for page in pages for job in page["jobSummaryList"]]
    assert sorted(listed) == sorted(submitted)
    by_status = world.batch.get_paginator("list_jobs").paginate(
        jobQueue=queue, jobStatus="SUCCEEDED", PaginationConfig={"PageSize": 2}
    )
    ids = [job["jobId"] for page in by_status for job in page["jobSummaryList"]]
    assert len(ids) == len(set(ids))
    assert set(submitted) <= set(ids)


def test_a_submit_that_is_sent_twice_makes_one_job(world: World, queue: str) -> None:
    body = {"jobName": "twice", "jobQueue": queue, "jobDefinition": world.definition("true")}
    invocation = str(uuid.uuid4())
    first, again = (_submit_raw(world, body, invocation) for _ in range(2))
    other = _submit_raw(world, body, str(uuid.uuid4()))
    assert first == again
    assert first["jobId"] != other["jobId"]
    for job_id in (first["jobId"], other["jobId"]):
        assert len(world.await_job(job_id, "SUCCEEDED")["attempts"]) == 1


def _submit_raw(world: World, body: dict[str, Any], invocation: str) -> dict[str, Any]:
    """Send SubmitJob as an SDK's retry does: signed again, with the invocation id of its call."""
    values = variables(world.state_dir)
    request = AWSRequest(
        method="POST",
        url=f"{values['AWS_ENDPOINT_URL_BATCH']}/v1/submitjob",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "amz-sdk-invocation-id": invocation},
    )
    credentials = Credentials(values["AWS_ACCESS_KEY_ID"], values["AWS_SECRET_ACCESS_KEY"])
    SigV4Auth(credentials, "execute-api", values["AWS_REGION"]).add_auth(request)
    prepared = request.prepare()
    sent = urllib.request.Request(
        prepared.url, data=request.data, headers=dict(prepared.headers.items()), method="POST"
    )
    with urllib.request.urlopen(sent, timeout=30) as answer:
        submitted: dict[str, Any] = json.load(answer)
        return submitted


def test_a_queue_and_its_environment_are_deleted(world: World) -> None:
    environment = world.environment(vcpus=1)
    queue = world.queue(environment)
    running = world.submit(queue, world.definition("sleep", "600", vcpus="1", memory="2048"))
    world.await_job(running, "RUNNING")
    with pytest.raises(ClientError, match="Cannot delete"):
        world.batch.delete_job_queue(jobQueue=queue)
    with pytest.raises(ClientError, match="Cannot delete"):
        world.batch.delete_compute_environment(computeEnvironment=environment)

    world.batch.update_job_queue(jobQueue=queue, state="DISABLED")
    with pytest.raises(ClientError, match="not in ENABLED state"):
        world.submit(queue, world.definition("true"))
    world.batch.delete_job_queue(jobQueue=queue)
    until(
        lambda: world.batch.describe_job_queues(jobQueues=[queue])["jobQueues"],
        lambda found: not found or found[0]["status"] == "DELETED",
        seconds=30,
    )
    assert world.await_job(running, "FAILED")["statusReason"] == "JobQueue deleted"

    world.batch.update_compute_environment(computeEnvironment=environment, state="DISABLED")
    world.await_environment(environment, "VALID")
    world.batch.delete_compute_environment(computeEnvironment=environment)
    until(
        lambda: world.describe_environment(environment),
        lambda found: found is None or found["status"] == "DELETED",
        seconds=30,
    )
    clusters = world.clients("ecs").list_clusters()["clusterArns"]
    assert not any(arn.endswith(f"-{environment}") for arn in clusters)
