"""The table of compute types: complete, consistent, and honest about what is not supported."""

from dataclasses import replace

import pytest

from chalicelib.contract.model import service_model
from chalicelib.core.errors import ClientError, NotSupportedError
from chalicelib.core.resources.compute_types.compute_type import Target
from chalicelib.core.resources.compute_types.table import (
    COMPUTE_TYPES,
    SUPPORTED_QUEUE_TYPES,
    compute_type_named,
    compute_type_of,
)
from chalicelib.core.resources.platforms import Platform

RESOURCES = {"subnets": ["subnet-1"], "securityGroupIds": ["sg-1"], "maxvCpus": 4}
TARGET = Target(cluster="yard_environment", resources=RESOURCES)
PROVIDER = {
    "instanceLaunchTemplate": {
        "networkConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]}
    }
}
SUPPORTED = [name for name, one in COMPUTE_TYPES.items() if one.ecs is not None]


def test_every_type_of_the_api_has_a_row() -> None:
    types = service_model().shape_for("CRType").metadata["enum"]
    assert set(types) | {"UNMANAGED"} == set(COMPUTE_TYPES)


def test_nodes_of_multi_node_jobs_run_on_instances_that_are_not_taken_back() -> None:
    assert sorted(name for name, one in COMPUTE_TYPES.items() if one.runs_nodes) == [
        "EC2",
        "UNMANAGED",
    ]


def test_every_type_is_supported() -> None:
    assert sorted(COMPUTE_TYPES) == sorted(SUPPORTED)


def test_a_type_that_is_not_supported_says_so_by_its_name() -> None:
    later = replace(COMPUTE_TYPES["EC2"], name="LATER", ecs=None)
    with pytest.raises(NotSupportedError, match="A compute environment of type LATER"):
        later.require_ecs()


@pytest.mark.parametrize("name", ["EC2", "SPOT", "ECS_MANAGED_INSTANCES"])
def test_instances_are_asked_for_by_the_provider_that_is_made_for_the_cluster(name: str) -> None:
    ecs = COMPUTE_TYPES[name].require_ecs()
    target = replace(TARGET, resources={"managedInstancesProvider": PROVIDER})
    assert ecs.makes_capacity
    assert ecs.capacity_providers(target) == ("batchyard-yard_environment",)
    asked = ecs.run_task(target, {"networkMode": "host"})
    provider = {"capacityProvider": "batchyard-yard_environment", "weight": 1}
    assert asked["capacityProviderStrategy"] == [provider]
    assert "networkConfiguration" not in asked


def test_a_task_on_managed_instances_has_its_interface_where_the_instances_are() -> None:
    ecs = COMPUTE_TYPES["ECS_MANAGED_INSTANCES"].require_ecs()
    target = replace(TARGET, resources={"managedInstancesProvider": PROVIDER})
    assert ecs.run_task(target, {})["networkConfiguration"] == {
        "awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]}
    }


def test_a_type_that_only_a_later_api_knows_is_not_supported() -> None:
    with pytest.raises(NotSupportedError, match="MOON"):
        compute_type_named("MOON")


@pytest.mark.parametrize("name", ["FARGATE", "FARGATE_SPOT"])
def test_fargate_asks_run_task_for_the_capacity_provider_of_its_name(name: str) -> None:
    ecs = COMPUTE_TYPES[name].require_ecs()
    asked = ecs.run_task(TARGET, {"networkConfiguration": {"assignPublicIp": "ENABLED"}})
    assert asked == {
        "capacityProviderStrategy": [{"capacityProvider": name, "weight": 1}],
        "platformVersion": "LATEST",
        "networkConfiguration": {
            "awsvpcConfiguration": {
                "subnets": ["subnet-1"],
                "securityGroups": ["sg-1"],
                "assignPublicIp": "ENABLED",
            }
        },
    }
    assert ecs.capacity_providers(TARGET) == (name,)


def test_unmanaged_leaves_the_way_of_placing_to_the_owner_of_the_cluster() -> None:
    unmanaged = compute_type_of({"type": "UNMANAGED"})
    assert unmanaged.platform is Platform.EC2
    assert unmanaged.require_ecs().run_task(TARGET, {}) == {}
    assert unmanaged.require_ecs().capacity_providers(TARGET) is None


@pytest.mark.parametrize(
    ("name", "platform"),
    [
        ("FARGATE", Platform.FARGATE),
        ("FARGATE_SPOT", Platform.FARGATE),
        ("UNMANAGED", Platform.EC2),
        ("EC2", Platform.EC2),
        ("SPOT", Platform.EC2),
        ("ECS_MANAGED_INSTANCES", Platform.MANAGED_INSTANCES),
    ],
)
def test_a_type_runs_jobs_of_its_own_platform(name: str, platform: Platform) -> None:
    assert COMPUTE_TYPES[name].platform is platform


def test_the_queue_types_of_supported_compute_types_are_supported() -> None:
    known = set(service_model().shape_for("JobQueueType").metadata["enum"])
    assert {one.queue_type for one in COMPUTE_TYPES.values()} <= known
    assert {"ECS", "ECS_FARGATE", "ECS_MANAGED_INSTANCES"} == SUPPORTED_QUEUE_TYPES


def test_only_instances_that_aws_batch_scales_can_be_used_by_eks() -> None:
    assert {name for name, one in COMPUTE_TYPES.items() if one.is_for_eks} == {"EC2", "SPOT"}


def test_an_unmanaged_environment_takes_no_compute_resources() -> None:
    with pytest.raises(ClientError, match="not applicable for UNMANAGED"):
        COMPUTE_TYPES["UNMANAGED"].validate(RESOURCES)
