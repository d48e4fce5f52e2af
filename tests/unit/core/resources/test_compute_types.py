"""The table of compute types: it has every type of AWS Batch, and says what each is."""

from typing import Any

import pytest

from chalicelib.core.errors import ClientError, NotSupportedError
from chalicelib.core.resources.compute_types.compute_type import Target
from chalicelib.core.resources.compute_types.table import (
    COMPUTE_TYPES,
    SUPPORTED_QUEUE_TYPES,
    compute_type_named,
    compute_type_of,
)
from chalicelib.core.resources.platforms import Platform
from tests.support.clients import service_model

RESOURCES = {"subnets": ["subnet-1"], "securityGroupIds": ["sg-1"], "maxvCpus": 4}
TARGET = Target(cluster="yard_one", resources=RESOURCES)


def enum_of(shape: str) -> set[str]:
    return set(service_model("batch").shape_for(shape).metadata["enum"])


def test_the_table_has_every_type_of_the_api_and_unmanaged() -> None:
    assert COMPUTE_TYPES.keys() == enum_of("CRType") | {"UNMANAGED"}
    assert all(one.name == name for name, one in COMPUTE_TYPES.items())
    assert {one.queue_type for one in COMPUTE_TYPES.values()} <= enum_of("JobQueueType")


def test_fargate_and_unmanaged_are_supported_and_the_rest_is_refused() -> None:
    supported = {name for name, one in COMPUTE_TYPES.items() if one.ecs is not None}
    assert supported == {"FARGATE", "FARGATE_SPOT", "UNMANAGED"}
    assert {"ECS", "ECS_FARGATE"} == SUPPORTED_QUEUE_TYPES
    for name in COMPUTE_TYPES.keys() - supported:
        with pytest.raises(NotSupportedError) as caught:
            COMPUTE_TYPES[name].require_ecs()
        assert caught.value.feature == f"A compute environment of type {name}"


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


def test_only_instances_that_aws_batch_scales_can_be_used_by_eks() -> None:
    assert {name for name, one in COMPUTE_TYPES.items() if one.is_for_eks} == {"EC2", "SPOT"}


@pytest.mark.parametrize("name", ["FARGATE", "FARGATE_SPOT"])
def test_a_cluster_for_fargate_has_the_provider_that_its_tasks_ask_for(name: str) -> None:
    ecs = COMPUTE_TYPES[name].require_ecs()
    (strategy,) = ecs.run_task(TARGET, {})["capacityProviderStrategy"]
    assert [strategy["capacityProvider"]] == list(ecs.capacity_providers(TARGET)) == [name]


def test_an_unmanaged_environment_takes_no_compute_resources() -> None:
    with pytest.raises(ClientError, match="not applicable for UNMANAGED"):
        COMPUTE_TYPES["UNMANAGED"].validate(RESOURCES)


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({"type": "UNMANAGED"}, "UNMANAGED"),
        ({"type": "MANAGED", "computeResources": {"type": "SPOT"}}, "SPOT"),
    ],
)
def test_an_environment_has_the_type_that_it_names(environment: dict[str, Any], name: str) -> None:
    assert compute_type_of(environment) is COMPUTE_TYPES[name]


def test_a_type_that_is_not_in_the_table_is_not_supported() -> None:
    with pytest.raises(NotSupportedError, match="type QUANTUM is not supported yet"):
        compute_type_named("QUANTUM")
