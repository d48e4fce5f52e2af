"""Requests to ECS for tasks on instances: what a container gets there, and where a task runs."""

from dataclasses import replace
from typing import Any

import pytest
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from botocore.validate import ParamValidator

from chalicelib.core.ecs_requests import LaunchSettings, run_task, task_definition, variant_of
from chalicelib.core.job import Job, NodeState
from chalicelib.core.resources.compute_types.compute_type import ComputeType, Target
from chalicelib.core.resources.compute_types.fargate import FARGATE
from chalicelib.core.resources.compute_types.instances import EC2, SPOT
from chalicelib.core.resources.compute_types.managed_instances import ECS_MANAGED_INSTANCES
from chalicelib.core.resources.compute_types.unmanaged import UNMANAGED
from chalicelib.core.states import JobStatus
from tests.support.clients import service_model
from tests.support.values import a_job

JOB = a_job(JobStatus.STARTING, cpu_units=4096, memory_mib=8192, definition="work:3")
NODES = replace(JOB, nodes=NodeState(count=3, main=0))
RESOURCES = {
    "subnets": ["subnet-1", "subnet-2"],
    "securityGroupIds": ["sg-1"],
    "placementGroup": "close",
    "instanceTypes": ["optimal"],
}
NEEDS = [
    {"type": "VCPU", "value": "4"},
    {"type": "MEMORY", "value": "8192"},
    {"type": "GPU", "value": "2"},
]
CONTAINER: dict[str, Any] = {
    "image": "busybox",
    "command": ["work"],
    "resourceRequirements": NEEDS,
    "privileged": True,
    "readonlyRootFilesystem": True,
    "user": "nobody",
    "volumes": [{"name": "data", "host": {"sourcePath": "/data"}}, {"name": "scratch"}],
    "mountPoints": [{"sourceVolume": "data", "containerPath": "/in", "readOnly": True}],
    "ulimits": [{"name": "nofile", "softLimit": 1024, "hardLimit": 4096}],
    "linuxParameters": {
        "devices": [
            {
                "hostPath": "/dev/fuse",
                "containerPath": "/dev/fuse",
                "permissions": ["READ", "MKNOD"],
            },
            {"hostPath": "/dev/kvm", "permissions": []},
        ],
        "initProcessEnabled": True,
        "sharedMemorySize": 512,
        "tmpfs": [{"containerPath": "/tmp", "size": 64, "mountOptions": ["noexec"]}],
        "maxSwap": 0,
        "swappiness": 10,
    },
}
BINPACK = [{"type": "binpack", "field": "memory"}]


def settings_of(kind: ComputeType, **resources: Any) -> LaunchSettings:
    return LaunchSettings(
        compute_type=kind,
        target=Target(cluster="yard_metal", resources=RESOURCES | resources),
        log_group="/aws/batch/job",
        region="us-east-1",
        execution_role_arn="arn:aws:iam::123456789012:role/yard-execution",
    )


def definition(
    container: dict[str, Any], kind: ComputeType = EC2, job: Job = JOB
) -> dict[str, Any]:
    request = task_definition({"container": container}, job, settings_of(kind), bake=False)
    assert_accepted("RegisterTaskDefinition", request)
    return request


def placing(kind: ComputeType, job: Job = JOB, **resources: Any) -> dict[str, Any]:
    """Return what RunTask says beside what it says of the job, by the API's own names."""
    request = run_task(
        {"container": CONTAINER},
        job,
        settings_of(kind, **resources),
        task_definition_arn="arn:td",
        baked=False,
        tags={},
    )
    camel = _camel(request)
    assert_accepted("RunTask", camel)
    of_the_job = {"cluster", "taskDefinition", "count", "startedBy", "clientToken", "overrides"}
    return {name: value for name, value in camel.items() if name not in of_the_job}


def assert_accepted(operation: str, request: dict[str, Any]) -> None:
    """Check the request against ECS's model: members, types and the values of its enumerations."""
    shape = service_model("ecs").operation_model(operation).input_shape
    assert isinstance(shape, StructureShape)
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()
    assert list(unknown(request, shape)) == []


def unknown(value: Any, shape: Shape, path: str = "") -> Any:
    """Yield the members and values that the model does not have, which botocore lets pass."""
    if isinstance(shape, StructureShape):
        for name, item in value.items():
            if name not in shape.members:
                yield f"{path}.{name}"
            else:
                yield from unknown(item, shape.members[name], f"{path}.{name}")
    elif isinstance(shape, ListShape):
        for item in value:
            yield from unknown(item, shape.member, path)
    elif isinstance(shape, MapShape):
        for item in value.values():
            yield from unknown(item, shape.value, path)
    elif isinstance(shape, StringShape) and shape.enum and value not in shape.enum:
        yield f"{path}: {value}"


def _camel(value: Any) -> Any:
    if isinstance(value, dict):
        return {key[0].lower() + key[1:]: _camel(item) for key, item in value.items()}
    return [_camel(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("kind", [EC2, SPOT, UNMANAGED])
def test_a_container_on_an_instance_gets_all_that_only_an_instance_has(kind: ComputeType) -> None:
    request = definition(CONTAINER, kind)
    (container,) = request.pop("containerDefinitions")
    assert request == {
        "family": "batchyard-work",
        "executionRoleArn": "arn:aws:iam::123456789012:role/yard-execution",
        "networkMode": "host",
        "requiresCompatibilities": ["EC2"],
        "volumes": [{"name": "data", "host": {"sourcePath": "/data"}}, {"name": "scratch"}],
    }
    del container["logConfiguration"]
    assert container == {
        "name": "default",
        "image": "busybox",
        "essential": True,
        "cpu": 4096,
        "memory": 8192,
        "resourceRequirements": [{"type": "GPU", "value": "2"}],
        "privileged": True,
        "readonlyRootFilesystem": True,
        "user": "nobody",
        "mountPoints": [{"sourceVolume": "data", "containerPath": "/in", "readOnly": True}],
        "ulimits": [{"name": "nofile", "softLimit": 1024, "hardLimit": 4096}],
        "linuxParameters": {
            "devices": [
                {
                    "hostPath": "/dev/fuse",
                    "containerPath": "/dev/fuse",
                    "permissions": ["read", "mknod"],
                },
                {"hostPath": "/dev/kvm"},
            ],
            "initProcessEnabled": True,
            "sharedMemorySize": 512,
            "tmpfs": [{"containerPath": "/tmp", "size": 64, "mountOptions": ["noexec"]}],
            "maxSwap": 0,
            "swappiness": 10,
        },
    }


def test_lists_that_are_described_as_empty_and_sent_back_ask_for_nothing() -> None:
    empty: dict[str, Any] = {"linuxParameters": {"devices": [], "tmpfs": []}}
    (container,) = definition(CONTAINER | empty)["containerDefinitions"]
    assert "linuxParameters" not in container


def test_the_old_members_vcpus_and_memory_reach_ecs() -> None:
    (container,) = definition({"image": "busybox", "vcpus": 2, "memory": 4000})[
        "containerDefinitions"
    ]
    assert (container["cpu"], container["memory"]) == (2048, 4000)
    assert "resourceRequirements" not in container


@pytest.mark.parametrize("kind", [EC2, SPOT])
def test_a_task_runs_on_the_capacity_provider_of_its_environment_packed_tightly(
    kind: ComputeType,
) -> None:
    assert placing(kind) == {
        "capacityProviderStrategy": [
            {"capacityProvider": "batchyard-yard_metal", "weight": 1},
        ],
        "placementStrategy": BINPACK,
    }
    target = settings_of(kind).target
    assert kind.require_ecs().capacity_providers(target) == ("batchyard-yard_metal",)


def test_a_node_has_an_interface_of_its_own_in_the_network_of_its_environment() -> None:
    assert placing(EC2, NODES) == {
        "capacityProviderStrategy": [
            {"capacityProvider": "batchyard-yard_metal", "weight": 1},
        ],
        "placementStrategy": BINPACK,
        "networkConfiguration": {
            "awsvpcConfiguration": {
                "subnets": ["subnet-1", "subnet-2"],
                "securityGroups": ["sg-1"],
            }
        },
    }
    assert definition(CONTAINER, job=NODES)["networkMode"] == "awsvpc"


def test_a_node_of_an_environment_without_security_groups_has_those_of_its_vpc() -> None:
    network = placing(EC2, NODES, securityGroupIds=[])["networkConfiguration"]
    assert network == {"awsvpcConfiguration": {"subnets": ["subnet-1", "subnet-2"]}}


def test_a_node_takes_no_more_subnets_than_ecs_accepts() -> None:
    subnets = [f"subnet-{number}" for number in range(20)]
    network = placing(EC2, NODES, subnets=subnets)["networkConfiguration"]
    assert network["awsvpcConfiguration"]["subnets"] == subnets[:16]


def test_nodes_on_the_owner_s_instances_share_the_network_of_their_instance() -> None:
    assert placing(UNMANAGED, NODES) == {}
    assert definition(CONTAINER, UNMANAGED, NODES)["networkMode"] == "host"


def test_a_task_on_managed_instances_states_its_size_architecture_and_gpus() -> None:
    task = {
        "containers": [
            {"name": "a", "image": "busybox", "resourceRequirements": NEEDS},
            {"name": "b", "image": "busybox", "resourceRequirements": NEEDS, "privileged": True},
        ],
        "runtimePlatform": {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
    }
    payload = {"ecsProperties": {"taskProperties": [task]}}
    settings = settings_of(ECS_MANAGED_INSTANCES)
    request = task_definition(payload, JOB, settings, bake=False)
    assert_accepted("RegisterTaskDefinition", request)
    assert (request["cpu"], request["memory"]) == ("4096", "8192")
    assert request["requiresCompatibilities"] == ["MANAGED_INSTANCES"]
    assert request["networkMode"] == "awsvpc"
    assert request["runtimePlatform"] == task["runtimePlatform"]
    first, second = request["containerDefinitions"]
    assert first["resourceRequirements"] == [{"type": "GPU", "value": "2"}]
    assert second["privileged"] is True


def test_each_kind_of_environment_has_its_own_task_definition_and_ec2_and_spot_share_one() -> None:
    plain = {"image": "busybox", "vcpus": 4, "memory": 8192}
    on_ec2, on_spot = definition(plain, EC2), definition(plain, SPOT)
    assert variant_of(on_ec2) == variant_of(on_spot)
    others = (
        definition(plain, FARGATE),
        definition(plain, ECS_MANAGED_INSTANCES),
        definition(plain, EC2, NODES),
    )
    assert len({variant_of(one) for one in (on_ec2, *others)}) == 4


@pytest.mark.parametrize("compute_type", [EC2, SPOT])
def test_a_task_runs_on_the_group_whose_instances_are_the_smallest_that_hold_it(
    compute_type: ComputeType,
) -> None:
    slots = [[2, 4096, 0], [8, 16384, 0], None, [16, 65536, 2]]
    target = Target(cluster="yard_ec2", resources=RESOURCES, made={"slots": slots})
    providers = compute_type.require_ecs().capacity_providers(target)
    assert providers is not None
    assert len(providers) == 4
    run = {}
    for number, needs in enumerate(
        ({"VCPU": "1", "MEMORY": "2048"}, {"VCPU": "4", "MEMORY": "8192"}, {"GPU": "1"})
    ):
        asked = [{"type": kind, "value": value} for kind, value in needs.items()]
        request = run_task(
            {"container": {**CONTAINER, "resourceRequirements": asked}},
            JOB,
            replace(settings_of(compute_type), target=target),
            task_definition_arn="arn",
            baked=True,
            tags={},
        )
        (strategy,) = request["CapacityProviderStrategy"]
        run[number] = strategy["CapacityProvider"]
    assert run == {0: providers[0], 1: providers[1], 2: providers[3]}
