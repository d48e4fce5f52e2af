"""The operations on compute environments."""

from typing import Any

import pytest

from tests.support.scenes import make_environment, make_queue
from tests.support.world import ApiError, World

ARN = "arn:aws:batch:us-east-1:123456789012:compute-environment/fargate"


def described(world: World, name: str = "fargate") -> dict[str, Any] | None:
    found = world.api("DescribeComputeEnvironments", {"computeEnvironments": [name]})
    members: list[dict[str, Any]] = found["computeEnvironments"]
    return members[0] if members else None


def update(world: World, **members: Any) -> None:
    world.api("UpdateComputeEnvironment", {"computeEnvironment": "fargate"} | members)


def delete(world: World, name: str = "fargate") -> None:
    world.api("DeleteComputeEnvironment", {"computeEnvironment": name})


def test_an_environment_becomes_valid_with_a_cluster_of_its_own(world: World) -> None:
    request = {
        "computeEnvironmentName": "fargate",
        "type": "MANAGED",
        "computeResources": {
            "type": "FARGATE_SPOT",
            "maxvCpus": 16,
            "subnets": ["subnet-1"],
            "securityGroupIds": ["sg-1"],
        },
        "tags": {"team": "a"},
    }
    answered = world.api("CreateComputeEnvironment", request)
    assert answered == {"computeEnvironmentName": "fargate", "computeEnvironmentArn": ARN}
    making = described(world)
    assert making is not None
    assert making["status"] == "CREATING"
    world.run_until_idle()
    made = described(world)
    assert made is not None
    assert (made["status"], made["state"]) == ("VALID", "ENABLED")
    assert made["statusReason"] == "ComputeEnvironment Healthy"
    assert made["containerOrchestrationType"] == "ECS"
    assert made["computeResources"] == request["computeResources"]
    assert (made["tags"], made["type"]) == ({"team": "a"}, "MANAGED")
    cluster = made["ecsClusterArn"].rpartition("/")[2]
    assert world.ecs.clusters[cluster]["providers"] == ["FARGATE_SPOT"]


def test_an_unmanaged_environment_gets_a_cluster_without_providers(world: World) -> None:
    role = "arn:aws:iam::123456789012:role/batch"
    world.api(
        "CreateComputeEnvironment",
        {"computeEnvironmentName": "own", "type": "UNMANAGED", "serviceRole": role},
    )
    world.run_until_idle()
    made = described(world, "own")
    assert made is not None
    assert (made["status"], made["type"]) == ("VALID", "UNMANAGED")
    assert world.ecs.clusters[made["ecsClusterArn"].rpartition("/")[2]]["providers"] == []


FARGATE = {
    "type": "FARGATE",
    "maxvCpus": 1,
    "subnets": ["subnet-1"],
    "securityGroupIds": ["sg-1"],
}
SERVICE_LINKED = (
    "arn:aws:iam::123456789012:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch"
)


@pytest.mark.parametrize("members", [{}, {"serviceRole": ""}])
def test_an_environment_without_a_role_shows_the_service_linked_one(
    world: World, members: dict[str, Any]
) -> None:
    request = {"computeEnvironmentName": "fargate", "type": "MANAGED", "computeResources": FARGATE}
    world.api("CreateComputeEnvironment", request | members)
    world.run_until_idle()
    made = described(world)
    assert made is not None
    assert made["serviceRole"] == SERVICE_LINKED
    update(world, serviceRole="", state="DISABLED")
    world.run_until_idle()
    updated = described(world)
    assert updated is not None
    assert (updated["serviceRole"], updated["state"]) == (SERVICE_LINKED, "DISABLED")
    with pytest.raises(ApiError, match="can not be changed from a service-linked role"):
        update(world, serviceRole="own")


def test_what_is_empty_in_an_environment_counts_as_absent(world: World) -> None:
    empties = {"tags": {}, "instanceTypes": [], "instanceRole": "", "ec2KeyPair": ""}
    world.api(
        "CreateComputeEnvironment",
        {
            "computeEnvironmentName": "fargate",
            "type": "MANAGED",
            "state": "",
            "computeResources": FARGATE | empties,
            "tags": {},
        },
    )
    world.run_until_idle()
    made = described(world)
    assert made is not None
    assert (made["computeResources"], made["tags"]) == (FARGATE, {})
    update(world, computeResources={"subnets": [], "maxvCpus": 0})
    world.run_until_idle()
    updated = described(world)
    assert updated is not None
    assert updated["computeResources"] == FARGATE | {"maxvCpus": 0}


@pytest.mark.parametrize(
    "members", [{}, {"serviceRole": "", "state": ""}, {"computeResources": {"subnets": []}}]
)
def test_an_update_that_changes_nothing_is_refused(world: World, members: dict[str, Any]) -> None:
    make_environment(world)
    with pytest.raises(ApiError) as caught:
        update(world, **members)
    assert caught.value.message == (
        "One of [state | compute-resources | service-role | unmanaged-vcpus] is required."
    )
    made = described(world)
    assert made is not None
    assert made["status"] == "VALID"


def test_a_name_is_taken_once(world: World) -> None:
    make_environment(world)
    with pytest.raises(ApiError, match="Object already exists"):
        make_environment(world)


def test_an_environment_is_known_by_its_arn_too(world: World) -> None:
    make_environment(world)
    assert described(world, ARN) == described(world)


def test_missing_environments_are_left_out(world: World) -> None:
    assert described(world, "nobody") is None
    assert described(world, ARN.replace("us-east-1", "eu-west-1")) is None


def test_environments_are_listed_in_pages(world: World) -> None:
    for name in ("c", "a", "b"):
        make_environment(world, name)
    first = world.api("DescribeComputeEnvironments", {"maxResults": 2})
    second = world.api(
        "DescribeComputeEnvironments", {"maxResults": 2, "nextToken": first["nextToken"]}
    )
    pages = [first["computeEnvironments"], second["computeEnvironments"]]
    names = [[one["computeEnvironmentName"] for one in page] for page in pages]
    assert names == [["a", "b"], ["c"]]
    assert "nextToken" not in second
    everything = world.api("DescribeComputeEnvironments", {"nextToken": ""})
    assert len(everything["computeEnvironments"]) == 3


def test_a_token_of_somebody_else_is_refused(world: World) -> None:
    with pytest.raises(ApiError, match="nextToken is not valid"):
        world.api("DescribeComputeEnvironments", {"nextToken": "e30="})


def test_an_update_changes_what_it_names_and_keeps_the_rest(world: World) -> None:
    make_environment(world)
    before = described(world)
    update(world, computeResources={"maxvCpus": 64})
    updating = described(world)
    assert updating is not None
    assert updating["status"] == "UPDATING"
    world.run_until_idle()
    after = described(world)
    assert before is not None
    assert after is not None
    assert (after["status"], after["computeResources"]["maxvCpus"]) == ("VALID", 64)
    assert {**before["computeResources"], "maxvCpus": 64} == after["computeResources"]
    assert after["uuid"] == before["uuid"]


def test_an_environment_that_is_being_modified_is_left_alone(world: World) -> None:
    make_environment(world)
    update(world, state="DISABLED")
    with pytest.raises(ApiError, match="resource is being modified"):
        update(world, state="ENABLED")
    with pytest.raises(ApiError, match=r"Cannot delete, resource is being modified\."):
        delete(world)
    world.run_until_idle()


def test_an_update_of_a_missing_environment_is_refused(world: World) -> None:
    with pytest.raises(ApiError, match=r"400 ClientException: fargate does not exist\.$"):
        update(world, state="DISABLED")


def test_an_environment_goes_only_when_disabled_and_in_no_queue(world: World) -> None:
    make_environment(world)
    make_queue(world)
    with pytest.raises(ApiError, match="found existing JobQueue relationship"):
        delete(world)
    world.api("UpdateJobQueue", {"jobQueue": "queue", "state": "DISABLED"})
    world.api("DeleteJobQueue", {"jobQueue": "queue"})
    world.run_until_idle()
    with pytest.raises(ApiError, match="must be DISABLED"):
        delete(world)
    update(world, state="DISABLED")
    world.run_until_idle()
    delete(world, ARN)
    going = described(world)
    assert going is not None
    assert going["status"] == "DELETING"
    delete(world)
    world.run_until_idle()
    assert described(world) is None
    assert world.ecs.clusters == {}


def test_deleting_a_missing_environment_succeeds(world: World) -> None:
    delete(world, "nobody")
