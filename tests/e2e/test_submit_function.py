"""Jobs from events: the very resources that the documentation shows, deployed beside the stack."""

import json
import re
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from batchyard.cloud.paths import REPOSITORY
from batchyard.cloud.template import parse_yaml
from tests.e2e.world import ENDED, PATIENCE_SECONDS, World, until

pytestmark = pytest.mark.e2e

PAGE = (REPOSITORY / "infra" / "docs" / "submit-from-anywhere.md").read_text()
STACK = "from-the-page"
Json = dict[str, Any]


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


class Site:
    """The stack of the page on the local cloud, with a queue and a definition of its own."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.queue = world.queue(world.environment())
        self.definition = world.definition("true")
        self.deployed: dict[str, str] = {}

    def filled(self, text: str) -> str:
        """Return a block for this queue and definition, and for soon instead of 3 a.m."""
        soon = (datetime.now(UTC) + timedelta(seconds=1)).strftime("at(%Y-%m-%dT%H:%M:%S)")
        for word, ours in {
            '"default"': f'"{self.queue}"',
            '"hello"': f'"{self.definition}"',
            "cron(0 3 * * ? *)": soon,
        }.items():
            text = text.replace(word, ours)
        return text

    def deploy(self) -> None:
        resources: Json = {}
        for block in blocks("yaml"):
            resources |= parse_yaml(self.filled(block))
        outputs = self.world.cloud.outputs
        values = {
            "SubmitFunctionArn": outputs["SubmitFunctionArn"],
            "RunJobMachineArn": outputs["RunJobMachineArn"],
            "CallerRoleArn": "arn:aws:iam::000000000000:role/caller",
        }
        template = {
            "Parameters": {name: {"Type": "String"} for name in values},
            "Resources": resources,
        }
        cloudformation = self.world.clients("cloudformation")
        cloudformation.create_stack(
            StackName=STACK,
            TemplateBody=json.dumps(template),
            Parameters=[
                {"ParameterKey": name, "ParameterValue": value} for name, value in values.items()
            ],
        )
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName=STACK, WaiterConfig={"Delay": 1}
        )
        described = cloudformation.describe_stack_resources(StackName=STACK)["StackResources"]
        self.deployed = {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in described}
        assert self.deployed.keys() == resources.keys()

    def jobs(self, name: str) -> list[str]:
        listed = self.world.batch.list_jobs(
            jobQueue=self.queue, filters=[{"name": "JOB_NAME", "values": [name]}]
        )
        return [job["jobId"] for job in listed["jobSummaryList"]]

    def one_job(self, name: str) -> Json:
        """Return the job of that name once it exists; there must be no second one."""
        (job_id,) = until(lambda: self.jobs(name), bool, seconds=PATIENCE_SECONDS)
        job = self.world.await_job(job_id, "SUCCEEDED")
        assert self.jobs(name) == [job_id]
        return job

    def invoke(self, event: Any) -> Json:
        """Return what the function answers to this event."""
        answered = self.world.clients("lambda").invoke(
            FunctionName=self.world.cloud.outputs["SubmitFunctionName"],
            Payload=json.dumps(event),
        )
        payload: Json = json.loads(answered["Payload"].read())
        return payload

    def run(self, machine: str, **members: Any) -> str:
        """Start an execution that submits a job; return its ARN."""
        request = {"jobName": machine, "jobQueue": self.queue, "jobDefinition": self.definition}
        arn: str = self.world.clients("stepfunctions").start_execution(
            stateMachineArn=self.deployed[machine], input=json.dumps(request | members)
        )["executionArn"]
        return arn


@pytest.fixture(scope="module", name="site")
def make_site(world: World) -> Iterator[Site]:
    site = Site(world)
    site.deploy()
    try:
        yield site
    finally:
        s3 = world.clients("s3")
        for listed in s3.list_objects_v2(Bucket=site.deployed["Uploads"]).get("Contents", []):
            s3.delete_object(Bucket=site.deployed["Uploads"], Key=listed["Key"])
        world.clients("cloudformation").delete_stack(StackName=STACK)


def test_an_event_becomes_one_job_by_its_rule(site: Site) -> None:
    order = '4711", "clientToken": "mine'  # a value that would end the string it is put into
    detail = json.dumps({"order": order})
    entry = {"Source": "shop", "DetailType": "OrderPlaced", "Detail": detail}
    put = site.world.clients("events").put_events(Entries=[entry])["Entries"][0]
    job = site.one_job("order")
    assert job["parameters"] == {"order": order}
    # The same event once more, as the rule would hand it over.
    (block,) = [block for block in blocks("yaml") if "OrderPlaced" in block]
    rule = parse_yaml(site.filled(block))["OrderPlaced"]["Properties"]
    text = rule["Targets"][0]["InputTransformer"]["InputTemplate"]
    again = text.replace("<order>", json.dumps(order)).replace("<id>", json.dumps(put["EventId"]))
    assert site.invoke(json.loads(again))["jobId"] == job["jobId"]
    assert site.jobs("order") == [job["jobId"]]


def test_an_upload_becomes_a_job(site: Site) -> None:
    bucket = site.deployed["Uploads"]
    site.world.clients("s3").put_object(Bucket=bucket, Key="in/data 1.csv", Body=b"1")
    assert site.one_job("upload")["parameters"] == {"key": "in/data 1.csv"}


def test_a_message_of_a_topic_becomes_one_job(site: Site) -> None:
    request = {"jobName": "message", "jobQueue": site.queue, "jobDefinition": site.definition}
    message = json.dumps(request)
    sent = site.world.clients("sns").publish(TopicArn=site.deployed["Requests"], Message=message)
    job = site.one_job("message")
    sns = {"MessageId": sent["MessageId"], "Message": message}
    again = site.invoke({"Records": [{"EventSource": "aws:sns", "Sns": sns}]})
    assert [one["jobId"] for one in again["jobs"]] == [job["jobId"]]
    assert site.jobs("message") == [job["jobId"]]


def test_another_function_submits(site: Site) -> None:
    (block,) = blocks("python")
    program = compile(textwrap.dedent(site.filled(block)), "submit-from-anywhere.md", "exec")
    outside = {
        "boto3": SimpleNamespace(client=site.world.clients),
        "json": json,
        "event": {"id": "event-1"},
        "submit_function_arn": site.world.cloud.outputs["SubmitFunctionArn"],
    }
    for _ in range(2):
        exec(program, outside)
    site.one_job("called")


def test_state_machines_run_jobs(site: Site) -> None:
    """Both ways side by side; stepwise in test_step_functions.py."""
    runs = {name: site.run(name) for name in ("NestedJob", "FlatJob")}
    for name, arn in runs.items():
        ended = until(
            lambda arn=arn: site.world.clients("stepfunctions").describe_execution(
                executionArn=arn
            ),  # type: ignore[misc]
            lambda run: run["status"] != "RUNNING",
            seconds=PATIENCE_SECONDS,
        )
        assert ended["status"] == "SUCCEEDED", ended
        output = json.loads(ended["output"])
        assert (output["jobName"], output["status"]) == (name, "SUCCEEDED")


def test_an_event_that_is_refused_is_kept_with_the_reason(site: Site) -> None:
    """Lambda tries an event three times before that."""
    sqs, event = site.world.clients("sqs"), {"jobQueue": "nobody", "clientToken": "refused"}
    url = sqs.get_queue_url(QueueName="batchyard-submit-dead")["QueueUrl"]
    site.world.clients("lambda").invoke(
        FunctionName=site.world.cloud.outputs["SubmitFunctionName"],
        InvocationType="Event",
        Payload=json.dumps(event | {"jobName": "no", "jobDefinition": site.definition}),
    )
    kept = until(
        lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", []),
        bool,
        seconds=PATIENCE_SECONDS,
    )
    assert "JobQueue nobody not found" in kept[0]["Body"]
    assert json.loads(kept[0]["Body"])["requestPayload"]["clientToken"] == "refused"


def test_a_schedule_submits(site: Site) -> None:
    """The last test of the file: a schedule is up to ten seconds late here."""
    assert site.one_job("nightly")["status"] in ENDED
