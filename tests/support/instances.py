"""EC2 and SPOT environments as provisioning leaves them: a row, a cluster, a provider a size."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from chalicelib.core.instances.names import provider_name
from chalicelib.core.instances.sizes import registered_memory_mib
from chalicelib.core.resources.compute_environment import ComputeEnvironment
from chalicelib.core.task_size import TaskSize, pareto_front
from tests.support.scenes import cluster_of
from tests.support.world import World

Json = dict[str, Any]

ROLE = "arn:aws:iam::123456789012:instance-profile/instances"
RESOURCES: Json = {
    "minvCpus": 0,
    "maxvCpus": 256,
    "instanceTypes": ["optimal"],
    "subnets": ["subnet-1"],
    "securityGroupIds": ["sg-1"],
    "instanceRole": ROLE,
}
# vCPUs, nominal MiB and GPUs of the instances of each group.
Slots = Sequence[Sequence[int] | None]
M5_LARGE, M5_2XLARGE, R5_4XLARGE = (2, 8192, 0), (8, 32768, 0), (16, 131072, 0)
G4DN_XLARGE = (4, 16384, 1)


def put_environment(
    world: World,
    name: str = "ec2",
    *,
    type: str = "EC2",
    slots: Slots = (M5_LARGE,),
    architecture: str | None = "x86_64",
    **resources: Any,
) -> None:
    """Put an environment whose groups have instances of these sizes; not known without slots."""
    members = {
        "computeEnvironmentName": name,
        "type": "MANAGED",
        "state": "ENABLED",
        "computeResources": {"type": type, **RESOURCES, **resources},
        "tags": {},
    }
    environment = replace(
        ComputeEnvironment.from_members(members, status="VALID"),
        holds=held_by(slots, architecture),
        made={"slots": [None if slot is None else list(slot) for slot in slots]} if slots else {},
    )
    assert world.ports.catalog.put(environment.to_resource(), replacing=None)
    cluster = cluster_of(world, name)
    world.ecs.clusters[cluster] = {
        "arguments": {"clusterName": cluster},
        "settings": [],
        "tags": [],
        "providers": [provider_name(cluster, number) for number in range(max(1, len(slots)))],
        "default": [],
        "attached_at_ms": None,
    }
    world.run_until_idle()


def held_by(slots: Slots, architecture: str | None) -> tuple[TaskSize, ...]:
    """Return the largest tasks that instances of these sizes hold."""
    return pareto_front(
        TaskSize(
            cpu_units=slot[0] * 1024,
            memory_mib=registered_memory_mib(slot[1]),
            gpus=slot[2],
            architecture=architecture,
        )
        for slot in slots
        if slot is not None
    )
