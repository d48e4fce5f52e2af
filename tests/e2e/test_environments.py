"""Environments that buy instances: as clients make them, what they make, and away again."""

import json
from typing import Any

import pytest

from chalicelib.core.instances.names import group_name, provider_name, template_name
from tests.e2e.world import World, until
from tests.support.environments_of_clients import REQUESTS
from tests.support.sampling import IS_THOROUGH

pytestmark = pytest.mark.e2e
PATIENCE_SECONDS = 60.0
CLUSTER = "batchyard_{}"
# What these requests name by the ids of their owners' accounts is made here, under other ids.
LAUNCH_TEMPLATE = "lt-0a1b2c3d"
# The gate makes the first of each client's.
FIRST = {client.partition(",")[0]: client for client in reversed(REQUESTS)}
CLIENTS = [one for one in REQUESTS if IS_THOROUGH or one in FIRST.values()]
THEIR_ACCOUNT, OUR_ACCOUNT = "123456789012", "000000000000"


@pytest.fixture(scope="module")
def environments(world: World) -> dict[str, str]:
    """Make an environment as each client does; return their names by client."""
    ec2: Any = world.clients("ec2")
    template = ec2.create_launch_template(LaunchTemplateName="nextflow", LaunchTemplateData={})
    made = {}
    for client in CLIENTS:
        name = world.new_name("client")
        own = json.loads(json.dumps(REQUESTS[client]).replace(THEIR_ACCOUNT, OUR_ACCOUNT))
        given = {k: v for k, v in own.items() if v not in ("", None)}
        if given.get("launchTemplate", {}).get("launchTemplateId") == LAUNCH_TEMPLATE:
            its_id = template["LaunchTemplate"]["LaunchTemplateId"]
            given["launchTemplate"] = {**given["launchTemplate"], "launchTemplateId": its_id}
        world.batch.create_compute_environment(
            computeEnvironmentName=name,
            type="MANAGED",
            serviceRole=f"arn:aws:iam::{OUR_ACCOUNT}:role/batch",
            computeResources=given,
        )
        made[client] = name
    return made


@pytest.mark.parametrize("client", CLIENTS)
def test_what_a_client_asks_for_becomes_valid(
    world: World, environments: dict[str, str], client: str
) -> None:
    world.await_environment(environments[client], "VALID")


def test_all_that_was_made_goes_with_the_environments(
    world: World, environments: dict[str, str]
) -> None:
    for name in environments.values():
        world.batch.update_compute_environment(computeEnvironment=name, state="DISABLED")
    for name in environments.values():
        world.await_environment(name, "VALID")
        world.batch.delete_compute_environment(computeEnvironment=name)
    for name in environments.values():
        until(
            lambda name=name: world.describe_environment(name),  # type: ignore[misc]
            lambda left: left is None,
            seconds=PATIENCE_SECONDS,
        )
    assert left_of(world, list(environments.values())) == []


def left_of(world: World, names: list[str]) -> list[str]:
    """Return the groups, providers, templates and clusters of these environments."""
    groups = world.clients("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    providers = world.clients("ecs").describe_capacity_providers()["capacityProviders"]
    templates = world.clients("ec2").describe_launch_templates()["LaunchTemplates"]
    clusters = world.clients("ecs").list_clusters()["clusterArns"]
    found = [
        *(one["AutoScalingGroupName"] for one in groups),
        *(one["name"] for one in providers if one["status"] == "ACTIVE"),
        *(one["LaunchTemplateName"] for one in templates),
        *(arn.rpartition("/")[2] for arn in clusters),
    ]
    clusters_of = [CLUSTER.format(name) for name in names]
    ours = [make(one) for one in clusters_of for make in (group_name, provider_name, template_name)]
    return [one for one in found if one.startswith(tuple(ours))]
