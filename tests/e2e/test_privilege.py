"""Proof of least privilege: all that the stack does is done under its IAM policies, and allowed.

The emulator checks the callers of the API and the functions against their policies. It does not
check the state machines, nor the mappings that read queues and streams: those are checked as text
(tests/unit/infra/test_privileges.py).
"""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.e2e import guarded_access
from tests.e2e.guarded_access import allow, assert_forbidden, user
from tests.e2e.guarded_cloud import guarded_cloud, put_policy, refused, roles_of
from tests.e2e.guarded_triggers import triggers_are_made_and_fired
from tests.e2e.world import World, until

pytestmark = pytest.mark.e2e

PATIENCE_SECONDS = 30.0
TICK = {"version": "0", "id": "tick", "detail-type": "Scheduled Event", "source": "aws.events"} | {
    "account": "", "time": "", "region": "", "resources": [], "detail": {},
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Return a local cloud whose emulator enforces IAM policies; the tests are its root user."""
    with guarded_cloud(tmp_path_factory.mktemp("guarded")) as made:
        yield made


def sweep(world: World) -> Mapping[str, Any]:
    """Run the sweeper now, as its schedule does."""
    answer: Mapping[str, Any] = world.clients("lambda").invoke(
        FunctionName="batchyard-sweep", Payload=json.dumps(TICK)
    )
    return answer


def change_row(world: World, job_id: str, **values: Any) -> None:
    """Change a job's row into a state that only a lost message leads to; None removes a member."""
    kinds = {str: "S", int: "N"}
    put = {name: value for name, value in values.items() if value is not None}
    gone = [name for name, value in values.items() if value is None]
    expression = "SET " + ", ".join(f"#{name} = :{name}" for name in put)
    if gone:
        expression += " REMOVE " + ", ".join(f"#{name}" for name in gone)
    world.clients("dynamodb").update_item(
        TableName="batchyard-jobs",
        Key={"root": {"S": job_id}, "part": {"S": "job"}},
        UpdateExpression=expression,
        ExpressionAttributeNames={f"#{name}": name for name in values},
        ExpressionAttributeValues={
            f":{name}": {kinds[type(value)]: str(value)} for name, value in put.items()
        },
    )


def row_of(world: World, job_id: str, part: str = "job") -> dict[str, Any]:
    """Return a row of the jobs table as DynamoDB has it, empty if there is none."""
    row: dict[str, Any] = (
        world.clients("dynamodb")
        .get_item(
            TableName="batchyard-jobs",
            Key={"root": {"S": job_id}, "part": {"S": part}},
            ConsistentRead=True,
        )
        .get("Item", {})
    )
    return row


def swept(world: World) -> None:
    assert "FunctionError" not in sweep(world)


def expired(world: World, job_id: str) -> None:
    """Delete a job's row, as DynamoDB does after its time to live."""
    key = {"root": {"S": job_id}, "part": {"S": "job"}}
    world.clients("dynamodb").delete_item(TableName="batchyard-jobs", Key=key)
    until(lambda: row_of(world, job_id, "spec"), lambda row: row == {}, seconds=PATIENCE_SECONDS)


@pytest.mark.slow
def test_a_whole_life_is_refused_nothing(world: World) -> None:
    environment = world.environment(vcpus=1)
    queue = world.queue(environment)
    role = world.cloud.outputs["ExecutionRoleArn"]
    once = world.definition("true", execution_role=role)
    flaky = world.definition("sh", "-c", "exit $((2 - AWS_BATCH_JOB_ATTEMPT))", execution_role=role)
    long = world.definition("sleep", "1000", execution_role=role)
    huge = world.definition("true", vcpus="2", memory="4096", execution_role=role)

    first = world.submit(queue, once)
    world.await_job(first, "SUCCEEDED")
    expired(world, first)
    retried = world.submit(queue, flaky, retryStrategy={"attempts": 2})
    assert len(world.await_job(retried, "SUCCEEDED")["attempts"]) == 2
    waiting_is_swept(world, queue, once, huge)
    lost_launches_are_swept(world, queue, long)
    nodes_are_started_and_stopped(world, role)
    children_wait_and_are_stopped(world, queue, once, long)
    triggers_are_made_and_fired(world, queue, long)
    executions_wait_for_jobs(world, queue, once, long)
    the_rest_of_the_api(world, queue, once, long)
    all_is_removed(world, queue, environment, long, huge)
    assert refused(world) == []


def waiting_is_swept(world: World, queue: str, once: str, huge: str) -> None:
    """The sweeper records why a head waits, and cancels it when its queue's limit is over."""
    why = "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE"
    limit = {"state": "RUNNABLE", "reason": why, "action": "CANCEL", "maxTimeSeconds": 600}
    world.batch.update_job_queue(jobQueue=queue, jobStateTimeLimitActions=[limit])
    head = world.submit(queue, huge)
    behind, unwanted = world.submit(queue, once), world.submit(queue, once)
    swept(world)
    assert row_of(world, head)["blocked_why"]["S"] == why
    world.batch.cancel_job(jobId=unwanted, reason="not needed")
    world.await_job(unwanted, "FAILED")
    change_row(world, head, blocked_since_ms=1)
    swept(world)
    world.await_job(head, "FAILED")
    world.await_job(behind, "SUCCEEDED")


def lost_launches_are_swept(world: World, queue: str, long: str) -> None:
    """The sweeper finds the tasks that no event reported, and launches or gives back the others."""
    unreported = world.submit(queue, long, timeout={"attemptDurationSeconds": 100})
    lost, unlaunched = world.submit(queue, long), world.submit(queue, long)
    for job_id in (unreported, lost, unlaunched):
        world.await_job(job_id, "RUNNING")
    orphan = world.job(lost)["container"]["taskArn"]
    starting = {"status": "STARTING", "queue_status": f"{queue}#STARTING", "changed_at_ms": 1}
    forgotten = {"task_arn": None, "started_at_ms": None}
    change_row(world, unreported, **starting, **forgotten)
    # Of these placements there is no task: one was given up long ago, one is launched again.
    change_row(world, lost, **starting, **forgotten, dispatch_count=7, launch_closed_at_ms=1)
    lately = {"changed_at_ms": round(time.time() * 1000) - 120_000, "dispatch_count": 7}
    change_row(world, unlaunched, **starting | forgotten | lately)
    swept(world)
    for job_id in (unreported, lost, unlaunched):
        world.await_job(job_id, "RUNNING")
    world.batch.terminate_job(jobId=unlaunched, reason="enough")
    world.await_job(unlaunched, "FAILED")
    tasks_are_stopped(world, lost, unreported, orphan)


def tasks_are_stopped(world: World, lost: str, unreported: str, orphan: str) -> None:
    """By whoever finds that one must: the sweeper, the reactor, or the handler of its reports."""
    # A stop that came to nothing is repeated. The deadline of the other job is near.
    change_row(world, lost, stop_cause="TERMINATE", stop_reason="swept away", changed_at_ms=1)
    swept(world)
    assert world.await_job(lost, "FAILED")["statusReason"] == "swept away"
    # A task that runs for a placement that was given up, and a deadline that is reported too early.
    cluster = orphan.replace(":task/", ":cluster/").rpartition("/")[0]
    task = {"taskArn": orphan, "clusterArn": cluster, "lastStatus": "RUNNING"}
    send_event(world, "aws.ecs", "ECS Task State Change", task | {"startedBy": f"{lost}/job/1"})
    send_event(world, "batchyard", "Deadline", {"startedBy": f"{unreported}/job/1"})
    ecs = world.clients("ecs")
    until(
        lambda: ecs.describe_tasks(cluster=cluster, tasks=[orphan])["tasks"][0]["lastStatus"],
        lambda status: status == "STOPPED",
        seconds=PATIENCE_SECONDS,
    )
    # A stop that is decided before the task is known: the reactor looks for it.
    version = int(row_of(world, unreported)["version"]["N"]) + 1
    stop = {"stop_cause": "TERMINATE", "stop_reason": "looked for", "task_arn": None}
    change_row(world, unreported, **stop, version=version)
    assert world.await_job(unreported, "FAILED")["statusReason"] == "looked for"


def children_wait_and_are_stopped(world: World, queue: str, once: str, long: str) -> None:
    """Have child rows made by a dispatch, a release and a stop, and found by child range."""
    size = {"size": 3}
    first = world.submit(queue, once, arrayProperties=size)
    each = [{"jobId": first, "type": "N_TO_N"}, {"type": "SEQUENTIAL"}]
    second = world.submit(queue, once, arrayProperties=size, dependsOn=each)
    third = world.submit(queue, once, dependsOn=[{"jobId": second, "type": "AFTER_ANY"}])
    world.await_job(third, "SUCCEEDED")
    # More than fit: the last is a virtual child when it is stopped.
    many = world.submit(queue, long, arrayProperties={"size": 100})
    never = world.submit(queue, once, dependsOn=[{"jobId": f"{many}:99"}])
    world.await_job(f"{many}:0", "RUNNING")
    world.batch.cancel_job(jobId=f"{many}:99", reason="not this one")
    assert world.await_job(never, "FAILED")["statusReason"] == "Dependent Job failed"
    swept(world)
    world.batch.terminate_job(jobId=many, reason="seen")
    assert world.await_job(many, "FAILED")["statusReason"] == "seen"
    swept(world)
    expired(world, first)


def executions_wait_for_jobs(world: World, queue: str, once: str, long: str) -> None:
    """Run jobs for waiting executions, with a stop and with a second token for the same job."""
    states, run_job = world.clients("stepfunctions"), world.cloud.outputs["RunJobMachineArn"]
    request = {"jobName": "waited-for", "jobQueue": queue, "jobDefinition": once}
    runs = [
        states.start_execution(stateMachineArn=run_job, input=json.dumps(given))["executionArn"]
        for given in (
            request,
            {**request, "jobDefinition": "nobody"},
            {**request, "jobDefinition": long, "jobName": "stopped"},
        )
    ]
    for run, status in zip(runs, ("SUCCEEDED", "FAILED"), strict=False):
        until(
            lambda run=run: states.describe_execution(executionArn=run)["status"],  # type: ignore[misc]
            lambda seen, status=status: seen == status,  # type: ignore[misc]
            seconds=PATIENCE_SECONDS,
        )
    # The job has ended: a token that comes now is added, and answered by the function itself.
    again = {"request": request, "clientToken": runs[0], "taskToken": "nobody-waits"}
    answered = world.clients("lambda").invoke(
        FunctionName=world.cloud.outputs["SubmitFunctionName"], Payload=json.dumps(again)
    )
    assert "FunctionError" not in answered
    waited_for = json.loads(answered["Payload"].read())["jobId"]
    assert "nobody-waits" in row_of(world, waited_for, "spec")["task_tokens"]["SS"]
    named = [{"name": "JOB_NAME", "values": ["stopped"]}]
    (doomed,) = until(
        lambda: world.batch.list_jobs(jobQueue=queue, filters=named)["jobSummaryList"],
        bool,
        seconds=PATIENCE_SECONDS,
    )
    states.stop_execution(executionArn=runs[2])
    assert "was stopped" in world.await_job(doomed["jobId"], "FAILED")["statusReason"]


def nodes_are_started_and_stopped(world: World, role: str) -> None:
    """Start nodes by the multi-node machine, and stop them by the reactor."""
    queue = world.queue(world.unmanaged_environment())
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}]
    container = {
        "image": "busybox",
        "command": ["sleep", "1000"],
        "executionRoleArn": role,
        "resourceRequirements": needs,
    }
    ranges = [{"targetNodes": "0:", "container": container}]
    definition = world.new_name("multinode")
    world.batch.register_job_definition(
        jobDefinitionName=definition,
        type="multinode",
        nodeProperties={"numNodes": 2, "mainNode": 0, "nodeRangeProperties": ranges},
    )
    job_id = world.submit(queue, definition)
    world.await_job(f"{job_id}#1", "RUNNING")
    swept(world)
    world.batch.terminate_job(jobId=job_id, reason="seen")
    world.await_job(job_id, "FAILED")
    until(
        lambda: world.job(f"{job_id}#1")["container"].get("exitCode"),
        lambda exit_code: exit_code == 143,
        seconds=PATIENCE_SECONDS,
    )
    world.batch.update_job_queue(jobQueue=queue, state="DISABLED")
    world.batch.delete_job_queue(jobQueue=queue)
    queue_is_gone(world, queue)


def queue_is_gone(world: World, queue: str) -> None:
    until(
        lambda: world.batch.describe_job_queues(jobQueues=[queue])["jobQueues"],
        lambda queues: not queues,
        seconds=PATIENCE_SECONDS,
    )


def send_event(world: World, source: str, kind: str, detail: Mapping[str, str]) -> None:
    """Put a message on the task-events queue."""
    body = json.dumps({"source": source, "detail-type": kind, "detail": detail})
    url = world.cloud.outputs["TaskEventsQueueUrl"]
    world.clients("sqs").send_message(QueueUrl=url, MessageBody=body)


def the_rest_of_the_api(world: World, queue: str, once: str, long: str) -> None:
    """Make every other kind of read and write that the operations need."""
    batch = world.batch
    batch.update_job_queue(jobQueue=queue, priority=2)
    batch.describe_job_queues()
    batch.describe_compute_environments()
    batch.describe_job_definitions(jobDefinitionName=once)
    job_id = world.submit(queue, once)
    arn = world.job(job_id)["jobArn"]
    batch.tag_resource(resourceArn=arn, tags={"colour": "green"})
    assert batch.list_tags_for_resource(resourceArn=arn)["tags"] == {"colour": "green"}
    world.await_job(job_id, "SUCCEEDED")
    running = world.submit(queue, long)
    world.await_job(running, "RUNNING")
    batch.terminate_job(jobId=running, reason="not needed")
    assert world.await_job(running, "FAILED")["statusReason"] == "not needed"
    until(
        lambda: batch.list_jobs(jobQueue=queue, jobStatus="SUCCEEDED")["jobSummaryList"],
        lambda jobs: job_id in {job["jobId"] for job in jobs},
        seconds=PATIENCE_SECONDS,
    )
    batch.list_jobs(jobQueue=queue, filters=[{"name": "JOB_NAME", "values": ["job*"]}])
    batch.deregister_job_definition(jobDefinition=f"{once}:1")


def all_is_removed(world: World, queue: str, environment: str, long: str, huge: str) -> None:
    """Update and delete each resource; a queue is drained before it is deleted."""
    batch = world.batch
    batch.update_compute_environment(
        computeEnvironment=environment, computeResources={"maxvCpus": 1}
    )
    world.await_environment(environment, "VALID")
    running, waiting = world.submit(queue, long), world.submit(queue, huge)
    world.await_job(running, "RUNNING")
    batch.update_job_queue(jobQueue=queue, state="DISABLED")
    batch.delete_job_queue(jobQueue=queue)
    for job_id in (running, waiting):
        world.await_job(job_id, "FAILED")
    queue_is_gone(world, queue)
    batch.update_compute_environment(computeEnvironment=environment, state="DISABLED")
    world.await_environment(environment, "VALID")
    batch.delete_compute_environment(computeEnvironment=environment)
    until(
        lambda: world.describe_environment(environment),
        lambda found: found is None,
        seconds=PATIENCE_SECONDS,
    )


def test_a_call_that_a_role_does_not_allow_is_refused_and_logged(world: World) -> None:
    """Without this, the test above would pass on an emulator that refuses nothing."""
    iam, role = world.clients("iam"), roles_of(world.clients)["SweepRole"]
    denial = {"Effect": "Deny", "Action": "dynamodb:Query", "Resource": "*"}
    put_policy(iam, role, "denial", [denial])
    try:
        assert "FunctionError" in sweep(world)
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="denial")
    reported = until(lambda: refused(world), bool, seconds=PATIENCE_SECONDS)
    assert all("/aws/lambda/batchyard-sweep: " in line for line in reported)
    swept(world)


def test_a_caller_without_permission_is_refused(world: World) -> None:
    everything_else = {"Effect": "Allow", "NotAction": "execute-api:*", "Resource": "*"}
    stranger = user(world, "stranger", [everything_else])
    assert_forbidden(stranger.describe_job_queues)
    assert_forbidden(stranger.submit_job, jobName="x", jobQueue="x", jobDefinition="x")


def test_a_caller_may_do_what_the_policy_names_and_no_more(world: World) -> None:
    api = world.cloud.outputs["RestAPIId"]
    path = f"arn:aws:execute-api:us-east-1:000000000000:{api}/api/POST/v1/describejobqueues"
    reader = user(world, "reader", [allow("execute-api:Invoke", path)])
    assert reader.describe_job_queues()["jobQueues"] == []
    assert_forbidden(reader.describe_jobs, jobs=["x"])
    assert_forbidden(reader.submit_job, jobName="x", jobQueue="x", jobDefinition="x")


def test_a_policy_on_its_path_gives_a_team_its_queue_and_no_other(world: World) -> None:
    guarded_access.a_team_has_its_queue(world)


def test_triggers_are_another_path_than_jobs(world: World) -> None:
    guarded_access.jobs_are_no_triggers(world)


def test_a_caller_passes_the_roles_that_its_policies_let_it_pass(world: World) -> None:
    guarded_access.users_pass_their_roles(world)
    guarded_access.sessions_pass_the_roles_of_their_role(world)
    assert not [line for line in refused(world) if "batchyard-api" in line]
