"""A local cloud whose emulator enforces IAM policies, each role with its own and no more."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from batchyard.cloud import local
from batchyard.cloud.emulator import fleet_settings, reserved_port
from batchyard.cloud.paths import StateDir
from tests.e2e.guarded_access import Policy, allow
from tests.e2e.world import World, processes_of

REFUSALS = ("AccessDenied", "is not authorized", "UnauthorizedOperation")
TRANSLATED = "emulator"
QUICK = {"boot": 0.5, "idle": 1.5, "notice": 0.5}  # seconds, of the fleet
# Roles that tests name, and who takes them on: where policies are enforced they must exist.
NAMED_IN_TESTS = {"local": "ecs-tasks", "e2e": "ecs-tasks", "caller": "states"}


@contextmanager
def guarded_cloud(state_dir: Path) -> Iterator[World]:
    """Start the cloud and yield its world, whose caller is the root user; remove all after."""
    state = StateDir.at(state_dir)
    with reserved_port() as port:
        try:
            local.up(
                state,
                port=port,
                runtime="process",
                say=print,
                report=lambda event: None,
                emulator_settings={"AUTH": "true", **fleet_settings(**QUICK)},
            )
            world = World(state.root)
            translate_roles(world.clients)
            for role, service in NAMED_IN_TESTS.items():
                make_role(world.clients("iam"), role, service)
            yield world
        finally:
            local.down(state, purge=True, say=print)
    assert processes_of(state.root) == {}


def translate_roles(clients: Callable[[str], Any], stack: str = "batchyard") -> None:
    """Rewrite the policies of a stack's roles for the emulator."""
    for role in roles_of(clients, stack).values():
        translate(clients("iam"), role)


def roles_of(clients: Callable[[str], Any], stack: str = "batchyard") -> dict[str, str]:
    """Return a stack's roles, by their names in the template."""
    described = clients("cloudformation").describe_stack_resources(StackName=stack)
    return {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for resource in described["StackResources"]
        if resource["ResourceType"] == "AWS::IAM::Role"
    }


def make_role(iam: Any, name: str, service: str) -> None:
    """Make a role that may do everything, for this service of AWS."""
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)
    put_policy(iam, name, "all", [allow("*", "*")])


def translate(iam: Any, role: str) -> None:
    """Rewrite a role's policies for the emulator, where its rules differ from AWS's."""
    statements = [
        put
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
        if name != TRANSLATED
        for statement in document_of(iam, role, name)["Statement"]
        for put in in_the_emulators_words(statement)
    ]
    if statements:
        put_policy(iam, role, TRANSLATED, statements)


def document_of(iam: Any, role: str, name: str) -> Policy:
    found = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    document: Policy = json.loads(found) if isinstance(found, str) else found
    return document


def put_policy(iam: Any, role: str, name: str, statements: list[Policy]) -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document)


def in_the_emulators_words(statement: Policy) -> Iterator[Policy]:
    """Return a statement as the emulator, which departs from AWS's rules, needs it.

    The rules are those of the Service Authorization Reference. No role gets anything here that its
    own statements do not grant.
    """
    given, resource = statement["Action"], statement["Resource"]
    for action in [given] if isinstance(given, str) else given:
        match action:
            case "sqs:SendMessage":
                # AWS has no action of its own for a batch.
                yield allow("sqs:SendMessageBatch", resource)
            case "ecs:StopTask" | "ecs:DescribeTasks":
                # A call that names a cluster is a call on the cluster here, on the task in AWS.
                yield allow(action, resource.replace(":task/", ":cluster/"))
            case "ecs:ListTasks":
                # The condition key ecs:cluster is not known here; the resource says the same.
                yield allow(action, statement["Condition"]["ArnLike"]["ecs:cluster"])
            case "ecs:CreateCluster" | "ecs:RegisterTaskDefinition":
                # Made things have no name here before they are made.
                yield allow(action, "*")
            case "iam:SimulatePrincipalPolicy" | "iam:GetInstanceProfile":
                # The source of the policies is not read off this call here, nor is the profile.
                yield allow(action, "*")
            case "ecs:DescribeClusters" | "ecs:TagResource":
                # Only a member `cluster` names a cluster here, not a list of them, nor an ARN.
                yield allow(action, "*")
            case "ec2:CreateLaunchTemplateVersion" | "ec2:DeleteLaunchTemplate":
                # Tags of launch templates are not known here.
                yield allow(action, "*")
            case "ec2:CreateLaunchTemplate" | "ec2:CreateTags" | "ec2:TerminateInstances":
                # Nor are those of a request, or of an instance that a group has started.
                yield allow(action, "*")
            case "ecs:DeleteCapacityProvider" | "ecs:DescribeCapacityProviders":
                # A capacity provider has no resource of its own here.
                yield allow(action, "*")
            case "ecs:UpdateCapacityProvider":
                yield allow(action, "*")
            case "ssm:GetParameter":
                # Public parameters belong to no account in AWS, and to the caller's here.
                yield allow(action, resource.replace("::parameter/", ":*:parameter/"))
            case "events:PutTargets" | "events:RemoveTargets":
                # A call on a rule is a call on its bus here.
                named = resource if isinstance(resource, str) else resource[0]
                yield allow(action, named.partition(":rule/")[0] + ":event-bus/default")
            case _ if action.startswith("scheduler:"):
                # Every schedule is taken for one of the default group here.
                yield allow(action, re.sub(":schedule/[^/]+/", ":schedule/default/", resource))


def refused(world: World) -> list[str]:
    """Return every line in the functions' logs about a call that was refused."""
    logs = world.clients("logs")
    groups = logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/batchyard-")["logGroups"]
    assert len(groups) == 11
    return [
        f"{group['logGroupName']}: {event['message']}"
        for group in groups
        for page in logs.get_paginator("filter_log_events").paginate(
            logGroupName=group["logGroupName"]
        )
        for event in page["events"]
        if any(word in event["message"] for word in REFUSALS)
    ]
