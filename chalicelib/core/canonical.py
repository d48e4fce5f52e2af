"""The form in which AWS Batch answers a payload: lists and defaults that it adds to what was given.

Clients compare what is described with what they registered, so nothing that was given is dropped,
but for variables without a value, which AWS ignores. Definitions are stored in this form; a job's
document leaves out what is empty, and gets it back here when it is described.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.core.resources.platforms import Platform

LATEST_PLATFORM = "LATEST"

Json = dict[str, Any]

# The lists that AWS shows as empty when a container does not have them.
_CONTAINER_LISTS = (
    "command",
    "environment",
    "mountPoints",
    "resourceRequirements",
    "secrets",
    "ulimits",
)
_POD_CONTAINER_LISTS = ("args", "command", "env", "volumeMounts")
_POD_LISTS = ("imagePullSecrets", "initContainers", "volumes")


def canonical_container(container: Mapping[str, Any], platform: Platform) -> Json:
    """Return `containerProperties`, or the `container` of a node range, in AWS's form."""
    shown: Json = {"volumes": [], **_shared(container)}
    if platform is Platform.FARGATE:
        wanted = shown.get("fargatePlatformConfiguration", {})
        shown["fargatePlatformConfiguration"] = {"platformVersion": LATEST_PLATFORM, **wanted}
    return shown


def canonical_task(properties: Mapping[str, Any], platform: Platform) -> Json:
    """Return `ecsProperties` in AWS's form."""
    defaults = {"platformVersion": LATEST_PLATFORM} if platform is Platform.FARGATE else {}
    return {
        **properties,
        "taskProperties": [
            {
                "volumes": [],
                **defaults,
                **task,
                "containers": [
                    {"dependsOn": [], "essential": True, **_shared(container)}
                    for container in task["containers"]
                ],
            }
            for task in properties["taskProperties"]
        ],
    }


def canonical_nodes(properties: Mapping[str, Any]) -> Json:
    """Return `nodeProperties` in AWS's form; nodes run on EC2."""
    ranges = [_canonical_range(one) for one in properties["nodeRangeProperties"]]
    return {**properties, "nodeRangeProperties": ranges}


def canonical_pod(properties: Mapping[str, Any]) -> Json:
    """Return `eksProperties` in AWS's form, as far as its lists go."""
    if "podProperties" not in properties:
        return dict(properties)
    pod: Json = {**_empty(_POD_LISTS), **properties["podProperties"]}
    for name in ("containers", "initContainers"):
        pod[name] = [{**_empty(_POD_CONTAINER_LISTS), **one} for one in pod.get(name, [])]
    return {**properties, "podProperties": pod}


def with_value(environment: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the variables that have a value, an empty one included; AWS ignores the others."""
    return [variable for variable in environment if variable.get("value") is not None]


def _canonical_range(node_range: Mapping[str, Any]) -> Json:
    shown = dict(node_range)
    if "container" in shown:
        shown["container"] = canonical_container(shown["container"], Platform.EC2)
    if "ecsProperties" in shown:
        shown["ecsProperties"] = canonical_task(shown["ecsProperties"], Platform.EC2)
    if "eksProperties" in shown:
        shown["eksProperties"] = canonical_pod(shown["eksProperties"])
    return shown


def _shared(container: Mapping[str, Any]) -> Json:
    """Return what every container of ECS has in common, in AWS's form."""
    shown: Json = {**_empty(_CONTAINER_LISTS), **container}
    shown["environment"] = with_value(shown["environment"])
    if "linuxParameters" in shown:
        shown["linuxParameters"] = _linux_parameters(shown["linuxParameters"])
    if "logConfiguration" in shown:
        shown["logConfiguration"] = {
            "options": {},
            "secretOptions": [],
            **shown["logConfiguration"],
        }
    if "firelensConfiguration" in shown:
        shown["firelensConfiguration"] = {"options": {}, **shown["firelensConfiguration"]}
    return shown


def _linux_parameters(given: Mapping[str, Any]) -> Json:
    return {
        **given,
        "devices": [{"permissions": [], **device} for device in given.get("devices", [])],
        "tmpfs": [{"mountOptions": [], **mount} for mount in given.get("tmpfs", [])],
    }


def _empty(names: Sequence[str]) -> Json:
    return {name: [] for name in names}
