"""Tasks in UNMANAGED environments: on instances, or on their owner's capacity providers."""

from tests.support.fake_clusters import NO_INSTANCES
from tests.support.multinode import (
    a_container,
    make_multinode_stage,
    start_main,
    submit_multinode_job,
    tasks_of,
)
from tests.support.scenes import cluster_of, finish, submit
from tests.support.world import World

PLACING = ("launchType", "capacityProviderStrategy", "networkConfiguration")


def make_unmanaged_stage(world: World, *, provider: str | None) -> None:
    """Make environment `metal`, whose owner has given its cluster the provider as its default."""
    make_multinode_stage(world)
    if provider is not None:
        cluster = world.ecs.clusters[cluster_of(world, "metal")]
        cluster["providers"] = [provider]
        cluster["default"] = [{"capacityProvider": provider, "weight": 1}]
    world.api(
        "RegisterJobDefinition",
        {
            "jobDefinitionName": "work",
            "type": "container",
            "platformCapabilities": ["EC2"],
            "containerProperties": a_container(),
        },
    )


def test_a_job_waits_for_the_group_of_the_default_capacity_provider(world: World) -> None:
    make_unmanaged_stage(world, provider="own-group")
    world.ecs.has_instances = False
    job_id = submit(world)
    world.run_until_idle()
    task = world.task_of(job_id)
    assert not set(PLACING) & task.request.keys(), "ECS uses the cluster's default"
    assert (world.job(job_id).status, task.status) == ("STARTING", "PROVISIONING")
    world.ecs.has_instances = True
    world.ecs.start(task)
    finish(world, job_id)
    assert world.detail(job_id)["status"] == "SUCCEEDED"


def test_the_nodes_of_a_job_wait_for_the_group_as_well(world: World) -> None:
    make_unmanaged_stage(world, provider="own-group")
    world.ecs.has_instances = False
    job_id = submit_multinode_job(world)
    world.run_until_idle()
    start_main(world, job_id)
    world.advance(10)
    tasks = tasks_of(world, job_id).values()
    assert len(tasks) == 3
    assert not any(set(PLACING) & task.request.keys() for task in tasks)


def test_a_job_on_registered_instances_names_no_launch_type(world: World) -> None:
    make_unmanaged_stage(world, provider=None)
    job_id = submit(world)
    world.run_until_idle()
    assert not set(PLACING) & world.task_of(job_id).request.keys(), "EC2 is what ECS then takes"


def test_a_cluster_without_instances_is_reported_in_the_words_of_ecs(world: World) -> None:
    make_unmanaged_stage(world, provider=None)
    world.ecs.has_instances = False
    job_id = submit(world)
    world.advance(60)
    assert world.ecs.tasks == {}
    assert NO_INSTANCES.rstrip(".") in world.detail(job_id)["statusReason"]
