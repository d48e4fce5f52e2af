"""Tasks of several containers: names, dependencies, modes, and their total size."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.core.errors import ClientError
from chalicelib.core.validation.job_definition import validate_register
from tests.unit.core.validation.definitions import sidecar, task

SMALL = [{"type": "VCPU", "value": "0.125"}, {"type": "MEMORY", "value": "256"}]


def refusal(request: dict[str, Any]) -> str:
    with pytest.raises(ClientError) as caught:
        validate_register(request)
    return caught.value.message


def helped_by(name: str, condition: str) -> list[dict[str, Any]]:
    """Return a main container that depends on a helper."""
    dependency = {"containerName": name, "condition": condition}
    return [sidecar(dependsOn=[dependency]), sidecar(name="helper", essential=False)]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"containers": []}, "Number of containers must be between 1 and 10"),
        (
            {"containers": [sidecar(name=str(n)) for n in range(11)]},
            "Number of containers must be between 1 and 10",
        ),
        ({"containers": [sidecar(), sidecar()]}, "Container names must be unique"),
        ({"containers": [sidecar(), sidecar(name=None)]}, "Container name is required."),
        (
            {"containers": [sidecar(essential=False)]},
            "At least one container must be set as essential",
        ),
        (
            {"containers": helped_by("nobody", "START")},
            "containerName nobody must reference a defined container.",
        ),
        (
            {"containers": helped_by("helper", "LATER")},
            "TaskContainer dependency LATER is not valid. "
            "Valid values are: [START, COMPLETE, SUCCESS]",
        ),
        (
            {
                "containers": [
                    sidecar(dependsOn=[{"containerName": "helper", "condition": "SUCCESS"}]),
                    sidecar(name="helper"),
                ]
            },
            "The container target of a dependency can not have condition SUCCESS "
            "if the target container helper is essential.",
        ),
        (
            {"containers": helped_by("main", "START")[:1]},
            "Container dependency can not be used in a single-container job.",
        ),
        (
            {
                "containers": [
                    sidecar(dependsOn=[{"containerName": "helper", "condition": "START"}]),
                    sidecar(
                        name="helper", dependsOn=[{"containerName": "main", "condition": "START"}]
                    ),
                ]
            },
            "Container dependencies must not form a cycle.",
        ),
        (
            {"containers": [sidecar(firelensConfiguration={"type": "fluentbit"})]},
            "When a firelensConfiguration object is specified, at least one container has to be "
            "configured with the awsfirelens log driver",
        ),
        (
            {"ipcMode": "shared"},
            "ipcMode shared is not valid. Valid values are: [host, task, none]",
        ),
        ({"pidMode": "none"}, "Capability none is not valid. Valid capabilities: [host, task]"),
        ({"networkMode": "host"}, "networkMode is not applicable for EC2."),
        ({"platformVersion": "1.4.0"}, "platformVersion not applicable for EC2."),
        (
            {"containers": [sidecar(secrets=[{"name": "a", "valueFrom": "b"}])]}
            | {"executionRoleArn": None},
            "executionRoleArn cannot be empty when using secrets or secretOptions",
        ),
    ],
)
def test_a_wrong_task_is_refused(change: dict[str, Any], sentence: str) -> None:
    assert refusal(task(**change)) == sentence


def test_a_helper_may_be_waited_for() -> None:
    for condition in ("START", "COMPLETE", "SUCCESS"):
        validate_register(task(containers=helped_by("helper", condition)))


def test_there_is_exactly_one_task() -> None:
    request = task()
    request["ecsProperties"] = {"taskProperties": request["ecsProperties"]["taskProperties"] * 2}
    assert refusal(request) == "Exactly 1 taskProperties element must be provided."


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"executionRoleArn": None}, "executionRoleArn is required for Fargate jobs."),
        ({"ipcMode": "task"}, "ipcMode is not applicable for Fargate."),
        (
            {"containers": [sidecar(stopTimeout=121)]},
            "stopTimeout must be between 2 and 120 seconds, got 121.",
        ),
        (
            {"containers": [sidecar(), sidecar(name="b", resourceRequirements=SMALL)]},
            "Fargate resource requirements (1.12 vCPU) not valid.",
        ),
    ],
)
def test_what_fargate_cannot_do_is_refused(change: dict[str, Any], sentence: str) -> None:
    assert refusal(task("FARGATE", **change)) == sentence


def test_on_fargate_the_containers_are_measured_together() -> None:
    containers = [sidecar(name=name, resourceRequirements=SMALL) for name in ("a", "b")]
    validate_register(task("FARGATE", containers=containers))


def test_managed_instances_know_one_network_mode_and_no_windows() -> None:
    assert refusal(task("MANAGED_INSTANCES", networkMode="bridge")) == (
        "networkMode bridge is not valid. Valid values: [host]"
    )
    windows = {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}
    assert refusal(task("MANAGED_INSTANCES", runtimePlatform=windows)) == (
        "runtimePlatform for MANAGED_INSTANCES only supports LINUX operatingSystemFamily, "
        "provided WINDOWS_SERVER_2022_CORE."
    )
