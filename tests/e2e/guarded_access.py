"""Users and roles of the local cloud under IAM, for test_privilege.py: who may do what."""

import json
from collections.abc import Mapping
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

from batchyard.cli import triggers_view
from batchyard.client.clients import Clients
from batchyard.client.environment import variables
from batchyard.client.triggers import TriggerCalls
from tests.e2e.world import World

Policy = dict[str, Any]
ACCOUNT = "000000000000"


def allow(action: str, resource: str | list[str]) -> Policy:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def user(world: World, name: str, statements: list[Policy], queue: str | None = None) -> Any:
    """Return a Batch client for a user with these permissions, at a queue's endpoint if named."""
    return clients_of(world, name, statements, queue)("batch")


def clients_of(
    world: World, name: str, statements: list[Policy], queue: str | None = None
) -> Clients:
    iam = world.clients("iam")
    iam.create_user(UserName=name)
    if statements:
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_user_policy(UserName=name, PolicyName="given", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    own = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    return Clients(variables(world.state_dir, queue=queue) | own)


def assert_forbidden(call: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as refusal:
        call(**request)
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert refusal.value.response["Error"]["Code"] == "AccessDeniedException"
    return str(refusal.value)


def api_path(world: World, path: str) -> str:
    """Return the ARN of a method and path of the API, as policies name it (see access.md)."""
    api = world.cloud.outputs["RestAPIId"]
    return f"arn:aws:execute-api:us-east-1:{ACCOUNT}:{api}/api/{path}"


def a_team_has_its_queue(world: World) -> None:
    environment = world.environment(vcpus=1)
    ours, theirs = world.queue(environment), world.queue(environment)
    role = world.cloud.outputs["ExecutionRoleArn"]
    work = world.definition("sleep", "1000", execution_role=role)
    foreign = world.submit(theirs, work)
    path = api_path(world, f"POST/queues/{ours}/v1/*")
    clients = clients_of(world, "team", [allow("execute-api:Invoke", path)], ours)
    team = clients("batch")
    request = {"jobName": "job", "jobDefinition": work}

    own = team.submit_job(jobQueue=ours, **request)["jobId"]
    assert [job["jobId"] for job in team.describe_jobs(jobs=[own, foreign])["jobs"]] == [own]
    team.terminate_job(jobId=foreign, reason="not ours")
    with pytest.raises(ClientError, match=f"JobQueue {theirs} not found"):
        team.submit_job(jobQueue=theirs, **request)
    with pytest.raises(ClientError, match=f"Job {foreign} of dependsOn not found"):
        team.submit_job(jobQueue=ours, dependsOn=[{"jobId": foreign}], **request)
    assert "batch:DescribeJobQueues" in assert_forbidden(team.describe_job_queues)
    team.terminate_job(jobId=own, reason="seen")
    assert world.await_job(own, "FAILED")["statusReason"] == "seen"
    listed = team.list_jobs(jobQueue=ours, jobStatus="FAILED")["jobSummaryList"]
    assert own in {job["jobId"] for job in listed}
    assert world.job(foreign)["status"] != "FAILED"
    world.batch.terminate_job(jobId=foreign, reason="seen")
    world.await_job(foreign, "FAILED")

    # The same keys at the endpoint of the other queue, and at that of all.
    for queue in (theirs, None):
        other = with_same_keys(world, clients, queue)
        assert_forbidden(other.describe_jobs, jobs=[foreign])
        assert_forbidden(other.submit_job, jobQueue=theirs, **request)


def with_same_keys(world: World, clients: Clients, queue: str | None) -> Any:
    """Return a Batch client with the keys of these, at another endpoint."""
    keys = clients.credentials()
    own = {"AWS_ACCESS_KEY_ID": keys.access_key, "AWS_SECRET_ACCESS_KEY": keys.secret_key}
    return Clients(variables(world.state_dir, queue=queue) | own)("batch")


def jobs_are_no_triggers(world: World) -> None:
    """Who may use all of the Batch API may not look at a trigger, and the other way round."""
    document = {
        "source": {"schedule": {"expression": "rate(1 day)"}},
        "request": {"jobName": "no", "jobQueue": "no", "jobDefinition": "no"},
        "state": "DISABLED",
    }
    jobs = clients_of(world, "jobs-only", [allow("execute-api:Invoke", api_path(world, "*/v1/*"))])
    jobs("batch").describe_jobs(jobs=["x"])
    calls = TriggerCalls(jobs)
    for call in (calls.every, lambda: calls.put("mine", document), lambda: calls.fire("mine", {})):
        with pytest.raises(Exception, match="not authorized"):
            call()
    paths = [api_path(world, "*/triggers"), api_path(world, "*/triggers/*")]
    admin = clients_of(world, "triggers-only", [allow("execute-api:Invoke", paths)])
    assert triggers_view.put(TriggerCalls(admin), "mine", document)["status"] == "VALID"
    TriggerCalls(admin).delete("mine")
    assert_forbidden(admin("batch").describe_jobs, jobs=["x"])


def users_pass_their_roles(world: World) -> None:
    """The emulator's simulation knows no conditions, so iam:PassedToService is left out here."""
    allowed, other = make_role(world, "batchyard-job-a"), make_role(world, "batchyard-job-b")
    invoke = allow("execute-api:Invoke", api_path(world, "POST/v1/*"))
    dev = user(world, "dev", [invoke, allow("iam:PassRole", allowed)])
    register(dev, "roles", allowed)
    refusal = assert_forbidden(register, batch=dev, name="roles", role=other)
    assert f"User: arn:aws:iam::{ACCOUNT}:user/dev is not authorized to perform: " in refusal
    assert f"iam:PassRole on resource: {other}" in refusal
    # A definition of somebody else, whose role the submitter may not use.
    register(world.batch, "roles-b", other)
    queue = world.queue(world.environment(vcpus=1))
    request = {"jobName": "job", "jobQueue": queue}
    assert_forbidden(dev.submit_job, jobDefinition="roles-b", **request)
    job_id = dev.submit_job(jobDefinition="roles", **request)["jobId"]
    assert world.await_job(job_id, "SUCCEEDED")["container"]["jobRoleArn"] == allowed


def sessions_pass_the_roles_of_their_role(world: World) -> None:
    allowed, other = make_role(world, "batchyard-job-c"), make_role(world, "batchyard-job-d")
    invoke = allow("execute-api:Invoke", api_path(world, "POST/v1/*"))
    deployer = make_role(
        world,
        "deployer",
        "AWS",
        f"arn:aws:iam::{ACCOUNT}:root",
        [invoke, allow("iam:PassRole", allowed)],
    )
    session = world.clients("sts").assume_role(RoleArn=deployer, RoleSessionName="me")
    batch = client_of_session(world, session["Credentials"])
    register(batch, "sessions", allowed)
    refusal = assert_forbidden(register, batch=batch, name="sessions", role=other)
    assert f"User: arn:aws:sts::{ACCOUNT}:assumed-role/deployer/me is not authorized" in refusal


def make_role(
    world: World,
    name: str,
    kind: str = "Service",
    principal: str = "ecs-tasks.amazonaws.com",
    statements: list[Policy] | None = None,
) -> str:
    trust = {"Effect": "Allow", "Principal": {kind: principal}, "Action": "sts:AssumeRole"}
    document = {"Version": "2012-10-17", "Statement": [trust]}
    iam = world.clients("iam")
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))
    if statements:
        given = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_role_policy(RoleName=name, PolicyName="given", PolicyDocument=given)
    return str(made["Role"]["Arn"])


def client_of_session(world: World, credentials: Mapping[str, str]) -> Any:
    values = variables(world.state_dir)
    session = botocore.session.Session()
    session.set_config_variable("data_path", values["AWS_DATA_PATH"])
    return session.create_client(
        "batch",
        region_name=values["AWS_REGION"],
        endpoint_url=values["AWS_ENDPOINT_URL_BATCH"],
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )


def register(batch: Any, name: str, role: str) -> None:
    """Register a definition whose jobs run under the role."""
    batch.register_job_definition(
        jobDefinitionName=name,
        type="container",
        platformCapabilities=["FARGATE"],
        containerProperties={
            "image": "busybox",
            "command": ["true"],
            "jobRoleArn": role,
            "executionRoleArn": role,
            "resourceRequirements": [
                {"type": "VCPU", "value": "0.25"},
                {"type": "MEMORY", "value": "512"},
            ],
        },
    )
