"""The operations on job definitions."""

from typing import Any

import pytest

from tests.support.scenes import make_definition, make_stage, submit
from tests.support.world import ApiError, World

PREFIX = "arn:aws:batch:us-east-1:123456789012:job-definition"
REQUEST: dict[str, Any] = {
    "jobDefinitionName": "work",
    "type": "container",
    "parameters": {"a": "b"},
    "platformCapabilities": ["EC2"],
    "containerProperties": {
        "image": "busybox",
        "command": [],
        "environment": [],
        "mountPoints": [],
        "volumes": [],
        "ulimits": [],
        "secrets": [],
        "privileged": False,
        "resourceRequirements": [
            {"type": "VCPU", "value": "1"},
            {"type": "MEMORY", "value": "64"},
        ],
    },
    "retryStrategy": {"attempts": 2, "evaluateOnExit": []},
    "timeout": {"attemptDurationSeconds": 60},
    "tags": {"k": "v"},
}


def described(world: World, **request: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.api("DescribeJobDefinitions", request)["jobDefinitions"]
    return found


def revisions(found: list[dict[str, Any]]) -> list[str]:
    return [f"{one['jobDefinitionName']}:{one['revision']}" for one in found]


def test_a_definition_is_echoed_as_it_was_registered(world: World) -> None:
    """Clients register again whatever is not described as it was sent, empty lists included."""
    answered = world.api("RegisterJobDefinition", REQUEST)
    assert answered == {
        "jobDefinitionName": "work",
        "jobDefinitionArn": f"{PREFIX}/work:1",
        "revision": 1,
    }
    (found,) = described(world, jobDefinitionName="work")
    for name, value in REQUEST.items():
        assert found[name] == value, name
    assert (found["status"], found["revision"]) == ("ACTIVE", 1)
    assert found["jobDefinitionArn"] == f"{PREFIX}/work:1"
    world.run_until_idle()


def test_each_registration_is_a_revision(world: World) -> None:
    arns = [make_definition(world) for _ in range(11)]
    assert arns[-1] == f"{PREFIX}/work:11"
    assert make_definition(world, "other") == f"{PREFIX}/other:1"
    numbers = [one["revision"] for one in described(world, jobDefinitionName="work")]
    assert numbers == list(range(11, 0, -1))


def test_revisions_come_in_pages(world: World) -> None:
    for _ in range(3):
        make_definition(world)
    request = {"jobDefinitionName": "work", "maxResults": 2}
    first = world.api("DescribeJobDefinitions", request)
    second = world.api("DescribeJobDefinitions", request | {"nextToken": first["nextToken"]})
    assert revisions(first["jobDefinitions"]) == ["work:3", "work:2"]
    assert revisions(second["jobDefinitions"]) == ["work:1"]
    assert "nextToken" not in second


def test_all_definitions_come_in_pages(world: World) -> None:
    for name in ("b", "a", "a"):
        make_definition(world, name)
    first = world.api("DescribeJobDefinitions", {"maxResults": 2})
    second = world.api("DescribeJobDefinitions", {"maxResults": 2, "nextToken": first["nextToken"]})
    found = revisions(first["jobDefinitions"]) + revisions(second["jobDefinitions"])
    assert sorted(found) == ["a:1", "a:2", "b:1"]


def test_definitions_are_found_by_revision_and_by_arn(world: World) -> None:
    for _ in range(2):
        make_definition(world)
    asked = ["work:1", f"{PREFIX}/work:2", "work:9", "nobody:1"]
    assert sorted(revisions(described(world, jobDefinitions=asked))) == ["work:1", "work:2"]


def test_a_definition_is_deregistered_once_and_stays_to_be_seen(world: World) -> None:
    make_definition(world)
    make_definition(world)
    for reference in ("work:1", f"{PREFIX}/work:1"):
        world.api("DeregisterJobDefinition", {"jobDefinition": reference})
    statuses = {one["revision"]: one["status"] for one in described(world)}
    assert statuses == {1: "INACTIVE", 2: "ACTIVE"}
    assert revisions(described(world, status="ACTIVE")) == ["work:2"]
    assert revisions(described(world, jobDefinitionName="work", status="INACTIVE")) == ["work:1"]
    assert make_definition(world) == f"{PREFIX}/work:3"


def test_deregistering_a_missing_revision_succeeds(world: World) -> None:
    world.api("DeregisterJobDefinition", {"jobDefinition": "nobody:1"})


def test_deregistering_needs_a_revision(world: World) -> None:
    with pytest.raises(ApiError, match="revision"):
        world.api("DeregisterJobDefinition", {"jobDefinition": "work"})


@pytest.mark.parametrize(
    "reference", ["work", "work:2", f"{PREFIX}/work", f"{PREFIX}/work:2", "work:00000002"]
)
def test_a_job_takes_the_revision_it_names_or_the_newest_active(
    world: World, reference: str
) -> None:
    make_stage(world)
    make_definition(world)
    make_definition(world)
    world.api("DeregisterJobDefinition", {"jobDefinition": "work:3"})
    job_id = submit(world, jobDefinition=reference)
    assert world.detail(job_id)["jobDefinition"] == f"{PREFIX}/work:2"
    world.run_until_idle()


@pytest.mark.parametrize(
    "reference",
    [
        "nobody",
        "work:2",
        "work:3",
        "work:",
        "work:x",
        "work:123456789",
        f"{PREFIX}/work:2",
        f"{PREFIX}/nobody",
        PREFIX.replace("us-east-1", "eu-west-1") + "/work:1",
        "arn:aws:batch:us-east-1:123456789012:job-queue/work",
    ],
)
def test_what_is_not_there_or_not_active_runs_no_job(world: World, reference: str) -> None:
    make_stage(world)
    make_definition(world)
    world.api("DeregisterJobDefinition", {"jobDefinition": "work:2"})
    with pytest.raises(ApiError, match="does not exist or is not in ACTIVE status"):
        submit(world, jobDefinition=reference)
    world.run_until_idle()


def test_a_job_is_not_affected_when_its_definition_is_deregistered(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    world.api("DeregisterJobDefinition", {"jobDefinition": "work:1"})
    world.run_until_idle()
    assert world.detail(job_id)["status"] == "STARTING"


def test_a_name_is_not_found_by_a_prefix_of_it(world: World) -> None:
    make_definition(world, "work-2")
    make_definition(world, "work")
    assert revisions(described(world, jobDefinitionName="work")) == ["work:1"]


NEEDS = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}]
MAIN = {"name": "main", "image": "busybox", "command": ["true"], "resourceRequirements": NEEDS}
DEFAULTS: dict[str, Any] = {
    "dependsOn": [],
    "environment": [],
    "essential": True,
    "mountPoints": [],
    "secrets": [],
    "ulimits": [],
}


@pytest.mark.parametrize("platform", ["EC2", "FARGATE"])
def test_a_definition_of_several_containers_is_answered_with_its_defaults(
    world: World, platform: str
) -> None:
    task = {"executionRoleArn": "arn:aws:iam::123456789012:role/execution", "containers": [MAIN]}
    request = {
        "jobDefinitionName": "many",
        "type": "container",
        "platformCapabilities": [platform],
        "ecsProperties": {"taskProperties": [task]},
    }
    world.api("RegisterJobDefinition", request)
    (found,) = described(world, jobDefinitionName="many")
    version = {"platformVersion": "LATEST"} if platform == "FARGATE" else {}
    expected = task | {"volumes": [], "containers": [DEFAULTS | MAIN]} | version
    assert found["ecsProperties"] == {"taskProperties": [expected]}
    world.run_until_idle()


def test_a_definition_of_nodes_is_answered_with_its_defaults(world: World) -> None:
    alone = {name: value for name, value in MAIN.items() if name != "name"}
    ranges = [
        {"targetNodes": "0", "container": alone},
        {"targetNodes": "1:", "ecsProperties": {"taskProperties": [{"containers": [MAIN]}]}},
    ]
    properties = {"numNodes": 2, "mainNode": 0, "nodeRangeProperties": ranges}
    world.api(
        "RegisterJobDefinition",
        {"jobDefinitionName": "nodes", "type": "multinode", "nodeProperties": properties},
    )
    (found,) = described(world, jobDefinitionName="nodes")
    first, second = found["nodeProperties"]["nodeRangeProperties"]
    lists: dict[str, Any] = {
        name: [] for name in ("environment", "mountPoints", "secrets", "ulimits", "volumes")
    }
    assert first == {"targetNodes": "0", "container": alone | lists}
    assert second["ecsProperties"]["taskProperties"] == [
        {"volumes": [], "containers": [DEFAULTS | MAIN]}
    ]
    world.run_until_idle()


def test_false_and_zero_members_of_a_definition_are_kept(world: World) -> None:
    zeros: dict[str, Any] = {
        "jobDefinitionName": "zeros",
        "type": "container",
        "schedulingPriority": 0,
        "propagateTags": False,
        "containerProperties": {
            "image": "busybox",
            "resourceRequirements": NEEDS,
            "privileged": False,
            "readonlyRootFilesystem": False,
            "enableExecuteCommand": False,
            "linuxParameters": {"initProcessEnabled": False, "maxSwap": 0, "swappiness": 0},
            "mountPoints": [{"sourceVolume": "v", "containerPath": "/v", "readOnly": False}],
            "volumes": [{"name": "v"}],
            "ulimits": [{"name": "core", "softLimit": 0, "hardLimit": 0}],
        },
    }
    world.api("RegisterJobDefinition", zeros)
    (found,) = described(world, jobDefinitionName="zeros")
    assert (found["schedulingPriority"], found["propagateTags"]) == (0, False)
    for name, value in zeros["containerProperties"].items():
        given = found["containerProperties"][name]
        assert given == (
            value | {"devices": [], "tmpfs": []} if name == "linuxParameters" else value
        )
    world.run_until_idle()


@pytest.mark.parametrize("action", ["EXIT", "exit", "Exit"])
def test_an_action_is_taken_in_any_case_and_answered_in_lower_case(
    world: World, action: str
) -> None:
    rules = [{"onExitCode": "1", "action": action}]
    make_definition(world, retryStrategy={"attempts": 2, "evaluateOnExit": rules})
    (found,) = described(world, jobDefinitionName="work")
    assert found["retryStrategy"]["evaluateOnExit"] == [{"onExitCode": "1", "action": "exit"}]


def test_what_is_empty_in_a_definition_counts_as_absent(world: World) -> None:
    empties = {"executionRoleArn": "", "user": "", "jobRoleArn": "", "volumes": [], "secrets": []}
    container = REQUEST["containerProperties"] | empties
    world.api(
        "RegisterJobDefinition",
        REQUEST | {"containerProperties": container, "platformCapabilities": [], "tags": {}},
    )
    (found,) = described(world, jobDefinitionName="work")
    assert not {"executionRoleArn", "user", "jobRoleArn"} & found["containerProperties"].keys()
    assert found["containerProperties"]["volumes"] == []
    assert found["tags"] == {}
    world.run_until_idle()
