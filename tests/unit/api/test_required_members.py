"""Required members that are empty: refused, in AWS's words where they are known."""

from typing import Any

import pytest

from chalicelib.contract.shapes import RULED_WHEN_EMPTY
from tests.support.scenes import make_stage
from tests.support.world import ApiError, World

Json = dict[str, Any]

NEEDS = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "4"}]
CONTAINER: Json = {"image": "busybox", "resourceRequirements": NEEDS}
DEFINITION: Json = {
    "jobDefinitionName": "work",
    "type": "container",
    "containerProperties": CONTAINER,
}
NODES: Json = {"jobDefinitionName": "nodes", "type": "multinode"}
FARGATE: Json = {
    "type": "FARGATE",
    "maxvCpus": 1,
    "subnets": ["subnet-1"],
    "securityGroupIds": ["sg-1"],
}
ENVIRONMENT: Json = {
    "computeEnvironmentName": "c",
    "type": "MANAGED",
    "computeResources": FARGATE,
}
ARN = "arn:aws:batch:us-east-1:123456789012:job/x"


def on_instances_of_ecs(**network: list[str]) -> Json:
    template = {
        "ec2InstanceProfileArn": "arn",
        "networkConfiguration": {"subnets": ["s"], "securityGroups": ["g"]} | network,
    }
    provider = {"infrastructureRoleArn": "arn", "instanceLaunchTemplate": template}
    return ENVIRONMENT | {
        "computeResources": {
            "type": "ECS_MANAGED_INSTANCES",
            "maxvCpus": 1,
            "managedInstancesProvider": provider,
        }
    }


def of_nodes(*ranges: Json) -> Json:
    properties = {"numNodes": 2, "mainNode": 0, "nodeRangeProperties": list(ranges)}
    return NODES | {"nodeProperties": properties}


# By the member that is empty: the operation, its request, and the refusal.
RULES: dict[str, tuple[str, Json, str]] = {
    "computeEnvironmentName": (
        "CreateComputeEnvironment",
        ENVIRONMENT | {"computeEnvironmentName": ""},
        "Compute Environment name should match a valid pattern.",
    ),
    "containers": (
        "RegisterJobDefinition",
        {
            "jobDefinitionName": "work",
            "type": "container",
            "ecsProperties": {"taskProperties": [{"containers": []}]},
        },
        "Number of containers must be between 1 and 10",
    ),
    "image": (
        "RegisterJobDefinition",
        {
            "jobDefinitionName": "work",
            "type": "container",
            "ecsProperties": {"taskProperties": [{"containers": [CONTAINER | {"image": ""}]}]},
        },
        "ECS Container Image must be provided.",
    ),
    "jobDefinitionName": (
        "RegisterJobDefinition",
        DEFINITION | {"jobDefinitionName": ""},
        "Job Definition name should match a valid pattern.",
    ),
    "jobName": (
        "SubmitJob",
        {"jobName": "", "jobQueue": "queue", "jobDefinition": "work"},
        "Job name should match valid pattern",
    ),
    "jobQueueName": (
        "CreateJobQueue",
        {"jobQueueName": "", "priority": 1},
        "Job Queue name should match a valid pattern.",
    ),
    "jobs": ("CancelJobs", {"jobs": [], "reason": "r"}, "Number of jobs must be between 1 and 50."),
    "kubernetesNamespace": (
        "CreateComputeEnvironment",
        ENVIRONMENT
        | {
            "eksConfiguration": {
                "eksClusterArn": "arn:aws:eks:us-east-1:123456789012:cluster/c",
                "kubernetesNamespace": "",
            }
        },
        "kubernetesNamespace must be a valid Kubernetes namespace.",
    ),
    "nodeRangeProperties": (
        "RegisterJobDefinition",
        of_nodes(),
        "Node ranges must cover all nodes from 0 to 1.",
    ),
    "securityGroups": (
        "CreateComputeEnvironment",
        on_instances_of_ecs(securityGroups=[]),
        "Security group ids are required.",
    ),
    "subnets": (
        "CreateComputeEnvironment",
        on_instances_of_ecs(subnets=[]),
        "Subnets are required.",
    ),
    "tagKeys": (
        "UntagResource",
        {"resourceArn": ARN, "tagKeys": []},
        "tagKeys must have at least 1 items, got 0.",
    ),
    "tags": (
        "TagResource",
        {"resourceArn": ARN, "tags": {}},
        "tags must have at least 1 entries, got 0.",
    ),
    "targetNodes": (
        "RegisterJobDefinition",
        of_nodes({"targetNodes": "", "container": CONTAINER}),
        "targetNodes should contain only digits.",
    ),
    "taskProperties": (
        "RegisterJobDefinition",
        {
            "jobDefinitionName": "work",
            "type": "container",
            "ecsProperties": {"taskProperties": []},
        },
        "Exactly 1 taskProperties element must be provided.",
    ),
    "value": (
        "RegisterJobDefinition",
        DEFINITION
        | {
            "containerProperties": {
                "image": "busybox",
                "resourceRequirements": [{"type": "VCPU", "value": ""}],
            }
        },
        "Value  for type VCPU in resourceRequirement is not valid. Please provide a numeric value.",
    ),
}


def refusal(world: World, operation: str, request: Json) -> str:
    with pytest.raises(ApiError) as caught:
        world.api(operation, request)
    assert (caught.value.status, caught.value.code) == (400, "ClientException")
    return caught.value.message


@pytest.mark.parametrize("member", sorted(RULES))
def test_an_empty_member_is_refused_by_its_own_rule(quick: World, member: str) -> None:
    make_stage(quick)
    operation, request, sentence = RULES[member]
    assert sentence in refusal(quick, operation, request)


def test_every_member_that_is_left_to_a_rule_has_one() -> None:
    assert RULES.keys() == RULED_WHEN_EMPTY


@pytest.mark.parametrize(
    ("operation", "request_", "member"),
    [
        ("DescribeJobs", {"jobs": []}, "jobs"),
        ("CancelJob", {"jobId": "", "reason": "r"}, "jobId"),
        ("TerminateJob", {"jobId": "x", "reason": ""}, "reason"),
        ("TerminateJobs", {"jobs": ["x"], "reason": ""}, "reason"),
        ("DeregisterJobDefinition", {"jobDefinition": ""}, "jobDefinition"),
        ("UpdateJobQueue", {"jobQueue": "", "priority": 1}, "jobQueue"),
        ("DeleteJobQueue", {"jobQueue": ""}, "jobQueue"),
        ("DeleteComputeEnvironment", {"computeEnvironment": ""}, "computeEnvironment"),
        (
            "RegisterJobDefinition",
            DEFINITION
            | {"containerProperties": CONTAINER | {"secrets": [{"name": "", "valueFrom": "x"}]}},
            r"containerProperties.secrets\[0\].name",
        ),
        ("CreateComputeEnvironment", ENVIRONMENT | {"type": ""}, "type"),
    ],
)
def test_any_other_empty_member_is_refused_as_missing(
    quick: World, operation: str, request_: Json, member: str
) -> None:
    with pytest.raises(ApiError, match=f"{member} is required"):
        quick.api(operation, request_)
