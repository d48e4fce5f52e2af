"""What a submitted job needs of one instance: vCPUs, memory, GPUs and architecture."""

from typing import Any

from chalicelib.core.ids import JobKey
from chalicelib.core.job import Job, ready_of
from chalicelib.core.task_size import TaskSize
from tests.support.multinode import a_container, make_multinode_stage, node_properties
from tests.support.scenes import make_environment, make_queue, make_task_definition, submit
from tests.support.world import World

Json = dict[str, Any]


def with_gpus(gpus: int, **members: Any) -> Json:
    container = a_container(**members)
    needs = [*container["resourceRequirements"], {"type": "GPU", "value": str(gpus)}]
    return container | {"resourceRequirements": needs}


def size(vcpus: int, mib: int, gpus: int = 0) -> TaskSize:
    return TaskSize(cpu_units=vcpus * 1024, memory_mib=mib, gpus=gpus)


def register(world: World, **members: Any) -> None:
    request = {"jobDefinitionName": "work", "type": "container", **members}
    world.api("RegisterJobDefinition", request)


def submitted(world: World, **members: Any) -> Job:
    """Submit a job; return its row as it was before its dispatch."""
    job = world.ports.jobs.find_job(JobKey(submit(world, **members)))
    assert job is not None
    world.run_until_idle()
    return job


def test_a_job_needs_the_gpus_of_its_container(world: World) -> None:
    make_multinode_stage(world)
    register(world, containerProperties=with_gpus(2))
    assert submitted(world).gpus == 2
    more = {"resourceRequirements": [{"type": "GPU", "value": "4"}]}
    assert submitted(world, containerOverrides=more).gpus == 4


def test_a_task_needs_the_gpus_of_all_its_containers(world: World) -> None:
    make_multinode_stage(world)
    containers = [{"name": "a", **with_gpus(1)}, {"name": "b", **with_gpus(2)}]
    for container in containers:
        del container["executionRoleArn"]
    register(world, ecsProperties={"taskProperties": [{"containers": containers}]})
    job = submitted(world)
    assert (job.cpu_units, job.memory_mib, job.gpus) == (2048, 2048, 3)


def test_the_old_members_vcpus_and_memory_count_as_well(world: World) -> None:
    make_multinode_stage(world)
    register(world, containerProperties={"image": "busybox", "vcpus": 4, "memory": 4096})
    ready = ready_of(submitted(world))
    assert ready is not None
    assert ready.task_sizes == (size(4, 4096),)


def test_each_node_of_a_job_has_its_own_size_and_the_largest_are_kept(world: World) -> None:
    ranges = {
        "0": a_container("lead", vcpus=8),
        "1:2": with_gpus(1, vcpus=2),
        "3:": a_container("work", vcpus=4),
    }
    make_multinode_stage(world, properties=node_properties(nodes=6, ranges=ranges))
    job = submitted(world, jobDefinition="multinode")
    assert (job.cpu_units, job.gpus) == ((8 + 2 * 2 + 3 * 4) * 1024, 0)
    ready = ready_of(job)
    assert ready is not None
    assert ready.task_sizes == (size(8, 1024), size(2, 1024, gpus=1))


def test_the_size_of_nodes_is_that_after_their_overrides(world: World) -> None:
    make_multinode_stage(world)
    override = {
        "targetNodes": "0:",
        "containerOverrides": {"resourceRequirements": [{"type": "VCPU", "value": "16"}]},
    }
    overrides = {"nodePropertyOverrides": [override]}
    job = submitted(world, jobDefinition="multinode", nodeOverrides=overrides)
    assert job.nodes is not None
    assert job.nodes.sizes == (size(16, 1024),)


def test_children_of_an_array_need_what_their_array_needs(world: World) -> None:
    make_multinode_stage(world)
    register(world, containerProperties=with_gpus(1))
    job_id = submit(world, arrayProperties={"size": 2})
    world.run_until_idle()
    child = world.ports.jobs.find_job(JobKey(job_id, "child#00000001"))
    assert child is not None
    assert child.gpus == 1


def test_fargate_has_machines_of_both_architectures(world: World) -> None:
    make_environment(world)
    make_queue(world)
    arm = {"runtimePlatform": {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"}}
    make_task_definition(world, {"name": "a"}, {"name": "b"}, task=arm)
    job = submitted(world)
    assert job.architecture is None
    assert world.detail(job.job_id)["status"] == "STARTING"
