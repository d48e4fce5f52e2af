"""The cluster of an environment: the calls that make and change it, and what is waited for."""

from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.core.resources.resource import COMPUTE_ENVIRONMENT
from chalicelib.engine.provision.steps import run_step
from tests.support.clients import client_error
from tests.support.multinode import make_multinode_stage
from tests.support.scenes import (
    cluster_of,
    finish,
    make_definition,
    make_environment,
    make_queue,
    submit,
)
from tests.support.world import World

INSIGHTS = {"ecsSettings": {"containerInsights": "ENABLED"}}
MAKING = ("ecs.CreateCluster", "ecs.DescribeClusters", "ecs.UpdateClusterSettings")


def described(world: World, name: str = "fargate") -> dict[str, Any]:
    (found,) = world.api("DescribeComputeEnvironments", {"computeEnvironments": [name]})[
        "computeEnvironments"
    ]
    environment: dict[str, Any] = found
    return environment


def status(world: World, name: str = "fargate") -> str:
    return str(described(world, name)["status"])


def update(world: World, **members: Any) -> None:
    world.api("UpdateComputeEnvironment", {"computeEnvironment": "fargate"} | members)
    world.run_until_idle()


def ecs_calls(world: World) -> list[str]:
    return [call.removeprefix("ecs.") for call in world.calls if call.startswith("ecs.")]


class Refusals:
    """A hook of a World that answers the first `times` of these calls with the error."""

    def __init__(self, call: str, error: Exception, *, times: int) -> None:
        self._call, self._error, self.left = call, error, times

    def __call__(self, made: str) -> None:
        if made == self._call and self.left:
            self.left -= 1
            raise self._error


def test_a_new_environment_is_one_creation_with_all_that_it_asks_for(world: World) -> None:
    make_environment(world)
    assert ecs_calls(world) == ["DescribeClusters", "CreateCluster", "DescribeClusters"]


def test_an_update_that_does_not_concern_the_cluster_only_looks_at_it(world: World) -> None:
    make_environment(world)
    world.calls.clear()
    update(world, computeResources={"maxvCpus": 99})
    assert (status(world), ecs_calls(world)) == ("VALID", ["DescribeClusters"])


@pytest.mark.parametrize("cause", ["settings", "tags"])
def test_a_cluster_that_differs_is_changed_in_that_alone(world: World, cause: str) -> None:
    make_environment(world)
    cluster = world.ecs.clusters[cluster_of(world, "fargate")]
    wanted = list(cluster[cause])
    if cause == "settings":
        cluster["settings"] = [{"name": "containerInsights", "value": "enabled"}]
        call = "UpdateClusterSettings"
    else:
        arn = described(world)["computeEnvironmentArn"]
        world.api("TagResource", {"resourceArn": arn, "tags": {"team": "blue"}})
        wanted = [{"key": "team", "value": "blue"}]
        call = "TagResource"
    world.calls.clear()
    update(world, state="DISABLED")
    assert ecs_calls(world) == ["DescribeClusters", call]
    assert (status(world), cluster[cause]) == ("VALID", wanted)


def test_an_environment_is_valid_once_its_capacity_providers_are_attached(world: World) -> None:
    world.ecs.attach_seconds = 40
    make_environment(world)
    assert status(world) == "CREATING"
    world.advance(60)
    assert status(world) == "VALID"
    make_queue(world)
    make_definition(world)
    job_id = submit(world)
    world.run_until_idle()
    world.ecs.start(world.task_of(job_id))
    finish(world, job_id)
    assert world.detail(job_id)["status"] == "SUCCEEDED"


def test_an_update_waits_until_an_earlier_one_of_the_cluster_is_done(world: World) -> None:
    make_environment(world)
    cluster = world.ecs.clusters[cluster_of(world, "fargate")]
    cluster["providers"], cluster["attached_at_ms"] = [], world.now_ms + 30_000
    update(world, state="DISABLED")
    assert (status(world), cluster["providers"]) == ("UPDATING", [])
    world.advance(60)
    assert (status(world), cluster["providers"]) == ("VALID", ["FARGATE"])


def test_capacity_providers_that_are_attached_for_an_hour_do_not_make_it_invalid(
    world: World,
) -> None:
    world.ecs.attach_seconds = 3600
    make_environment(world)
    world.advance(600)
    assert status(world) == "CREATING"
    assert described(world)["statusReason"] == (
        f"Waiting, and trying again: ECS is still changing the cluster "
        f"{cluster_of(world, 'fargate')}"
    )
    world.advance(3600)
    assert (status(world), described(world)["statusReason"]) == (
        "VALID",
        "ComputeEnvironment Healthy",
    )


def test_capacity_providers_that_cannot_be_attached_make_it_invalid(world: World) -> None:
    world.ecs.attach_seconds, world.ecs.attachments_fail = 1, True
    make_environment(world)
    world.advance(600)
    assert status(world) == "INVALID"
    assert "could not attach FARGATE" in described(world)["statusReason"]

    world.ecs.attachments_fail = False
    update(world, state="DISABLED")
    world.advance(60)
    assert status(world) == "VALID"


PASSING = [
    ("CreateCluster", "ThrottlingException", "Rate exceeded"),
    ("CreateCluster", "InvalidParameterException", "Unable to assume the service linked role."),
    ("DescribeClusters", "ServerException", "Service Unavailable"),
]


@pytest.mark.parametrize(("call", "code", "text"), PASSING)
def test_what_passes_by_itself_delays_an_environment_however_long_it_takes(
    world: World, call: str, code: str, text: str
) -> None:
    world.on_call = refusals = Refusals(f"ecs.{call}", client_error(code, text, call), times=30)
    make_environment(world)
    world.advance(200)
    assert status(world) == "CREATING"
    assert text in described(world)["statusReason"]
    world.advance(1800)
    assert (status(world), refusals.left) == ("VALID", 0)


def test_an_update_of_the_providers_that_is_under_way_delays_an_update(world: World) -> None:
    make_environment(world)
    world.ecs.clusters[cluster_of(world, "fargate")]["providers"] = []
    busy = client_error("UpdateInProgressException", "busy", "PutClusterCapacityProviders")
    world.on_call = refusals = Refusals("ecs.PutClusterCapacityProviders", busy, times=20)
    update(world, state="DISABLED")
    world.advance(1800)
    assert (status(world), refusals.left) == ("VALID", 0)


def test_a_cluster_that_describe_does_not_show_yet_is_not_created_otherwise(world: World) -> None:
    """DescribeClusters may be behind: the second creation, with other tags, is refused."""
    make_environment(world)
    arn = described(world)["computeEnvironmentArn"]
    world.api("TagResource", {"resourceArn": arn, "tags": {"team": "blue"}})
    name = cluster_of(world, "fargate")
    hidden = world.ecs.clusters[name]
    answer = world.ecs.do_describe_clusters
    world.ecs.do_describe_clusters = lambda params: {"clusters": []}  # type: ignore[method-assign]
    update(world, state="DISABLED")
    world.ecs.do_describe_clusters = answer  # type: ignore[method-assign]
    assert status(world) == "UPDATING"
    world.advance(60)
    assert (status(world), world.ecs.clusters[name]) == ("VALID", hidden)
    assert hidden["tags"] == [{"key": "team", "value": "blue"}]


def test_dynamodb_that_throttles_does_not_make_an_environment_invalid(world: World) -> None:
    world.api(
        "CreateComputeEnvironment",
        {
            "computeEnvironmentName": "fargate",
            "type": "MANAGED",
            "computeResources": {
                "type": "FARGATE",
                "maxvCpus": 4,
                "subnets": ["subnet-1"],
                "securityGroupIds": ["sg-1"],
            },
        },
    )
    throttled = client_error("ThrottlingException", "Rate exceeded", "UpdateItem")
    world.on_call = refusals = Refusals("dynamodb.UpdateItem", throttled, times=12)
    world.run_until_idle()
    world.advance(1800)
    assert (status(world), refusals.left) == ("VALID", 0)


def test_the_capacity_providers_of_an_unmanaged_cluster_are_its_owners(world: World) -> None:
    make_multinode_stage(world)
    cluster = world.ecs.clusters[cluster_of(world, "metal")]
    own = [{"capacityProvider": "own-group", "weight": 1}]
    cluster["providers"], cluster["default"] = ["own-group"], own
    world.api("UpdateComputeEnvironment", {"computeEnvironment": "metal", "state": "DISABLED"})
    world.run_until_idle()
    assert status(world, "metal") == "VALID"
    assert (cluster["providers"], cluster["default"]) == (["own-group"], own)


def unmanaged(world: World, *, default: list[dict[str, Any]]) -> dict[str, Any]:
    """Make an UNMANAGED environment to whose cluster the owner attaches a capacity provider."""
    members = {"type": "UNMANAGED", "serviceRole": "arn:aws:iam::123456789012:role/batch"}
    world.api("CreateComputeEnvironment", {"computeEnvironmentName": "metal"} | members)
    world.run_until_idle()
    cluster: dict[str, Any] = world.ecs.clusters[cluster_of(world, "metal")]
    assert (status(world, "metal"), cluster["providers"]) == ("VALID", [])
    cluster["providers"], cluster["default"] = ["own-group"], default
    return cluster


@pytest.mark.parametrize("default", [[{"capacityProvider": "own-group", "weight": 1}], []])
def test_jobs_of_an_unmanaged_environment_run_by_the_default_strategy_of_its_cluster(
    world: World, default: list[dict[str, Any]]
) -> None:
    """Or, without one, on the instances that are registered in the cluster."""
    unmanaged(world, default=default)
    world.ecs.has_instances = not default
    make_queue(world, environments=("metal",))
    make_definition(world, platformCapabilities=["EC2"])
    job_id = submit(world)
    world.run_until_idle()
    task = world.task_of(job_id)
    assert not task.request.keys() & {"launchType", "capacityProviderStrategy"}
    world.ecs.start(task)
    finish(world, job_id)
    assert world.detail(job_id)["status"] == "SUCCEEDED"


def test_a_deleted_unmanaged_environment_takes_no_provider_of_its_owner_along(world: World) -> None:
    unmanaged(world, default=[])
    world.api("UpdateComputeEnvironment", {"computeEnvironment": "metal", "state": "DISABLED"})
    world.run_until_idle()
    world.calls.clear()
    world.api("DeleteComputeEnvironment", {"computeEnvironment": "metal"})
    world.run_until_idle()
    assert ecs_calls(world) == ["DeleteCluster"]
    assert world.ecs.clusters == {}


def test_an_environment_that_waited_for_half_a_day_is_invalid_and_says_for_what(
    world: World,
) -> None:
    world.ecs.attach_seconds = 24 * 3600
    make_environment(world)
    world.advance(11 * 3600)
    assert status(world) == "CREATING"
    world.advance(2 * 3600)
    assert status(world) == "INVALID"
    assert "ECS is still changing the cluster" in described(world)["statusReason"]
    world.advance(12 * 3600)
    update(world, state="DISABLED")
    assert status(world) == "VALID"


def test_the_pauses_get_longer_so_that_an_execution_can_wait_for_days(world: World) -> None:
    make_environment(world)
    policy = {"jobExecutionTimeoutMinutes": 7200}
    row = world.ports.catalog.find(COMPUTE_ENVIRONMENT, "fargate")
    assert row is not None
    changed = row.changed(document={**row.document, "updatePolicy": policy})
    assert world.ports.catalog.put(changed, replacing=row)
    seconds = []
    for hours in (0, 1, 2, 10, 131, 133):
        since = datetime.fromtimestamp(world.now_ms / 1000 - hours * 3600, UTC).isoformat()
        asked = {"step": "postpone", "kind": COMPUTE_ENVIRONMENT, "name": "fargate"}
        answer = run_step({**asked, "cause": "busy", "since": since}, world.ports)
        seconds.append((answer["decision"], answer["seconds"]))
    world.run_until_idle()
    assert seconds == [
        ("WAIT", 120),
        ("WAIT", 360),
        ("WAIT", 720),
        ("WAIT", 1800),
        ("WAIT", 1800),
        ("GIVE_UP", 1800),
    ]


def test_a_paused_removal_leaves_a_new_environment_of_the_same_name_alone(world: World) -> None:
    make_environment(world)
    update(world, state="DISABLED")
    throttled = client_error("ThrottlingException", "Rate exceeded", "DeleteCluster")
    world.on_call = Refusals("ecs.DeleteCluster", throttled, times=9)
    world.api("DeleteComputeEnvironment", {"computeEnvironment": "fargate"})
    world.advance(120)
    row = world.ports.catalog.find(COMPUTE_ENVIRONMENT, "fargate")
    assert row is not None
    assert world.ports.catalog.remove(row), "another execution has removed it meanwhile"
    world.on_call = None
    make_environment(world)
    world.advance(1800)
    assert (status(world), list(world.ecs.clusters)) == ("VALID", [cluster_of(world, "fargate")])
