"""ECS_MANAGED_INSTANCES environments: made, used, changed, refused by ECS, and removed."""

from typing import Any

import pytest

from chalicelib.core.resources.compute_environment import ComputeEnvironment
from chalicelib.core.resources.resource import COMPUTE_ENVIRONMENT
from chalicelib.core.task_size import TaskSize
from tests.support.managed_instances import (
    NAME,
    create_managed,
    described,
    make_managed_definition,
    managed_provider,
    status,
    update_managed,
)
from tests.support.scenes import cluster_of, finish, make_queue, submit
from tests.support.world import World

CAUSE = "The infrastructure role cannot be assumed."


def provider_of(world: World) -> dict[str, Any]:
    (provider,) = world.ecs.providers.values()
    return provider


def make(world: World, **resources: Any) -> None:
    create_managed(world, **resources)
    world.run_until_idle()


def ecs_calls(world: World) -> list[str]:
    return [call.removeprefix("ecs.") for call in world.calls if call.startswith("ecs.")]


def changing_calls(world: World) -> list[str]:
    return [call for call in ecs_calls(world) if not call.startswith(("Describe", "List"))]


def test_an_environment_is_a_cluster_with_a_provider_of_its_own(world: World) -> None:
    make(world)
    assert status(world) == "VALID"
    name = f"batchyard-{cluster_of(world, NAME)}"
    assert list(world.ecs.providers) == [name]
    assert world.ecs.clusters[cluster_of(world, NAME)]["providers"] == [name]
    assert provider_of(world)["tags"] == [
        {"key": "team", "value": "blue"},
        {"key": "cost", "value": "42"},
    ]
    assert changing_calls(world) == [
        "CreateCluster",
        "CreateCapacityProvider",
        "PutClusterCapacityProviders",
    ]


def test_the_api_shows_what_was_given_and_nothing_of_what_was_made(world: World) -> None:
    given = managed_provider(instanceRequirements={"allowedInstanceTypes": ["m5"]})
    make(world, managedInstancesProvider=given)
    found = described(world)
    assert found is not None
    assert found["computeResources"] == {
        "type": "ECS_MANAGED_INSTANCES",
        "maxvCpus": 16,
        "managedInstancesProvider": given,
        "capacityTags": {"cost": "42"},
    }
    assert not found.keys() & {"holds", "made"}


@pytest.mark.parametrize("mode", ["awsvpc", "host"])
def test_a_job_runs_on_the_provider_of_its_environment(world: World, mode: str) -> None:
    make(world)
    make_queue(world, environments=(NAME,), jobQueueType="ECS_MANAGED_INSTANCES")
    make_managed_definition(world, **({"networkMode": "host"} if mode == "host" else {}))
    job_id = submit(world)
    world.run_until_idle()
    task = world.task_of(job_id)
    definition = world.ecs.definitions[task.request["taskDefinition"]]
    assert definition["requiresCompatibilities"] == ["MANAGED_INSTANCES"]
    assert definition["networkMode"] == mode
    assert (definition["cpu"], definition["memory"]) == ("1024", "2048")
    name = f"batchyard-{cluster_of(world, NAME)}"
    assert task.request["capacityProviderStrategy"] == [{"capacityProvider": name, "weight": 1}]
    assert ("networkConfiguration" in task.request) == (mode == "awsvpc")
    world.ecs.start(task)
    finish(world, job_id)
    assert world.detail(job_id)["status"] == "SUCCEEDED"


def test_an_environment_waits_until_ecs_has_created_its_provider(world: World) -> None:
    world.ecs.provider_seconds = 1200
    make(world)
    world.advance(300)
    found = described(world)
    assert found is not None
    assert found["status"] == "CREATING"
    assert "ECS is still changing the capacity provider" in found["statusReason"]
    world.advance(1800)
    assert status(world) == "VALID"


def test_an_update_changes_the_provider_in_place(world: World) -> None:
    make(world, managedInstancesProvider=managed_provider(monitoring="BASIC"))
    world.calls.clear()
    change = {"instanceLaunchTemplate": {"monitoring": "DETAILED"}}
    update_managed(world, computeResources={"managedInstancesProvider": change})
    assert status(world) == "VALID"
    assert changing_calls(world) == ["UpdateCapacityProvider"]
    template = provider_of(world)["managedInstancesProvider"]["instanceLaunchTemplate"]
    assert template["monitoring"] == "DETAILED"
    assert template["networkConfiguration"] == {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]}
    found = described(world)
    assert found is not None
    provider = found["computeResources"]["managedInstancesProvider"]
    assert provider == managed_provider(monitoring="DETAILED"), "the rest is as it was given"


def test_an_update_of_other_members_leaves_the_provider_alone(world: World) -> None:
    make(world)
    world.calls.clear()
    update_managed(world, state="DISABLED", computeResources={"maxvCpus": 64})
    assert (status(world), changing_calls(world)) == ("VALID", [])


def test_new_capacity_tags_are_added_to_the_provider(world: World) -> None:
    make(world)
    world.calls.clear()
    update_managed(world, computeResources={"capacityTags": {"cost": "43"}})
    assert changing_calls(world) == ["TagResource"]
    assert {"key": "cost", "value": "43"} in provider_of(world)["tags"]


def test_a_provider_that_ecs_cannot_create_makes_it_invalid_and_an_update_tries_again(
    world: World,
) -> None:
    world.ecs.provider_failures["CREATE"] = CAUSE
    make(world)
    world.advance(600)
    found = described(world)
    assert found is not None
    assert found["status"] == "INVALID"
    assert CAUSE in found["statusReason"]
    assert "Let the role trust ecs.amazonaws.com" in found["statusReason"], "what to do about it"
    world.ecs.provider_failures.clear()
    update_managed(world, state="ENABLED")
    world.advance(60)
    assert status(world) == "VALID"


def test_a_change_that_ecs_cannot_make_is_tried_again_and_then_the_reason(world: World) -> None:
    make(world)
    world.ecs.provider_failures["UPDATE"] = CAUSE
    change = {"infrastructureOptimization": {"scaleInAfter": 60}}
    update_managed(world, computeResources={"managedInstancesProvider": change})
    world.advance(600)
    found = described(world)
    assert found is not None
    assert (found["status"], CAUSE in found["statusReason"]) == ("INVALID", True)
    world.ecs.provider_failures.clear()
    update_managed(world, computeResources={"maxvCpus": 8})
    world.advance(60)
    assert status(world) == "VALID"
    optimization = provider_of(world)["managedInstancesProvider"]["infrastructureOptimization"]
    assert optimization == {"scaleInAfter": 60}


def test_a_deletion_removes_all_that_was_made_and_waits_for_it(world: World) -> None:
    make(world)
    update_managed(world, state="DISABLED")
    world.ecs.provider_seconds = 900
    world.calls.clear()
    world.api("DeleteComputeEnvironment", {"computeEnvironment": NAME})
    world.run_until_idle()
    found = described(world)
    assert found is not None
    assert found["status"] == "DELETING"
    world.advance(400)
    found = described(world)
    assert found is not None
    assert "ECS is still ending the instances" in found["statusReason"]
    world.advance(1800)
    assert described(world) is None
    assert (world.ecs.providers, world.ecs.clusters) == ({}, {})
    assert changing_calls(world) == [
        "PutClusterCapacityProviders",
        "DeleteCapacityProvider",
        "DeleteCluster",
    ]


def test_a_deletion_waits_for_tasks_that_still_run(world: World) -> None:
    make(world)
    make_queue(world, environments=(NAME,), jobQueueType="ECS_MANAGED_INSTANCES")
    make_managed_definition(world)
    job_id = submit(world)
    world.run_until_idle()
    world.ecs.start(world.task_of(job_id))
    world.run_until_idle()
    task = world.task_of(job_id)
    row = world.ports.catalog.find(COMPUTE_ENVIRONMENT, NAME)
    assert row is not None
    going = row.changed(status="DELETING", state="DISABLED")
    assert world.ports.catalog.put(going, replacing=row)
    world.advance(400)
    found = described(world)
    assert found is not None
    assert found["statusReason"].endswith(f"{cluster_of(world, NAME)}: 1")
    assert list(world.ecs.providers)
    world.ecs.finish(task)
    world.advance(1800)
    assert described(world) is None


def test_a_provider_that_ecs_cannot_delete_makes_it_invalid_and_is_deleted_another_time(
    world: World,
) -> None:
    make(world)
    update_managed(world, state="DISABLED")
    world.ecs.provider_failures["DELETE"] = CAUSE
    world.api("DeleteComputeEnvironment", {"computeEnvironment": NAME})
    world.run_until_idle()
    world.advance(600)
    found = described(world)
    assert found is not None
    assert (found["status"], CAUSE in found["statusReason"]) == ("INVALID", True)
    world.ecs.provider_failures.clear()
    world.api("DeleteComputeEnvironment", {"computeEnvironment": NAME})
    world.advance(60)
    assert described(world) is None
    assert world.ecs.providers == {}


def test_a_job_that_no_allowed_type_can_hold_says_so(world: World) -> None:
    allowed = {"allowedInstanceTypes": ["m5.large"]}
    make(world, managedInstancesProvider=managed_provider(instanceRequirements=allowed))
    make_queue(world, environments=(NAME,), jobQueueType="ECS_MANAGED_INSTANCES")
    make_managed_definition(world, vcpus="4")
    job_id = submit(world)
    world.run_until_idle()
    detail = world.detail(job_id)
    assert detail["status"] == "RUNNABLE"
    assert detail["statusReason"].startswith("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT")
    assert "2 vCPU, 8192 MiB" in detail["statusReason"]
    world.api("TerminateJob", {"jobId": job_id, "reason": "over"})
    world.run_until_idle()


def test_an_update_to_other_types_changes_what_a_job_can_have(world: World) -> None:
    make(world)
    requirements = {"instanceRequirements": {"allowedInstanceTypes": ["m5.large"]}}
    change = {"instanceLaunchTemplate": requirements}
    update_managed(world, computeResources={"managedInstancesProvider": change})
    assert status(world) == "VALID"
    row = world.ports.catalog.find(COMPUTE_ENVIRONMENT, NAME)
    assert row is not None
    largest = TaskSize(cpu_units=2048, memory_mib=8192, architecture="x86_64")
    assert ComputeEnvironment.from_resource(row).holds == (largest,)
    runs = [run.name for run in world.machines.ended if run.name.startswith("make-")]
    assert len(runs) == 2, "what provisioning writes into the row starts no other execution"
