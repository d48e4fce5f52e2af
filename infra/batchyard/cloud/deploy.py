"""Deploying a package to an account or to an emulator, in the same way.

The archive and the template are uploaded to a private bucket of the stack, under names made from
their content, and CloudFormation deploys them. Deploying the same package again changes nothing.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from botocore.exceptions import ClientError

from batchyard.cloud.package import Package
from batchyard.cloud.paths import digest
from batchyard.cloud.template import with_code_at

CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
JOB_LOG_GROUP = "/aws/batch/job"
FIRST_POLL_SECONDS = 0.1
LONGEST_POLL_SECONDS = 2.0
PATIENCE_SECONDS = 7200.0  # CloudFormation itself gives up earlier in an account
# A first deployment that failed leaves a stack that can only be deleted.
DEAD_ON_ARRIVAL = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED"}


class Session(Protocol):
    """The part of boto3's and localstack-client's sessions that is used here."""

    @property
    def region_name(self) -> str: ...

    @property
    def client(self) -> Callable[..., Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StackEvent:
    """A CloudFormation event of one resource."""

    resource: str
    kind: str
    status: str
    reason: str

    @property
    def failed(self) -> bool:
        return self.status.endswith("FAILED")


class DeployError(Exception):
    """CloudFormation could not create or update the stack; the message has the causes."""


Report = Callable[[StackEvent], None]


def deploy(
    session: Session,
    package: Package,
    *,
    stack_name: str,
    parameters: Mapping[str, str],
    report: Report,
    patience_seconds: float = PATIENCE_SECONDS,
) -> dict[str, str]:
    """Create or update the stack, wait for the end, and return its outputs.

    A parameter that is not given keeps its value in a stack that exists, and has its default in a
    new one. Raises DeployError with the failures, each with its resource, or when the
    stack is still in progress after `patience_seconds`.
    """
    cloudformation = session.client("cloudformation")
    bucket = _bucket(session, stack_name)
    s3 = session.client("s3")
    _upload(s3, bucket, package.key, package.archive)
    template = with_code_at(package.template, f"s3://{bucket}/{package.key}")
    unknown = parameters.keys() - template["Parameters"].keys()
    if unknown:
        raise DeployError(f"The stack has no parameter {', '.join(sorted(unknown))}")
    body = json.dumps(template, separators=(",", ":")).encode()
    template_key = f"{digest(body)}.json"
    s3.put_object(Bucket=bucket, Key=template_key, Body=body)
    stack = _find_stack(cloudformation, stack_name)
    if stack is not None and stack["StackStatus"] in DEAD_ON_ARRIVAL:
        _delete(cloudformation, stack_name, report)
        stack = None
    request = {
        "StackName": stack_name,
        "TemplateURL": _address(s3, bucket, template_key),
        "Capabilities": CAPABILITIES,
        "Parameters": _parameters(session, template, stack, parameters),
    }
    seen = {event["EventId"] for event in _events(cloudformation, stack_name)} if stack else set()
    if stack is None:
        cloudformation.create_stack(**request)
    elif not _update(cloudformation, request):
        return outputs_of(stack)
    return outputs_of(_follow(cloudformation, stack_name, seen, report, patience_seconds))


def find_outputs(session: Session, stack_name: str) -> dict[str, str]:
    """Return the outputs of a stack; raises DeployError when there is none of this name."""
    stack = _find_stack(session.client("cloudformation"), stack_name)
    if stack is None:
        raise DeployError(
            f"There is no stack {stack_name} in {session.region_name}. "
            "Deploy it with `batchyard deploy`."
        )
    return outputs_of(stack)


def outputs_of(stack: Mapping[str, Any]) -> dict[str, str]:
    return {entry["OutputKey"]: entry["OutputValue"] for entry in stack.get("Outputs", [])}


def _bucket(session: Session, stack_name: str) -> str:
    """Return the stack's bucket for packages; create it, without public access, if missing."""
    account = session.client("sts").get_caller_identity()["Account"]
    region = session.region_name
    name = f"{stack_name}-artifacts-{account}-{region}".lower()
    s3 = session.client("s3")
    where = {} if region == "us-east-1" else {"LocationConstraint": region}
    try:
        if where:
            s3.create_bucket(Bucket=name, CreateBucketConfiguration=where)
        else:
            s3.create_bucket(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "BucketAlreadyOwnedByYou":
            raise
        return name
    blocks = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(
        Bucket=name, PublicAccessBlockConfiguration=dict.fromkeys(blocks, True)
    )
    return name


def _upload(s3: Any, bucket: str, key: str, archive: Path) -> None:
    """Upload the archive, unless its content is there already."""
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"404", "NoSuchKey", "NotFound"}:
            raise
        with archive.open("rb") as body:
            s3.put_object(Bucket=bucket, Key=key, Body=body)


def _address(s3: Any, bucket: str, key: str) -> str:
    """Return the object's URL without a signature, as CloudFormation expects it."""
    signed: str = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})
    return signed.split("?", 1)[0]


def _parameters(
    session: Session,
    template: Mapping[str, Any],
    stack: Mapping[str, Any] | None,
    given: Mapping[str, str],
) -> list[dict[str, Any]]:
    if stack is not None:
        kept = {entry["ParameterKey"] for entry in stack.get("Parameters", [])} - given.keys()
        return [
            *({"ParameterKey": k, "ParameterValue": v} for k, v in given.items()),
            *(
                {"ParameterKey": key, "UsePreviousValue": True}
                for key in sorted(kept & template["Parameters"].keys())
            ),
        ]
    chosen = dict(given)
    if "CreateJobLogGroup" not in chosen:
        group = chosen.get("JobLogGroup", JOB_LOG_GROUP)
        # AWS Batch creates this group in accounts that use it; CloudFormation would fail on it.
        chosen["CreateJobLogGroup"] = str(not _has_log_group(session, group)).lower()
    return [{"ParameterKey": k, "ParameterValue": v} for k, v in chosen.items()]


def _has_log_group(session: Session, name: str) -> bool:
    answer = session.client("logs").describe_log_groups(logGroupNamePrefix=name)
    return any(group["logGroupName"] == name for group in answer["logGroups"])


def _find_stack(cloudformation: Any, stack_name: str) -> dict[str, Any] | None:
    try:
        stack: dict[str, Any] = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return None if stack["StackStatus"] == "DELETE_COMPLETE" else stack


def _update(cloudformation: Any, request: dict[str, Any]) -> bool:
    """Start an update; return False when there is nothing to update."""
    try:
        cloudformation.update_stack(**request)
    except ClientError as error:
        if "No updates are to be performed" in str(error):
            return False
        raise
    return True


def _delete(cloudformation: Any, stack_name: str, report: Report) -> None:
    cloudformation.delete_stack(StackName=stack_name)
    gone = StackEvent(
        resource=stack_name, kind="AWS::CloudFormation::Stack", status="DELETING",
        reason="an earlier deployment failed; the stack is deleted and created again",
    )  # fmt: skip
    report(gone)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack_name)


def _follow(
    cloudformation: Any, stack_name: str, seen: set[str], report: Report, patience_seconds: float
) -> dict[str, Any]:
    """Report the stack's events until no operation is in progress; return the stack."""
    failures: list[StackEvent] = []
    pause_seconds = FIRST_POLL_SECONDS
    deadline = time.monotonic() + patience_seconds
    while True:
        stack = _find_stack(cloudformation, stack_name)
        for raw in reversed(list(_news(cloudformation, stack_name, seen))):
            seen.add(raw["EventId"])
            event = StackEvent(
                resource=raw.get("LogicalResourceId", ""),
                kind=raw.get("ResourceType", ""),
                status=raw.get("ResourceStatus", ""),
                reason=raw.get("ResourceStatusReason", ""),
            )
            report(event)
            if event.failed:
                failures.append(event)
        status = stack["StackStatus"] if stack else "DELETE_COMPLETE"
        if not status.endswith("IN_PROGRESS"):
            break
        if time.monotonic() >= deadline:
            raise DeployError(
                f"Stack {stack_name} is still {status} after {patience_seconds:.0f} s. Look at its "
                "events in CloudFormation, and deploy again when it has ended."
            )
        time.sleep(pause_seconds)
        pause_seconds = min(pause_seconds * 1.5, LONGEST_POLL_SECONDS)
    if stack is None or status not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        causes = [f"{event.resource}: {event.reason}" for event in failures]
        raise DeployError("\n".join([f"Stack {stack_name} ended in {status}", *causes]))
    return stack


def _news(cloudformation: Any, stack_name: str, seen: set[str]) -> Iterator[dict[str, Any]]:
    """Yield the events not seen yet, newest first; older pages are not read."""
    for event in _events(cloudformation, stack_name):
        if event["EventId"] in seen:
            return
        yield event


def _events(cloudformation: Any, stack_name: str) -> Iterator[dict[str, Any]]:
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_name)
    for page in pages:
        yield from page["StackEvents"]
