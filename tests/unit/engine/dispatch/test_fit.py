"""A job goes to the first environment of its queue whose instances hold it, or says why to none."""

from typing import Any

import pytest

from chalicelib.core.instances.names import provider_name
from chalicelib.core.instances.sizes import registered_memory_mib
from tests.support.instances import (
    G4DN_XLARGE,
    M5_2XLARGE,
    M5_LARGE,
    R5_4XLARGE,
    put_environment,
)
from tests.support.multinode import (
    a_container,
    end_main,
    node_properties,
    start_main,
    start_others,
    submit_multinode_job,
    tasks_of,
)
from tests.support.scenes import cluster_of, finish, make_queue, submit
from tests.support.world import World

Json = dict[str, Any]

MANAGED = {
    "infrastructureRoleArn": "arn:aws:iam::123456789012:role/infrastructure",
    "instanceLaunchTemplate": {
        "ec2InstanceProfileArn": "arn:aws:iam::123456789012:instance-profile/ecsInstance",
        "networkConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]},
    },
}
TOO_LARGE = (
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - The job resource requirement (vCPU/memory/GPU) is "
    "higher than that can be met by the CE(s) attached to the job queue. "
)


def make_stage(world: World, *environments: str) -> None:
    make_queue(world, environments=environments)
    for name, kind, payload in (
        ("work", "container", {"containerProperties": a_container()}),
        ("multinode", "multinode", {"nodeProperties": node_properties()}),
    ):
        world.api("RegisterJobDefinition", {"jobDefinitionName": name, "type": kind} | payload)


def needing(vcpus: int, mib: int, gpus: int = 0) -> Json:
    needs = {"VCPU": vcpus, "MEMORY": mib, **({"GPU": gpus} if gpus else {})}
    return {"resourceRequirements": [{"type": k, "value": str(v)} for k, v in needs.items()]}


def placed(world: World, vcpus: int, mib: int, gpus: int = 0) -> tuple[str, str] | None:
    """Submit a job of that size; return the environment and the provider of its task, if any."""
    job_id = submit(world, containerOverrides=needing(vcpus, mib, gpus))
    world.run_until_idle()
    environment = world.job(job_id).environment
    if environment is None:
        return None
    task = world.task_of(job_id)
    assert task.cluster == cluster_of(world, environment)
    (strategy,) = task.request["capacityProviderStrategy"]
    world.ecs.start(task)
    finish(world, job_id)
    return environment, strategy["capacityProvider"]


def reason(world: World, job_id: str) -> str:
    return str(world.detail(job_id)["statusReason"])


def test_a_job_goes_to_the_first_environment_that_holds_it(world: World) -> None:
    put_environment(world, "spot", type="SPOT", slots=(M5_LARGE, M5_2XLARGE))
    put_environment(world, "metal", slots=(R5_4XLARGE, G4DN_XLARGE))
    make_stage(world, "spot", "metal")
    spot, metal = cluster_of(world, "spot"), cluster_of(world, "metal")
    assert placed(world, 1, 1024) == ("spot", provider_name(spot, 0))
    assert placed(world, 2, registered_memory_mib(8192)) == ("spot", provider_name(spot, 0))
    assert placed(world, 2, 8192) == ("spot", provider_name(spot, 1)), "8 GiB do not hold 8192 MiB"
    assert placed(world, 8, 32768) == ("metal", provider_name(metal, 0))
    assert placed(world, 1, 1024, gpus=1) == ("metal", provider_name(metal, 1))


def test_a_job_that_no_environment_holds_says_what_it_needs_and_what_there_is(
    world: World,
) -> None:
    put_environment(world, "spot", type="SPOT", slots=(M5_LARGE,))
    put_environment(world, "metal", slots=(R5_4XLARGE, G4DN_XLARGE))
    make_stage(world, "spot", "metal")
    job_id = submit(world, containerOverrides=needing(2, 131072))
    world.run_until_idle()
    assert world.detail(job_id)["status"] == "RUNNABLE"
    assert reason(world, job_id) == TOO_LARGE + (
        "The job needs 2 vCPU, 131072 MiB. The largest that there is: spot: 2 vCPU, "
        f"{registered_memory_mib(8192)} MiB, x86_64; metal: 16 vCPU, "
        f"{registered_memory_mib(131072)} MiB, x86_64 or 4 vCPU, "
        f"{registered_memory_mib(16384)} MiB, 1 GPU, x86_64."
    )


def test_nothing_is_said_while_it_is_not_known_what_the_instances_hold(world: World) -> None:
    put_environment(world, "metal", slots=())
    make_stage(world, "metal")
    assert placed(world, 64, 10**6) == ("metal", provider_name(cluster_of(world, "metal")))


@pytest.mark.parametrize("gpus", [2, 8])
def test_a_job_with_more_gpus_than_an_instance_has_is_not_placed(world: World, gpus: int) -> None:
    put_environment(world, "metal", slots=(M5_LARGE, G4DN_XLARGE))
    make_stage(world, "metal")
    assert placed(world, 1, 1024, gpus) is None


def test_a_multi_node_job_runs_in_an_ec2_environment_with_an_interface_for_each_node(
    world: World,
) -> None:
    put_environment(world, "spot", type="SPOT", slots=(R5_4XLARGE,))
    put_environment(world, "metal", slots=(M5_LARGE,), placementGroup="close")
    make_stage(world, "spot", "metal")
    job_id = submit_multinode_job(world)
    world.run_until_idle()
    assert world.job(job_id).environment == "metal", "no node runs on Spot Instances"
    start_main(world, job_id)
    tasks = list(tasks_of(world, job_id).values())
    assert len(tasks) == 3
    for task in tasks:
        network = task.request["networkConfiguration"]["awsvpcConfiguration"]
        assert network == {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]}
        definition = world.ecs.definitions[task.request["taskDefinition"]]
        assert definition["networkMode"] == "awsvpc"
    others = [task for task in tasks if "AWS_BATCH_JOB_NODE_INDEX" in task.environment]
    addresses = {
        task.environment.get("AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS") for task in others
    }
    assert addresses == {None, "10.0.0.7"}, "the main node needs its own no more than in AWS Batch"
    start_others(world, job_id)
    end_main(world, job_id)
    assert world.detail(job_id)["status"] == "SUCCEEDED"


def test_a_multi_node_job_waits_with_a_reason_where_there_are_only_spot_instances(
    world: World,
) -> None:
    put_environment(world, "spot", type="SPOT", slots=(R5_4XLARGE,))
    make_stage(world, "spot")
    job_id = submit_multinode_job(world)
    world.run_until_idle()
    assert reason(world, job_id) == TOO_LARGE + (
        "Each node of the job needs 2 vCPU, 1024 MiB. The largest that there is: spot: no "
        "multi-node parallel jobs."
    )


def test_a_multi_node_job_needs_an_instance_for_its_largest_node_and_not_for_all(
    world: World,
) -> None:
    put_environment(world, "metal", slots=(M5_LARGE,))
    make_stage(world, "metal")
    small = submit_multinode_job(world, nodeOverrides={"numNodes": 50})
    override = {"targetNodes": "0", "containerOverrides": needing(4, 1024)}
    large = submit_multinode_job(world, nodeOverrides={"nodePropertyOverrides": [override]})
    world.run_until_idle()
    assert world.job(small).environment == "metal"
    assert "Each node of the job needs 4 vCPU, 1024 MiB." in reason(world, large)
    world.api("TerminateJob", {"jobId": small, "reason": "enough"})
    world.run_until_idle()


def test_a_job_that_asks_for_an_architecture_goes_where_it_is(world: World) -> None:
    for name, architecture in (("intel", "x86_64"), ("arm", "arm64")):
        put_environment(
            world,
            name,
            type="ECS_MANAGED_INSTANCES",
            slots=(M5_LARGE,),
            architecture=architecture,
            managedInstancesProvider=MANAGED,
        )
    make_queue(world, environments=("intel", "arm"), jobQueueType="ECS_MANAGED_INSTANCES")
    container = {name: a_container()[name] for name in ("image", "resourceRequirements")}
    where = {}
    for asked in ("ARM64", "X86_64", None):
        platform = {"cpuArchitecture": asked, "operatingSystemFamily": "LINUX"}
        task = {"containers": [container], **({"runtimePlatform": platform} if asked else {})}
        request = {
            "jobDefinitionName": "work",
            "type": "container",
            "platformCapabilities": ["MANAGED_INSTANCES"],
            "ecsProperties": {"taskProperties": [task]},
        }
        world.api("RegisterJobDefinition", request)
        job_id = submit(world)
        world.run_until_idle()
        where[asked] = world.job(job_id).environment
        definition = world.ecs.definitions[world.task_of(job_id).request["taskDefinition"]]
        assert definition.get("runtimePlatform") == (platform if asked else None)
    assert where == {"ARM64": "arm", "X86_64": "intel", None: "intel"}
