"""What each role of the stack may do, in full: to widen one, change this list too.

That it suffices is shown under IAM's rule by tests/e2e/test_privilege.py. Each function's own logs
are left out here, and so are the condition keys, except for those that restrict a resource.
"""

import json
from collections import defaultdict
from typing import Any

import pytest

from tests.support.stack import template

SEND = "sqs:SendMessage"
RECEIVE = "sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage"
READ_STREAM = "dynamodb:DescribeStream dynamodb:GetRecords dynamodb:GetShardIterator"
MOVE_JOBS = "dynamodb:BatchGetItem dynamodb:PutItem dynamodb:Query dynamodb:UpdateItem"
ANSWER = "states:SendTaskFailure states:SendTaskSuccess"
PASS_ROLES = {"TaskExecutionRole": "iam:PassRole", "role/${JobRolePattern}": "iam:PassRole"}
PUT_RULES = "events:PutRule events:PutTargets"
REMOVE_RULES = "events:DeleteRule events:RemoveTargets"
CHANGE_NOTIFICATIONS = "s3:GetBucketLocation s3:GetBucketNotification s3:PutBucketNotification"
PROVISIONED = ("compute-environment", "job-queue", "trigger")
# What an instance has besides itself and its volumes.
STARTED_WITH = {
    "capacity-reservation", "image", "key-pair", "network-interface", "placement-group",
    "security-group", "snapshot", "subnet",
}  # fmt: skip
DELIVER_LOGS = (
    "logs:CreateLogDelivery logs:DeleteLogDelivery logs:DescribeLogGroups "
    "logs:DescribeResourcePolicies logs:GetLogDelivery logs:ListLogDeliveries "
    "logs:PutResourcePolicy logs:UpdateLogDelivery"
)
ALLOWED: dict[str, dict[str, str]] = {
    "APIHandlerRole": {
        "*": "autoscaling:DescribeAutoScalingGroups",
        "JobsTable": MOVE_JOBS,
        "JobsTable/index/by_status": "dynamodb:Query",
        "LanesTable": (
            "dynamodb:BatchGetItem dynamodb:DeleteItem dynamodb:PutItem dynamodb:Query "
            "dynamodb:UpdateItem"
        ),
        "TriggerQueue": SEND,
        "CatalogTable": (
            "dynamodb:BatchGetItem dynamodb:PutItem dynamodb:Query dynamodb:UpdateItem"
        ),
    },
    "ReactRole": {
        "JobsTable stream": READ_STREAM,
        "*": f"dynamodb:ListStreams ecs:DeregisterTaskDefinition {ANSWER}",
        "JobsTable": f"{MOVE_JOBS} dynamodb:DeleteItem",
        "LanesTable": (
            "dynamodb:BatchGetItem dynamodb:DeleteItem dynamodb:PutItem dynamodb:Query "
            "dynamodb:UpdateItem"
        ),
        "CatalogTable": (
            "dynamodb:BatchGetItem dynamodb:PutItem dynamodb:Query dynamodb:UpdateItem"
        ),
        "WakeQueue": SEND,
        "TaskEventsQueue": SEND,
        "StreamDeadLetters": SEND,
        "event-bus/${EventBus}": "events:PutEvents",
        "<stack>-launch": "states:StartExecution",
        "<stack>-multinode": "states:StartExecution",
        "task-definition/batchyard-*": "ecs:RegisterTaskDefinition",
        "task/<stack>_*": "ecs:StopTask",
        "cluster/<stack>_*": "ecs:ListTasks",
        **PASS_ROLES,
    },
    "CatalogChangedRole": {
        "CatalogTable stream": READ_STREAM,
        "*": "dynamodb:ListStreams",
        "CatalogTable": "dynamodb:Query",
        "WakeQueue": SEND,
        "StreamDeadLetters": SEND,
        **{f"<stack>-provision-{kind}": "states:StartExecution" for kind in PROVISIONED},
    },
    "DispatchRole": {
        "WakeQueue": f"sqs:ChangeMessageVisibility {RECEIVE} {SEND}",
        "TaskEventsQueue": SEND,
        "JobsTable": MOVE_JOBS,
        "LanesTable": (
            "dynamodb:BatchGetItem dynamodb:DeleteItem dynamodb:PutItem dynamodb:Query "
            "dynamodb:UpdateItem"
        ),
        "CatalogTable": "dynamodb:BatchGetItem dynamodb:Query",
    },
    "TaskEventsRole": {
        "TaskEventsQueue": f"{RECEIVE} {SEND}",
        "WakeQueue": SEND,
        "JobsTable": MOVE_JOBS,
        "LanesTable": (
            "dynamodb:BatchGetItem dynamodb:DeleteItem dynamodb:PutItem dynamodb:Query "
            "dynamodb:UpdateItem"
        ),
        "CatalogTable": "dynamodb:BatchGetItem dynamodb:Query",
        "task/<stack>_*": "ecs:DescribeTasks ecs:StopTask",
        "cluster/<stack>_*": "ecs:ListTasks",
        "container-instance/<stack>_*": "ecs:DescribeContainerInstances",
    },
    "FireTriggersRole": {
        "TriggerQueue": f"{RECEIVE} {SEND}",
        "TriggerDeadLetters": SEND,
        "JobsTable": MOVE_JOBS,
        "LanesTable": (
            "dynamodb:BatchGetItem dynamodb:DeleteItem dynamodb:PutItem dynamodb:Query "
            "dynamodb:UpdateItem"
        ),
        "CatalogTable": "dynamodb:BatchGetItem dynamodb:Query",
        "${Manifests.Arn}/*": "s3:PutObject",
    },
    "SchedulerRole": {"TriggerQueue": SEND, "TriggerDeadLetters": SEND},
    "SweepRole": {
        "JobsTable/index/by_status": "dynamodb:Query",
        "LanesTable": "dynamodb:BatchGetItem dynamodb:Query",
        "CatalogTable": "dynamodb:BatchGetItem dynamodb:Query",
        "SweepQueue": SEND,
        "TriggerQueue": SEND,
    },
    "SweepPartRole": {
        "SweepQueue": f"{RECEIVE} {SEND}",
        "JobsTable": f"{MOVE_JOBS} dynamodb:ConditionCheckItem",
        "JobsTable/index/by_status": "dynamodb:Query",
        "LanesTable": (
            "dynamodb:BatchGetItem dynamodb:DeleteItem dynamodb:PutItem dynamodb:Query "
            "dynamodb:UpdateItem"
        ),
        "CatalogTable": "dynamodb:BatchGetItem dynamodb:PutItem dynamodb:Query",
        "WakeQueue": SEND,
        "TaskEventsQueue": SEND,
        "<stack>-launch": "states:StartExecution",
        "<stack>-multinode": "states:StartExecution",
        "*": f"{ANSWER} ecs:DeregisterTaskDefinition",
        "task-definition/batchyard-*": "ecs:RegisterTaskDefinition",
        "task/<stack>_*": "ecs:DescribeTasks ecs:StopTask",
        "cluster/<stack>_*": "ecs:ListTasks",
        "container-instance/<stack>_*": "ecs:DescribeContainerInstances",
        **PASS_ROLES,
    },
    "NodeStepRole": {
        "LanesTable": "dynamodb:BatchGetItem dynamodb:UpdateItem",
        "JobsTable": MOVE_JOBS,
        "CatalogTable": (
            "dynamodb:BatchGetItem dynamodb:PutItem dynamodb:Query dynamodb:UpdateItem"
        ),
        "TaskEventsQueue": SEND,
        "<stack>-launch": "states:StartExecution",
        "*": "ec2:DescribeInstances ecs:DeregisterTaskDefinition",
        "task-definition/batchyard-*": "ecs:RegisterTaskDefinition",
        "task/<stack>_*": "ecs:DescribeTasks",
        "container-instance/<stack>_*": "ecs:DescribeContainerInstances",
        **PASS_ROLES,
    },
    "ProvisionStepRole": {
        "JobsTable": "dynamodb:BatchGetItem dynamodb:PutItem dynamodb:UpdateItem",
        "JobsTable/index/by_status": "dynamodb:Query",
        "LanesTable": "dynamodb:DeleteItem dynamodb:Query",
        "CatalogTable": (
            "dynamodb:BatchGetItem dynamodb:DeleteItem dynamodb:PutItem dynamodb:UpdateItem"
        ),
        "cluster/<stack>_*": (
            "ecs:CreateCluster ecs:DeleteCluster ecs:DescribeClusters ecs:ListTasks "
            "ecs:PutClusterCapacityProviders ecs:TagResource ecs:UpdateClusterSettings"
        ),
        "role/aws-service-role/ecs.amazonaws.com/*": "iam:CreateServiceLinkedRole",
        "role/aws-service-role/ecs-compute.amazonaws.com/*": "iam:CreateServiceLinkedRole",
        "role/aws-service-role/autoscaling.amazonaws.com/*": "iam:CreateServiceLinkedRole",
        "*": (
            "autoscaling:DescribeAutoScalingGroups autoscaling:DescribeInstanceRefreshes "
            "ec2:DescribeImages ec2:DescribeInstanceTypes ec2:DescribeLaunchTemplateVersions "
            "ec2:DescribeLaunchTemplates ec2:DescribeSecurityGroups ec2:DescribeSubnets "
            "ecs:CreateCapacityProvider"
        ),
        "capacity-provider/batchyard-<stack>_*": (
            "ecs:DeleteCapacityProvider ecs:DescribeCapacityProviders ecs:TagResource "
            "ecs:UpdateCapacityProvider"
        ),
        "task/<stack>_*": "ecs:StopTask",
        "autoScalingGroup:*:autoScalingGroupName/<stack>_*": (
            "autoscaling:CreateAutoScalingGroup autoscaling:CreateOrUpdateTags "
            "autoscaling:DeleteAutoScalingGroup autoscaling:SetDesiredCapacity "
            "autoscaling:SetInstanceProtection autoscaling:StartInstanceRefresh "
            "autoscaling:UpdateAutoScalingGroup"
        ),
        "launch-template/*": (
            "ec2:CreateLaunchTemplate ec2:CreateLaunchTemplateVersion ec2:CreateTags "
            "ec2:DeleteLaunchTemplate ec2:RunInstances"
        ),
        **{f"{kind}/*": "ec2:RunInstances" for kind in STARTED_WITH},
        "instance/*": "ec2:CreateTags ec2:RunInstances ec2:TerminateInstances",
        "volume/*": "ec2:CreateTags ec2:RunInstances",
        "parameter/aws/service/ecs/optimized-ami/*": "ssm:GetParameter",
        "instance-profile/*": "iam:GetInstanceProfile",
        "role/${InstanceRolePattern}": "iam:PassRole",
        "role/${InfrastructureRolePattern}": "iam:PassRole",
        "rule/${TriggerBusPattern}/<stack>-trigger-*": PUT_RULES,
        "rule/<stack>-trigger-*": REMOVE_RULES,
        "rule/*/<stack>-trigger-*": REMOVE_RULES,
        "schedule/${Schedules}/*": (
            "scheduler:CreateSchedule scheduler:DeleteSchedule scheduler:UpdateSchedule"
        ),
        "SchedulerRole": "iam:PassRole",
    },
    "SubmitRole": {
        "JobsTable": "dynamodb:BatchGetItem dynamodb:PutItem dynamodb:UpdateItem",
        "LanesTable": "dynamodb:PutItem",
        "CatalogTable": "dynamodb:BatchGetItem dynamodb:Query",
        "SubmitDeadLetters": SEND,
        "*": ANSWER,
    },
    "LaunchMachineRole": {
        "task-definition/batchyard-*": "ecs:RunTask",
        "task/<stack>_*": "ecs:TagResource",
        "TaskEventsQueue": SEND,
        "*": DELIVER_LOGS,
        **PASS_ROLES,
    },
    "MultinodeMachineRole": {
        "NodeStep": "lambda:InvokeFunction",
        "*": DELIVER_LOGS,
    },
    "ProvisionMachineRole": {"ProvisionStep": "lambda:InvokeFunction", "*": DELIVER_LOGS},
    "RunJobMachineRole": {"Submit": "lambda:InvokeFunction", "*": DELIVER_LOGS},
    "TaskExecutionRole": {
        "*": "ecr:GetAuthorizationToken",
        "repository/*": (
            "ecr:BatchCheckLayerAvailability ecr:BatchGetImage ecr:GetDownloadUrlForLayer"
        ),
        "log-group:${JobLogGroup}:*": "logs:CreateLogStream logs:PutLogEvents",
    },
}

# What roles may do besides under a parameter: (condition, roles, permissions) of each policy.
USES_KEY = {"APIHandlerRole", "CatalogChangedRole", "DispatchRole", "FireTriggersRole"} | {
    "LaunchMachineRole", "MultinodeMachineRole", "NodeStepRole", "ProvisionMachineRole",
    "ProvisionStepRole", "ReactRole", "RunJobMachineRole", "SchedulerRole", "SubmitRole",
    "SweepPartRole", "SweepRole", "TaskEventsRole",
}  # fmt: skip
USE_KEY = (
    "kms:Decrypt kms:DescribeKey kms:Encrypt kms:GenerateDataKey kms:ReEncryptFrom kms:ReEncryptTo"
)
CONDITIONAL: dict[str, tuple[str, set[str], dict[str, str]]] = {
    "AskIam": (
        "ChecksPassRole",
        {"APIHandlerRole"},
        {
            "role/*": "iam:GetRole iam:SimulatePrincipalPolicy",
            "user/*": "iam:SimulatePrincipalPolicy",
            "instance-profile/*": "iam:GetInstanceProfile",
        },
    ),
    "RulesOnDefaultBus": (
        "TriggersUseDefaultBus",
        {"ProvisionStepRole"},
        {"rule/<stack>-trigger-*": PUT_RULES},
    ),
    "UseTriggerBuckets": (
        "HasTriggerBuckets",
        {"ProvisionStepRole"},
        {"TriggerBuckets": CHANGE_NOTIFICATIONS},
    ),
    "UseKmsKey": ("HasKmsKey", USES_KEY, {"KmsKeyArn": USE_KEY}),
}


def roles() -> dict[str, Any]:
    return {
        name: resource["Properties"]
        for name, resource in template()["Resources"].items()
        if resource.get("Type") == "AWS::IAM::Role"
    }


def granted(role: str) -> dict[str, set[str]]:
    """Return the actions that a role is allowed, by resource."""
    found = granted_by(roles()[role]["Policies"])
    found.pop(f"{role.removesuffix('Role')}Logs", None)
    return found


def granted_by(policies: list[dict[str, Any]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for policy in policies:
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Allow"
            given = statement["Action"]
            for resource in resources_of(statement):
                found[resource].update([given] if isinstance(given, str) else given)
    return dict(found)


def resources_of(statement: dict[str, Any]) -> list[str]:
    named = statement["Resource"]
    # ListTasks knows no resource that fits: its cluster is a condition.
    cluster = statement.get("Condition", {}).get("ArnLike", {}).get("ecs:cluster")
    if named == "*" and cluster:
        named = cluster
    return [name_of(resource) for resource in (named if isinstance(named, list) else [named])]


def name_of(resource: Any) -> str:
    """Return the logical name of a resource of the template, or the last part of another's ARN."""
    if isinstance(resource, str):
        return resource
    if "Ref" in resource:
        return str(resource["Ref"])
    if "Fn::GetAtt" in resource:
        logical, attribute = resource["Fn::GetAtt"]
        return f"{logical} stream" if attribute == "StreamArn" else str(logical)
    text = str(resource["Fn::Sub"]).replace("${AWS::StackName}", "<stack>")
    for scope in ("${AWS::Partition}", "${AWS::Region}", "${AWS::AccountId}"):
        text = text.replace(scope, "")
    if not text.startswith("arn:"):
        return text.replace("${JobsTable.Arn}", "JobsTable")
    return text.split(":", 5)[5].removeprefix("stateMachine:")


def test_every_role_is_on_the_list() -> None:
    assert roles().keys() == ALLOWED.keys()


@pytest.mark.parametrize("role", sorted(ALLOWED))
def test_a_role_may_do_what_is_on_the_list_and_no_more(role: str) -> None:
    assert granted(role) == {name: set(text.split()) for name, text in ALLOWED[role].items()}


def test_what_is_allowed_under_a_parameter_is_on_a_list_too() -> None:
    policies = {
        name: resource
        for name, resource in template()["Resources"].items()
        if resource.get("Type") == "AWS::IAM::Policy"
    }
    assert policies.keys() == CONDITIONAL.keys()
    for name, (condition, wanted, allowed) in CONDITIONAL.items():
        assert policies[name]["Condition"] == condition
        properties = policies[name]["Properties"]
        assert {role["Ref"] for role in properties["Roles"]} == wanted
        assert granted_by([properties]) == {at: set(text.split()) for at, text in allowed.items()}


def test_every_role_that_touches_what_the_key_encrypts_may_use_it() -> None:
    """Tables, queues and buckets ask it of their callers, a machine of the role it runs under."""
    encrypted = ("Table", "Queue", "DeadLetters", "Manifests", "<stack>-", "TaskEvents")
    touching = {
        role
        for role in roles()
        if any(any(word in resource for word in encrypted) for resource in granted(role))
    }
    machines = {role for role in roles() if role.endswith("MachineRole")}
    assert (touching | machines) - {"TaskExecutionRole"} == USES_KEY


def test_without_parameters_nobody_submits_past_the_api() -> None:
    resources, parameters = template()["Resources"], template()["Parameters"]
    for name, condition, parameter in (
        ("RulesMaySubmit", "RulesSubmit", "SubmitRulePattern"),
        ("TopicsMaySubmit", "TopicsSubmit", "SubmitTopicPattern"),
    ):
        assert resources[name]["Condition"] == condition
        is_empty = {"Fn::Equals": [{"Ref": parameter}, ""]}
        assert template()["Conditions"][condition] == {"Fn::Not": [is_empty]}
        assert parameters[parameter]["Default"] == ""
        assert f"${{{parameter}}}" in resources[name]["Properties"]["SourceArn"]["Fn::Sub"]
    permissions = [
        name for name, one in resources.items() if one.get("Type") == "AWS::Lambda::Permission"
    ]
    assert sorted(permissions) == ["RulesMaySubmit", "TopicsMaySubmit"]


def test_without_parameters_no_bucket_is_used_and_every_caller_is_checked() -> None:
    defaults = {name: one.get("Default") for name, one in template()["Parameters"].items()}
    assert (defaults["TriggerBuckets"], defaults["TriggerBusPattern"]) == ("", "default")
    assert (defaults["CheckPassRole"], defaults["PassRoleAccounts"]) == ("true", "")


@pytest.mark.parametrize(
    ("kind", "member"),
    [
        ("AWS::DynamoDB::Table", "SSESpecification"),
        ("AWS::SQS::Queue", "KmsMasterKeyId"),
        ("AWS::Logs::LogGroup", "KmsKeyId"),
        ("AWS::StepFunctions::StateMachine", "EncryptionConfiguration"),
        ("AWS::S3::Bucket", "BucketEncryption"),
    ],
)
def test_a_key_of_the_user_s_encrypts_everything_that_holds_data(kind: str, member: str) -> None:
    holders = [
        resource["Properties"]
        for resource in template()["Resources"].values()
        if resource.get("Type") == kind
    ]
    assert holders
    for properties in holders:
        text = json.dumps(properties[member])
        assert '"Fn::If": ["HasKmsKey"' in text
        assert '{"Ref": "KmsKeyArn"}' in text


def test_the_logs_of_machines_have_no_data() -> None:
    machines = [
        resource["Properties"]
        for resource in template()["Resources"].values()
        if resource.get("Type") == "AWS::StepFunctions::StateMachine"
    ]
    assert len(machines) >= 6
    for machine in machines:
        assert machine["LoggingConfiguration"]["IncludeExecutionData"] is False
        assert machine["LoggingConfiguration"]["Level"] == "ERROR"
