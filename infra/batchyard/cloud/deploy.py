"""Deploying a package to an account or to an emulator, in the same way.

The archive and the template are uploaded to a private bucket of the stack, under names made from
their content, and CloudFormation deploys them. Deploying the same package again changes nothing;
deploying again after a failure goes on from whatever that has left.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from batchyard.cloud.adopt import import_tables, kept_tables, provision_again, table_names
from batchyard.cloud.names import artifacts_bucket, check_stack_name
from batchyard.cloud.package import Package
from batchyard.cloud.paths import digest
from batchyard.cloud.stacks import (
    PATIENCE_SECONDS,
    DeployError,
    Report,
    Session,
    Stack,
    Stacks,
    find_stack,
    outputs_of,
)
from batchyard.cloud.template import with_code_at

CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
JOB_LOG_GROUP = "/aws/batch/job"
# Tables are protected from deletion by a second step: the rollback of a creation that fails could
# not delete them, and the next deployment would find them in its way.
CREATED = "CreationCompleted"
_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})


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
    new one. Tables that an earlier stack of the name has left are taken over. Raises DeployError
    for a name that AWS would refuse, before anything is made; with the failures, each with its
    resource; and when the stack is still in progress after `patience_seconds`.
    """
    account: str = session.client("sts").get_caller_identity()["Account"]
    unknown = parameters.keys() - package.template["Parameters"].keys()
    if unknown:
        raise DeployError(f"The stack has no parameter {', '.join(sorted(unknown))}")
    check_stack_name(package.template, stack_name, account, session.region_name)
    store = _Store(session, stack_name, account)
    template = with_code_at(package.template, store.put_code(package))
    request: dict[str, Any] = {
        "StackName": stack_name,
        "TemplateURL": store.put_template(template),
        "Capabilities": CAPABILITIES,
    }
    stacks = Stacks(
        cloudformation=session.client("cloudformation"),
        name=stack_name,
        report=report,
        patience_seconds=patience_seconds,
    )
    stack = stacks.usable()
    if stack is None:
        chosen = _for_a_new_stack(session, template, parameters)
        stack = _create(session, stacks, template, request | {"Parameters": _listed(chosen)})
        if stack["StackStatus"] == "CREATE_COMPLETE" and chosen.get(CREATED, "true") == "true":
            return outputs_of(stack)
    request["Parameters"] = _for_an_update(template, stack, parameters)
    adopted = stack["StackStatus"] == "IMPORT_COMPLETE"
    stacks.see_past_events()
    if _update(stacks.cloudformation, request):
        stack = stacks.must_succeed()
    if adopted:
        provision_again(session, table_names(template, stack_name)["CatalogTable"])
    return outputs_of(stack)


def _create(
    session: Session, stacks: Stacks, template: Mapping[str, Any], request: Mapping[str, Any]
) -> Stack:
    """Create the stack, or what can be of it, and return it: with tables that exist, only those."""
    tables = kept_tables(session, template, stacks.name)
    if tables:
        return import_tables(stacks, template, tables, request)
    stacks.cloudformation.create_stack(**request)
    return stacks.must_succeed()


def find_outputs(session: Session, stack_name: str) -> dict[str, str]:
    """Return the outputs of a stack; raises DeployError when there is none of this name."""
    stack = find_stack(session.client("cloudformation"), stack_name)
    if stack is None:
        raise DeployError(
            f"There is no stack {stack_name} in {session.region_name}. "
            "Deploy it with `batchyard deploy`."
        )
    return outputs_of(stack)


class _Store:
    """The stack's private bucket for packages and templates; made if missing.

    Every call names the account that must own it: buckets of all accounts share their names.
    """

    def __init__(self, session: Session, stack_name: str, account: str) -> None:
        self._s3 = session.client("s3")
        self._bucket = artifacts_bucket(stack_name, account, session.region_name)
        self._owned = {"Bucket": self._bucket, "ExpectedBucketOwner": account}
        self._make(session.region_name)

    def put_code(self, package: Package) -> str:
        """Upload the archive, unless its content is there already; return its location.

        Sources without bytecode do not replace the same sources with it.
        """
        for key in dict.fromkeys((package.key_of_compiled, package.key)):
            if self._has(key):
                return f"s3://{self._bucket}/{key}"
        self._put(package.key, package.archive)
        return f"s3://{self._bucket}/{package.key}"

    def put_template(self, template: Mapping[str, Any]) -> str:
        """Upload the template and return its URL without a signature, as CloudFormation expects."""
        body = json.dumps(template, separators=(",", ":")).encode()
        key = f"{digest(body)}.json"
        self._s3.put_object(**self._owned, Key=key, Body=body)
        which = {"Bucket": self._bucket, "Key": key}
        signed: str = self._s3.generate_presigned_url("get_object", Params=which)
        return signed.split("?", 1)[0]

    def _make(self, region: str) -> None:
        where = {} if region == "us-east-1" else {"LocationConstraint": region}
        options = {"CreateBucketConfiguration": where} if where else {}
        try:
            self._s3.create_bucket(Bucket=self._bucket, **options)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "BucketAlreadyExists":
                raise DeployError(
                    f"The bucket {self._bucket}, which this stack would keep its packages in, "
                    "belongs to another account. Deploy under another name with --stack."
                ) from error
            if code != "BucketAlreadyOwnedByYou":
                raise
        blocks = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy")
        self._s3.put_public_access_block(
            **self._owned,
            PublicAccessBlockConfiguration=dict.fromkeys((*blocks, "RestrictPublicBuckets"), True),
        )

    def _has(self, key: str) -> bool:
        try:
            self._s3.head_object(**self._owned, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _MISSING:
                raise
            return False
        return True

    def _put(self, key: str, archive: Path) -> None:
        with archive.open("rb") as body:
            self._s3.put_object(**self._owned, Key=key, Body=body)


def _for_a_new_stack(
    session: Session, template: Mapping[str, Any], given: Mapping[str, str]
) -> dict[str, str]:
    chosen = dict(given)
    known = template["Parameters"]
    if "CreateJobLogGroup" not in chosen:
        group = chosen.get("JobLogGroup", JOB_LOG_GROUP)
        # AWS Batch creates this group in accounts that use it; CloudFormation would fail on it.
        chosen["CreateJobLogGroup"] = str(not _has_log_group(session, group)).lower()
    protects = known.get("DeletionProtection", {}).get("Default")
    if CREATED in known and chosen.get("DeletionProtection", protects) == "true":
        chosen[CREATED] = "false"
    return chosen


def _for_an_update(
    template: Mapping[str, Any], stack: Mapping[str, Any], given: Mapping[str, str]
) -> list[dict[str, Any]]:
    known = template["Parameters"].keys()
    chosen = {CREATED: "true"} | dict(given) if CREATED in known else dict(given)
    kept = {entry["ParameterKey"] for entry in stack.get("Parameters", [])} - chosen.keys()
    return [
        *_listed(chosen),
        *({"ParameterKey": key, "UsePreviousValue": True} for key in sorted(kept & known)),
    ]


def _listed(parameters: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()]


def _has_log_group(session: Session, name: str) -> bool:
    answer = session.client("logs").describe_log_groups(logGroupNamePrefix=name)
    return any(group["logGroupName"] == name for group in answer["logGroups"])


def _update(cloudformation: Any, request: dict[str, Any]) -> bool:
    """Start an update; return False when there is nothing to update."""
    try:
        cloudformation.update_stack(**request)
    except ClientError as error:
        if "No updates are to be performed" in str(error):
            return False
        raise
    return True
