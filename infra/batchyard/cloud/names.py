"""Names of a stack: whether what is made from it would have names that AWS refuses.

CloudFormation takes a stack's name of 128 characters with capitals; a function, a rule or a bucket
whose name begins with it would fail in the middle of a deployment.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from batchyard.cloud.stacks import DeployError

# How long AWS lets the name of a resource be, by type and property.
LIMITS = {
    ("AWS::CloudWatch::Alarm", "AlarmName"): 255,
    ("AWS::CloudWatch::Dashboard", "DashboardName"): 255,
    ("AWS::DynamoDB::Table", "TableName"): 255,
    ("AWS::Events::Rule", "Name"): 64,
    ("AWS::IAM::Role", "RoleName"): 64,
    ("AWS::Logs::LogGroup", "LogGroupName"): 512,
    ("AWS::S3::Bucket", "BucketName"): 63,
    ("AWS::SNS::Topic", "TopicName"): 256,
    ("AWS::SQS::Queue", "QueueName"): 80,
    ("AWS::Scheduler::ScheduleGroup", "Name"): 64,
    ("AWS::Serverless::Api", "Name"): 255,
    ("AWS::Serverless::Function", "FunctionName"): 64,
    ("AWS::StepFunctions::StateMachine", "StateMachineName"): 80,
}
BUCKET_NAME_LIMIT = 63
# S3 keeps buckets of these names for itself.
RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_ALLOWED = re.compile(r"[a-z][a-z0-9-]*")


def artifacts_bucket(stack: str, account: str, region: str) -> str:
    """Return the name of the bucket for a stack's packages."""
    return f"{stack}-artifacts-{account}-{region}"


def check_stack_name(template: Mapping[str, Any], stack: str, account: str, region: str) -> None:
    """Raise DeployError if AWS would refuse the stack's name or a name that is made from it."""
    if not _ALLOWED.fullmatch(stack):
        raise DeployError(
            f"The stack's name {stack!r} is not valid: buckets are named after it, so it has lower-"
            "case letters, digits and hyphens only, and begins with a letter."
        )
    for prefix in RESERVED_PREFIXES:
        if stack.startswith(prefix):
            raise DeployError(f"The stack's name {stack} is not valid: S3 reserves {prefix}.")
    names = [(artifacts_bucket(stack, account, region), BUCKET_NAME_LIMIT)]
    values = {"StackName": stack, "AccountId": account, "Region": region, "Partition": "aws"}
    for kind, name in derived_names(template):
        made = re.sub(r"\$\{AWS::(\w+)\}", lambda found: values.get(found[1], found[0]), name)
        names.append((made, LIMITS[kind]))
    name, limit = min(names, key=lambda one: one[1] - len(one[0]))
    if len(name) > limit:
        raise DeployError(
            f"The stack's name {stack} is too long: {name} would have {len(name)} characters, and "
            f"AWS allows {limit}. Choose a name of at most {len(stack) + limit - len(name)}."
        )


def derived_names(template: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield ((type, property), name) of all names with the stack's in them, as Fn::Sub has them."""
    for resource in template["Resources"].values():
        for key, value in resource.get("Properties", {}).items():
            if (resource["Type"], key) in LIMITS and isinstance(value, dict):
                text = str(value.get("Fn::Sub") or f"${{{value.get('Ref')}}}")
                if "${AWS::StackName}" in text:
                    yield (resource["Type"], key), text
