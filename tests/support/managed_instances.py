"""Scenes with an ECS_MANAGED_INSTANCES environment."""

from typing import Any

from tests.support.world import World

Json = dict[str, Any]
NAME = "managed"
INFRASTRUCTURE_ROLE = "arn:aws:iam::123456789012:role/ecsInfrastructureRole"
PROFILE = "arn:aws:iam::123456789012:instance-profile/ecsInstanceRole"


def managed_provider(**template: Any) -> Json:
    """Return a `managedInstancesProvider`; the members are of its instanceLaunchTemplate."""
    return {
        "infrastructureRoleArn": INFRASTRUCTURE_ROLE,
        "instanceLaunchTemplate": {
            "ec2InstanceProfileArn": PROFILE,
            "networkConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]},
            **template,
        },
    }


def create_managed(world: World, **resources: Any) -> None:
    """Ask for the environment; provisioning has not begun."""
    world.api(
        "CreateComputeEnvironment",
        {
            "computeEnvironmentName": NAME,
            "type": "MANAGED",
            "tags": {"team": "blue"},
            "computeResources": {
                "type": "ECS_MANAGED_INSTANCES",
                "maxvCpus": 16,
                "managedInstancesProvider": managed_provider(),
                "capacityTags": {"cost": "42"},
                **resources,
            },
        },
    )


def make_managed_definition(world: World, *, vcpus: str = "1", **task: Any) -> None:
    """Register the definition `work`, whose task has one container."""
    container = {
        "name": "main",
        "image": "busybox",
        "essential": True,
        "command": ["true"],
        "resourceRequirements": [
            {"type": "VCPU", "value": vcpus},
            {"type": "MEMORY", "value": "2048"},
        ],
    }
    properties = {"taskProperties": [{"containers": [container], **task}]}
    world.api(
        "RegisterJobDefinition",
        {
            "jobDefinitionName": "work",
            "type": "container",
            "platformCapabilities": ["MANAGED_INSTANCES"],
            "ecsProperties": properties,
        },
    )
    world.run_until_idle()


def described(world: World) -> Json | None:
    found = world.api("DescribeComputeEnvironments", {"computeEnvironments": [NAME]})
    return next(iter(found["computeEnvironments"]), None)


def status(world: World) -> str:
    found = described(world)
    assert found is not None
    return str(found["status"])


def update_managed(world: World, **members: Any) -> None:
    world.api("UpdateComputeEnvironment", {"computeEnvironment": NAME} | members)
    world.run_until_idle()
