"""What a stack stores in an account: log groups, buckets and tables; found and removed.

Like `belongings`, which has what runs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from batchyard.cloud.adopt import describe_table, table_names
from batchyard.cloud.belongings import STACK_TAG, Account, Part, TaskDefinitions, code_of, ours
from batchyard.cloud.deploy import JOB_LOG_GROUP
from batchyard.cloud.names import artifacts_bucket

DELETE_BATCH = 1000  # objects in one DeleteObjects
_WAITER = {"Delay": 2, "MaxAttempts": 150}


@dataclass(slots=True)
class LogGroups:
    """The log groups of functions, machines and the API that the stack's deletion has left."""

    account: Account
    title: str = "log groups"
    is_data: bool = False

    def find(self) -> list[str]:
        """Return those of the exact names: others may belong to a stack that begins the same."""
        names = set(self._names())
        # Names up to the stack's, by which all can be listed.
        prefixes = {name[: name.index(self.account.stack)] for name in names}
        listed = [
            group["logGroupName"]
            for prefix in prefixes
            for group in _groups(self.account, f"{prefix}{self.account.stack}")
        ]
        return sorted(names.intersection(listed))

    def remove(self, name: str) -> None:
        _delete_group(self.account, name)

    def _names(self) -> Iterator[str]:
        for resource in ours()["Resources"].values():
            if resource.get("Type") == "AWS::Logs::LogGroup":
                name = resource["Properties"]["LogGroupName"].get("Fn::Sub", "")
                if "${AWS::StackName}" in name:
                    yield name.replace("${AWS::StackName}", self.account.stack)


@dataclass(slots=True)
class JobLogs:
    """What the jobs wrote, if the group is this stack's and not that of AWS Batch."""

    account: Account
    name: str = JOB_LOG_GROUP
    title: str = "logs of jobs"
    is_data: bool = True

    def find(self) -> list[str]:
        groups = _groups(self.account, self.name)
        group = next((one for one in groups if one["logGroupName"] == self.name), None)
        if group is None:
            return []
        logs = self.account.client("logs")
        arn = group["arn"].removesuffix(":*")
        tags = logs.list_tags_for_resource(resourceArn=arn).get("tags", {})
        return [self.name] if tags.get(STACK_TAG) == self.account.stack else []

    def remove(self, name: str) -> None:
        _delete_group(self.account, name)


@dataclass(slots=True)
class Artifacts:
    """The bucket of packages and templates that `deploy` made."""

    account: Account
    title: str = "bucket of packages"
    is_data: bool = False

    def find(self) -> list[str]:
        owner = self.account.client("sts").get_caller_identity()["Account"]
        name = artifacts_bucket(self.account.stack, owner, self.account.session.region_name)
        try:
            self.account.client("s3").head_bucket(Bucket=name, ExpectedBucketOwner=owner)
        except ClientError as error:
            if code_of(error) not in {"404", "NoSuchBucket", "403"}:  # 403: not of this account
                raise
            return []
        return [name]

    def remove(self, name: str) -> None:
        _delete_bucket(self.account, name)


@dataclass(slots=True)
class ManifestBuckets:
    """The buckets of manifests that this stack, and earlier ones of its name, have made.

    `known` is the name of the last one, which a parameter may have chosen freely.
    """

    account: Account
    known: str | None = None
    title: str = "buckets of manifests"
    is_data: bool = True

    def find(self) -> list[str]:
        s3 = self.account.client("s3")
        names = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
        prefix = f"{self.account.stack}-manifests-"
        return [
            name
            for name in names
            if name == self.known or (name.startswith(prefix) and self._is_ours(s3, name))
        ]

    def remove(self, name: str) -> None:
        _delete_bucket(self.account, name)

    def _is_ours(self, s3: Any, name: str) -> bool:
        """Return whether the bucket is tagged for the stack, and in the region of the stack."""
        try:
            place = s3.get_bucket_location(Bucket=name).get("LocationConstraint") or "us-east-1"
            if place != self.account.session.region_name:
                return False
            tags = s3.get_bucket_tagging(Bucket=name)["TagSet"]
        except ClientError as error:
            if code_of(error) in {"NoSuchTagSet", "NoSuchBucket"}:
                return False
            raise
        return {"Key": STACK_TAG, "Value": self.account.stack} in tags


@dataclass(slots=True)
class Tables:
    """The tables, with all jobs, queues and definitions."""

    account: Account
    title: str = "tables"
    is_data: bool = True

    def find(self) -> list[str]:
        dynamodb = self.account.client("dynamodb")
        names = table_names(ours(), self.account.stack).values()
        found = {name: describe_table(dynamodb, name) for name in names}
        return [name for name, table in found.items() if table is not None]

    def remove(self, name: str) -> None:
        """Delete the table, which is unprotected first, and wait until its name is free."""
        dynamodb = self.account.client("dynamodb")
        table = describe_table(dynamodb, name)
        if table is None:
            return
        try:
            if table.get("DeletionProtectionEnabled"):
                dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
            if table["TableStatus"] != "DELETING":
                dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig=_WAITER)
                dynamodb.delete_table(TableName=name)
        except ClientError as error:
            if code_of(error) != "ResourceNotFoundException":
                raise
        dynamodb.get_waiter("table_not_exists").wait(TableName=name, WaiterConfig=_WAITER)


def storage(account: Account, *, job_log_group: str, manifests: str | None) -> Sequence[Part]:
    """Return what is stored, in the order in which it can be removed.

    The tables go last: task definitions are found by their rows.
    """
    return (
        LogGroups(account),
        JobLogs(account, job_log_group),
        Artifacts(account),
        ManifestBuckets(account, manifests),
        TaskDefinitions(account),
        Tables(account),
    )


def _groups(account: Account, prefix: str) -> Iterator[dict[str, Any]]:
    yield from account.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=prefix)


def _delete_group(account: Account, name: str) -> None:
    try:
        account.client("logs").delete_log_group(logGroupName=name)
    except ClientError as error:
        if code_of(error) != "ResourceNotFoundException":
            raise


def _delete_bucket(account: Account, name: str) -> None:
    """Delete a bucket with all versions of its objects."""
    s3 = account.client("s3")
    try:
        pages = s3.get_paginator("list_object_versions").paginate(Bucket=name)
        for page in pages:
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            keys = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
            if keys:
                s3.delete_objects(Bucket=name, Delete={"Objects": keys, "Quiet": True})
        s3.delete_bucket(Bucket=name)
    except ClientError as error:
        if code_of(error) != "NoSuchBucket":
            raise
