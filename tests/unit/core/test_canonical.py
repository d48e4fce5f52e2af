"""The form in which AWS Batch answers each kind of payload."""

from typing import Any

import pytest

from chalicelib.core.canonical import (
    canonical_container,
    canonical_nodes,
    canonical_pod,
    canonical_task,
    with_value,
)
from chalicelib.core.resources.platforms import Platform

LISTS: dict[str, Any] = {
    "command": [],
    "environment": [],
    "mountPoints": [],
    "resourceRequirements": [],
    "secrets": [],
    "ulimits": [],
}
LATEST = {"platformVersion": "LATEST"}


def test_a_container_shows_its_empty_lists() -> None:
    assert canonical_container({"image": "i"}, Platform.EC2) == LISTS | {
        "image": "i",
        "volumes": [],
    }


def test_a_container_on_fargate_shows_its_platform_version() -> None:
    shown = canonical_container({"image": "i"}, Platform.FARGATE)
    assert shown["fargatePlatformConfiguration"] == LATEST
    older = {"fargatePlatformConfiguration": {"platformVersion": "1.4.0"}}
    assert canonical_container(older, Platform.FARGATE)["fargatePlatformConfiguration"] == (
        {"platformVersion": "1.4.0"}
    )


def test_false_and_zero_stay() -> None:
    given = {
        "privileged": False,
        "readonlyRootFilesystem": False,
        "linuxParameters": {"maxSwap": 0},
    }
    shown = canonical_container(given, Platform.EC2)
    assert (shown["privileged"], shown["readonlyRootFilesystem"]) == (False, False)
    assert shown["linuxParameters"] == {"maxSwap": 0, "devices": [], "tmpfs": []}


def test_what_has_parts_shows_their_empty_lists() -> None:
    given = {
        "linuxParameters": {
            "devices": [{"hostPath": "/dev/a"}],
            "tmpfs": [{"containerPath": "/t", "size": 1}],
        },
        "logConfiguration": {"logDriver": "awslogs"},
    }
    shown = canonical_container(given, Platform.EC2)
    assert shown["linuxParameters"] == {
        "devices": [{"hostPath": "/dev/a", "permissions": []}],
        "tmpfs": [{"containerPath": "/t", "size": 1, "mountOptions": []}],
    }
    assert shown["logConfiguration"] == {
        "logDriver": "awslogs",
        "options": {},
        "secretOptions": [],
    }


@pytest.mark.parametrize(
    ("platform", "version"),
    [(Platform.EC2, {}), (Platform.FARGATE, LATEST), (Platform.MANAGED_INSTANCES, {})],
)
def test_a_task_shows_its_lists_and_defaults(platform: Platform, version: dict[str, Any]) -> None:
    container = {
        "name": "main",
        "image": "i",
        "command": ["true"],
        "resourceRequirements": [{"type": "VCPU", "value": "1"}],
    }
    helper = {"name": "helper", "image": "i", "essential": False, "dependsOn": [{"a": "b"}]}
    shown = canonical_task({"taskProperties": [{"containers": [container, helper]}]}, platform)
    defaults = LISTS | {"dependsOn": [], "essential": True}
    assert shown == {
        "taskProperties": [
            {"volumes": [], "containers": [defaults | container, defaults | helper]} | version
        ]
    }


def test_each_node_range_has_the_form_of_its_payload_on_ec2() -> None:
    ecs = {"taskProperties": [{"containers": [{"image": "i"}]}]}
    ranges = [
        {"targetNodes": "0", "container": {"image": "i"}},
        {"targetNodes": "1", "ecsProperties": ecs},
        {"targetNodes": "2", "eksProperties": {"podProperties": {"containers": []}}},
    ]
    shown = canonical_nodes({"numNodes": 3, "mainNode": 0, "nodeRangeProperties": ranges})
    first, second, third = shown["nodeRangeProperties"]
    assert first["container"] == canonical_container({"image": "i"}, Platform.EC2)
    assert second["ecsProperties"] == canonical_task(ecs, Platform.EC2)
    assert third["eksProperties"]["podProperties"]["volumes"] == []
    assert (shown["numNodes"], shown["mainNode"]) == (3, 0)


def test_a_pod_shows_its_empty_lists() -> None:
    given = {"podProperties": {"containers": [{"image": "i", "args": ["a"]}], "hostNetwork": False}}
    lists: dict[str, Any] = {"args": [], "command": [], "env": [], "volumeMounts": []}
    assert canonical_pod(given) == {
        "podProperties": {
            "containers": [lists | {"image": "i", "args": ["a"]}],
            "hostNetwork": False,
            "imagePullSecrets": [],
            "initContainers": [],
            "volumes": [],
        }
    }
    assert canonical_pod({}) == {}


def test_a_payload_in_this_form_stays_as_it_is() -> None:
    container = canonical_container({"linuxParameters": {}}, Platform.FARGATE)
    assert canonical_container(container, Platform.FARGATE) == container
    task = canonical_task({"taskProperties": [{"containers": [{}]}]}, Platform.FARGATE)
    assert canonical_task(task, Platform.FARGATE) == task
    pod = canonical_pod({"podProperties": {"containers": [{}]}})
    assert canonical_pod(pod) == pod


def test_only_variables_with_a_value_are_set() -> None:
    kept = [{"name": "B", "value": ""}, {"name": "C", "value": "c"}]
    assert with_value([{"name": "A"}, kept[0], {"name": "D", "value": None}, kept[1]]) == kept
