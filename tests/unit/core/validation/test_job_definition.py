"""RegisterJobDefinition as a whole: payloads, platforms, and what is stored."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from chalicelib.core.errors import ClientError
from chalicelib.core.validation.job_definition import validate_register
from tests.unit.core.validation.definitions import REQUIREMENTS, ec2, fargate, nodes, pod, task

MANAGED = {"platformCapabilities": ["MANAGED_INSTANCES"]}
CONTAINER = ec2()["containerProperties"]


def refusal(request: dict[str, Any]) -> str:
    with pytest.raises(ClientError) as caught:
        validate_register(request)
    return caught.value.message


@pytest.mark.parametrize(
    "request_",
    [
        ec2(),
        ec2(vcpus=1, memory=4, resourceRequirements=[]),
        ec2(privileged=True, ulimits=[{"name": "nofile", "softLimit": 1, "hardLimit": 2}]),
        fargate(),
        fargate(privileged=False, linuxParameters={"initProcessEnabled": True, "devices": []}),
        task(),
        task("MANAGED_INSTANCES", networkMode="host"),
        pod(),
        nodes(),
        ec2() | {"tags": {}, "timeout": {}, "platformCapabilities": []},
    ],
)
def test_a_right_definition_is_accepted_and_stored_with_all_that_was_sent(
    request_: dict[str, Any],
) -> None:
    before = copy.deepcopy(request_)
    stored = validate_register(request_)
    assert request_ == before
    # Clients compare what is described with what they sent.
    assert_has(stored, before)
    assert validate_register(stored) == stored


def assert_has(stored: Any, sent: Any) -> None:
    """Assert that everything that was sent is stored, however deep, lists in their order."""
    if isinstance(sent, dict):
        for name, value in sent.items():
            assert_has(stored[name], value)
    elif isinstance(sent, list):
        assert len(stored) == len(sent)
        for one, value in zip(stored, sent, strict=True):
            assert_has(one, value)
    else:
        assert stored == sent


def test_the_empty_lists_of_aws_are_added() -> None:
    assert validate_register(ec2()) == {
        "jobDefinitionName": "definition",
        "type": "container",
        "parameters": {},
        "containerProperties": {
            "command": [],
            "environment": [],
            "image": "busybox",
            "mountPoints": [],
            "resourceRequirements": REQUIREMENTS,
            "secrets": [],
            "ulimits": [],
            "volumes": [],
        },
    }


def test_the_defaults_of_aws_are_added() -> None:
    request = fargate(linuxParameters={}, logConfiguration={"logDriver": "awslogs"})
    stored = validate_register(request | {"retryStrategy": {"attempts": 3}})
    assert stored["retryStrategy"] == {"attempts": 3, "evaluateOnExit": []}
    container = stored["containerProperties"]
    assert container["fargatePlatformConfiguration"] == {"platformVersion": "LATEST"}
    assert container["linuxParameters"] == {"devices": [], "tmpfs": []}
    assert container["logConfiguration"] == {
        "logDriver": "awslogs",
        "options": {},
        "secretOptions": [],
    }


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (
            ec2() | {"jobDefinitionName": "no spaces"},
            "Job Definition name should match a valid pattern.",
        ),
        (
            ec2() | {"schedulingPriority": 10000},
            "Scheduling priority must be between 0 and 9999.",
        ),
        (
            ec2() | {"timeout": {"attemptDurationSeconds": 59}},
            "AttemptDurationSeconds in Timeout must be at least 60 seconds.",
        ),
        (
            ec2() | {"ecsProperties": task()["ecsProperties"]},
            "Cannot use both ECS containerProperties and ecsProperties",
        ),
        (
            ec2() | {"eksProperties": pod()["eksProperties"]},
            "Cannot use both ECS containerProperties and eksProperties",
        ),
        (
            nodes() | {"eksProperties": pod()["eksProperties"]},
            "Cannot use both nodeProperties and eksProperties",
        ),
        (
            task() | {"eksProperties": pod()["eksProperties"]},
            "Cannot use both ecsProperties and eksProperties",
        ),
        (
            ec2() | {"platformCapabilities": ["EC2", "FARGATE"]},
            "Exactly 1 capability must be provided.",
        ),
        (ec2() | MANAGED, "Cannot use ECS containerProperties for MANAGED_INSTANCES"),
        (ec2() | {"type": "multinode"}, "Node properties of multinode job is required."),
        (
            {"jobDefinitionName": "a", "type": "multinode"},
            "Node properties of multinode job is required.",
        ),
        (
            {"jobDefinitionName": "a", "type": "container"},
            "ECS Container Image must be provided.",
        ),
        (
            nodes() | {"type": "container"},
            "nodeProperties is only applicable for multinode jobs.",
        ),
        (
            nodes() | {"platformCapabilities": ["FARGATE"]},
            "Fargate does not support MNP jobs",
        ),
        (nodes() | MANAGED, "MANAGED_INSTANCES does not support MNP jobs"),
        (pod() | {"propagateTags": True}, "Batch on EKS does not support tag propagation."),
        (
            pod() | {"platformCapabilities": ["EC2"]},
            "platformCapabilities is not applicable for EKS.",
        ),
        (
            ec2() | {"consumableResourceProperties": {"consumableResourceList": [{}]}},
            "consumableResource is required in consumableResourceProperties",
        ),
    ],
)
def test_a_wrong_definition_is_refused(request_: dict[str, Any], sentence: str) -> None:
    assert refusal(request_) == sentence


@pytest.mark.parametrize(
    ("resources", "sentence"),
    [
        ([("a", 1), ("a", 1)], "Cannot have duplicate consumableResource in consumableResourc"),
        ([(str(n), 1) for n in range(6)], "Each ConsumableResourceProperty can have at most 5"),
        ([("a", 0)], "quantity of a consumableResource must be at least 1."),
    ],
)
def test_consumable_resources_are_judged(resources: list[tuple[str, int]], sentence: str) -> None:
    listed = [{"consumableResource": name, "quantity": quantity} for name, quantity in resources]
    properties = {"consumableResourceList": listed}
    assert refusal(ec2() | {"consumableResourceProperties": properties}).startswith(sentence)


def test_many_node_ranges_are_refused() -> None:
    ranges = [{"targetNodes": str(n), "container": CONTAINER} for n in range(6)]
    assert refusal(nodes(*ranges)) == "Maximum allowed size of node range properties is 5"


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (nodes(numNodes=0), "Number of nodes must be between 1 and 1000."),
        (nodes(numNodes=1001), "Number of nodes must be between 1 and 1000."),
        (nodes(mainNode=4), "Main node index is out of range, must be less than numNodes."),
        (nodes(mainNode=-1), "Main node index is out of range, must be less than numNodes."),
        (
            nodes({"targetNodes": "0:x", "container": CONTAINER}),
            "targetNodes should contain only digits.",
        ),
        (
            nodes({"targetNodes": "", "container": CONTAINER}),
            "targetNodes should contain only digits.",
        ),
        (
            nodes({"targetNodes": "0:4", "container": CONTAINER}),
            "targetNodes 0:4 is out of range, must be less than numNodes.",
        ),
        (
            nodes({"targetNodes": "1:", "container": CONTAINER}),
            "Node ranges must cover all nodes from 0 to 3.",
        ),
        (nodes({"targetNodes": "0:"}), "Must specify container for node range 0:"),
        (
            nodes({"targetNodes": ":", "container": CONTAINER} | {"ecsProperties": {}}),
            "NodeRangeProperties can not use both ecsProperties and container fields",
        ),
        (
            nodes({"targetNodes": ":", "container": CONTAINER, "instanceTypes": ["m5.large"]}),
            "Using instanceTypes with nodeRangeProperty is only allowed for ecsProperties jobs.",
        ),
        (
            nodes({"targetNodes": ":3", "container": {"image": ""}}),
            "ECS Container Image must be provided.",
        ),
    ],
)
def test_wrong_nodes_are_refused(request_: dict[str, Any], sentence: str) -> None:
    assert refusal(request_) == sentence


def test_ranges_may_nest_and_carry_any_payload() -> None:
    validate_register(
        nodes(
            {"targetNodes": ":", "container": CONTAINER},
            {"targetNodes": "1:2", "ecsProperties": task()["ecsProperties"]},
            {"targetNodes": "3", "eksProperties": pod()["eksProperties"]},
        )
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"image": ""}, "EKS Container Image must be provided."),
        ({"resources": {"limits": {"disk": "1"}}}, "disk is not a supported type for resources."),
        (
            {"resources": {"limits": {"memory": "1Gi"}}},
            "Value 1Gi for type memory is not valid.",
        ),
        (
            {"resources": {"limits": {"cpu": "0.3"}}},
            "Value 0.3 for type cpu in resources is not valid. Provide a valid number and unit.",
        ),
        (
            {"resources": {"limits": {"nvidia.com/gpu": "half"}}},
            "Value half for type nvidia.com/gpu in resources is not valid.",
        ),
        (
            {"resources": {"limits": {"nvidia.com/gpu": "2"}, "requests": {"nvidia.com/gpu": "1"}}},
            "gpu request must be equal to gpu limit if both are provided.",
        ),
        (
            {"resources": {"limits": {"memory": "2Mi"}, "requests": {"memory": "1Mi"}}},
            "memory request must be equal to memory limit if both are provided.",
        ),
        (
            {"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1.25"}}},
            "cpu request must be <= to cpu limit if both are provided.",
        ),
    ],
)
def test_a_wrong_pod_is_refused(change: dict[str, Any], sentence: str) -> None:
    assert refusal(pod(**change)) == sentence


@pytest.mark.parametrize(
    ("pod_properties", "sentence"),
    [
        ({}, "Containers must be provided for Batch on EKS jobs."),
        ({"containers": [{"image": "a"}] * 11}, "Number of containers must be between 1 and 10"),
        (
            {"containers": [{"image": "a"}], "initContainers": [{"image": "a"}] * 11},
            "Number of initContainers must be at most 10",
        ),
        (
            {"containers": [{"image": "a", "name": "n"}] * 2},
            "The container name: n must be unique in multi-container job.",
        ),
    ],
)
def test_wrong_numbers_of_pods_are_refused(pod_properties: dict[str, Any], sentence: str) -> None:
    request = pod() | {"eksProperties": {"podProperties": pod_properties}}
    assert refusal(request) == sentence
