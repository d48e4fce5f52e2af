"""Deploying: once, twice, changed, failing.

Buckets, identity and log groups are moto's. CloudFormation is a fake that answers as AWS does
where it matters: no update to perform, a first creation that failed, events in pages.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from batchyard.cloud import stacks
from batchyard.cloud.deploy import deploy, find_outputs
from batchyard.cloud.package import Package
from batchyard.cloud.stacks import DeployError, StackEvent

BUCKET = "yard-artifacts-123456789012-eu-central-1"
TEMPLATE: dict[str, Any] = {
    "Parameters": {"CreateJobLogGroup": {}, "JobLogGroup": {}, "Size": {"Default": "small"}},
    "Resources": {"Doer": {"Type": "AWS::Serverless::Function", "Properties": {}}},
}


class CloudFormation:
    """One stack at most; every operation takes two looks to finish."""

    def __init__(self) -> None:
        self.stack: dict[str, Any] | None = None
        self.events: list[dict[str, Any]] = []
        self.fails = False
        self.calls: list[str] = []
        self.looks = 0

    def create_stack(self, **request: Any) -> None:
        self.calls.append("create")
        self._begin("CREATE", request)

    def update_stack(self, **request: Any) -> None:
        self.calls.append("update")
        assert self.stack is not None
        values = self._values(request)
        if (values, request["TemplateURL"]) == (self.stack["values"], self.stack["url"]):
            raise self._error("No updates are to be performed.")
        self._begin("UPDATE", request)

    def delete_stack(self, **_: Any) -> None:
        self.calls.append("delete")
        self.stack = None

    def describe_stacks(self, **_: Any) -> dict[str, Any]:
        if self.stack is None:
            raise self._error("Stack with id yard does not exist")
        status = self.stack["StackStatus"]
        if status.endswith("IN_PROGRESS"):
            self.looks += 1
            if self.looks == 2:
                self._finish(status.split("_")[0])
        return {"Stacks": [self.stack]}

    def get_paginator(self, _: str) -> "CloudFormation":
        return self

    def get_waiter(self, _: str) -> "CloudFormation":
        return self

    def wait(self, **_: Any) -> None:
        assert self.stack is None

    def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
        for event in reversed(self.events):
            yield {"StackEvents": [event]}

    def _begin(self, verb: str, request: dict[str, Any]) -> None:
        values = self._values(request)
        self.looks = 0
        self.stack = {
            "StackStatus": f"{verb}_IN_PROGRESS",
            "Parameters": [{"ParameterKey": k, "ParameterValue": v} for k, v in values.items()],
            "Outputs": [{"OutputKey": k, "OutputValue": v} for k, v in values.items()],
            "values": values,
            "url": request["TemplateURL"],
        }
        self._record("Doer", f"{verb}_IN_PROGRESS")

    def _finish(self, verb: str) -> None:
        assert self.stack is not None
        if self.fails:
            self._record("Doer", f"{verb}_FAILED", "it would not")
            self.stack["StackStatus"] = "ROLLBACK_COMPLETE"
        else:
            self._record("Doer", f"{verb}_COMPLETE")
            self.stack["StackStatus"] = f"{verb}_COMPLETE"

    def _record(self, resource: str, status: str, reason: str = "") -> None:
        event = {"EventId": str(len(self.events)), "LogicalResourceId": resource}
        self.events.append(event | {"ResourceStatus": status, "ResourceStatusReason": reason})

    def _values(self, request: dict[str, Any]) -> dict[str, str]:
        kept = self.stack["values"] if self.stack else {"Size": "small"}
        given = {
            entry["ParameterKey"]: entry.get("ParameterValue") or kept[entry["ParameterKey"]]
            for entry in request["Parameters"]
        }
        return {"Size": "small"} | given

    @staticmethod
    def _error(message: str) -> ClientError:
        return ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "Stack")


class World:
    region_name = "eu-central-1"

    def __init__(self, folder: Path) -> None:
        self.session = boto3.Session(region_name=self.region_name)
        self.cloudformation = CloudFormation()
        self.events: list[StackEvent] = []
        self.key = "code.zip"
        self.archive = folder / "code.zip"
        self.archive.write_bytes(b"code")

    def client(self, service_name: Any, **options: Any) -> Any:
        if service_name == "cloudformation":
            return self.cloudformation
        return self.session.client(service_name, **options)

    def deploy(self, **parameters: str) -> dict[str, str]:
        return self.deploy_within(60, **parameters)

    def deploy_within(self, patience_seconds: float, **parameters: str) -> dict[str, str]:
        self.events.clear()
        return deploy(
            self,
            Package(
                template=TEMPLATE, archive=self.archive, key=self.key, key_of_compiled="code.zip"
            ),
            stack_name="yard",
            parameters=parameters,
            report=self.events.append,
            patience_seconds=patience_seconds,
        )

    def statuses(self) -> list[str]:
        return [event.status for event in self.events]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setattr(stacks, "FIRST_POLL_SECONDS", 0.0)
    with mock_aws():
        yield World(tmp_path)


def test_a_new_stack_is_made_and_its_outputs_returned(world: World) -> None:
    assert world.deploy()["Size"] == "small"
    assert world.statuses() == ["CREATE_IN_PROGRESS", "CREATE_COMPLETE"]
    assert find_outputs(world, "yard")["Size"] == "small"


def test_the_template_names_the_uploaded_code(world: World) -> None:
    world.deploy()
    s3 = world.session.client("s3")
    assert s3.get_object(Bucket=BUCKET, Key="code.zip")["Body"].read() == b"code"
    assert world.cloudformation.stack is not None
    url = world.cloudformation.stack["url"]
    template = s3.get_object(Bucket=BUCKET, Key=url.rsplit("/", 1)[1])["Body"].read()
    assert f"s3://{BUCKET}/code.zip".encode() in template


def test_sources_without_bytecode_do_not_replace_the_same_with_it(world: World) -> None:
    first = world.deploy()
    world.key = "code-sources.zip"
    assert world.deploy() == first
    assert world.events == []
    listed = world.session.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
    assert "code-sources.zip" not in [one["Key"] for one in listed]


def test_a_name_that_aws_would_refuse_is_refused_before_anything_is_made(world: World) -> None:
    package = Package(template=TEMPLATE, archive=world.archive, key="k", key_of_compiled="k")
    with pytest.raises(DeployError, match="lower-case letters"):
        deploy(world, package, stack_name="Yard", parameters={}, report=world.events.append)
    assert world.session.client("s3").list_buckets()["Buckets"] == []
    assert world.cloudformation.calls == []


def test_a_bucket_of_another_account_is_not_used(world: World) -> None:
    error = {"Error": {"Code": "BucketAlreadyExists", "Message": "taken"}}
    s3 = world.session.client("s3")

    def refuse(**_: Any) -> None:
        raise ClientError(error, "CreateBucket")  # type: ignore[arg-type]

    s3.meta.events.register("before-call.s3.CreateBucket", refuse)
    real = world.client
    world.client = lambda name, **options: s3 if name == "s3" else real(name)  # type: ignore[method-assign]
    with pytest.raises(DeployError, match="belongs to another account"):
        world.deploy()


def test_the_bucket_is_closed_to_the_public(world: World) -> None:
    world.deploy()
    block = world.session.client("s3").get_public_access_block(Bucket=BUCKET)
    assert all(block["PublicAccessBlockConfiguration"].values())


def test_deploying_again_changes_nothing(world: World) -> None:
    first = world.deploy(Size="large")
    world.archive.write_bytes(b"the same key is the same content, so this is not uploaded")
    assert world.deploy() == first
    assert world.events == []
    s3 = world.session.client("s3")
    assert s3.get_object(Bucket=BUCKET, Key="code.zip")["Body"].read() == b"code"


def test_a_given_parameter_wins_and_the_others_are_kept(world: World) -> None:
    world.deploy(Size="large", CreateJobLogGroup="false")
    assert world.deploy(Size="huge") == {"Size": "huge", "CreateJobLogGroup": "false"}
    # Only new events are reported, though the stack has older ones.
    assert world.statuses() == ["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"]


def test_a_failure_names_the_resource_and_the_reason(world: World) -> None:
    world.cloudformation.fails = True
    with pytest.raises(DeployError, match="ROLLBACK_COMPLETE\nDoer: it would not"):
        world.deploy()
    assert world.events[-1].failed


def test_a_stack_that_stays_in_progress_is_an_error_after_the_deadline(world: World) -> None:
    with pytest.raises(DeployError, match="yard is still CREATE_IN_PROGRESS after 0 s"):
        world.deploy_within(0)


def test_what_a_failed_first_deployment_left_is_cleared_away(world: World) -> None:
    world.cloudformation.fails = True
    with pytest.raises(DeployError):
        world.deploy()
    world.cloudformation.fails = False
    world.deploy()
    assert world.cloudformation.calls == ["create", "delete", "create"]


def test_an_unknown_parameter_is_refused_before_the_stack_is_touched(world: World) -> None:
    with pytest.raises(DeployError, match="no parameter Colour"):
        world.deploy(Colour="red")
    assert world.cloudformation.calls == []


def test_a_log_group_that_exists_is_not_made_again(world: World) -> None:
    world.session.client("logs").create_log_group(logGroupName="/aws/batch/job")
    assert world.deploy()["CreateJobLogGroup"] == "false"


def test_a_missing_log_group_is_made(world: World) -> None:
    world.session.client("logs").create_log_group(logGroupName="/aws/batch/job-of-others")
    assert world.deploy()["CreateJobLogGroup"] == "true"


def test_the_outputs_of_a_missing_stack_are_an_error(world: World) -> None:
    with pytest.raises(DeployError, match="no stack nowhere in eu-central-1"):
        find_outputs(world, "nowhere")
