"""What task definitions, requirements and user data mean for the fleet."""

import base64
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

import pytest

from batchyard.cloud.fleet import documents
from batchyard.cloud.fleet.packing import TaskNeed


def container(name: str = "main", **members: Any) -> dict[str, Any]:
    return {"name": name, "image": "i", **members}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_a_task_needs_its_own_size_or_else_that_of_its_containers() -> None:
    whole = {
        "cpu": "2 vCPU",
        "memory": "4 GB",
        "containerDefinitions": [container(cpu=1, memory=1)],
    }
    assert documents.need_of(whole, {}) == TaskNeed(cpu_units=2048, memory_mib=4096)
    parts = [container("a", cpu=256, memory=512), container("b", cpu=256, memoryReservation=100)]
    assert documents.need_of({"containerDefinitions": parts}, {}) == TaskNeed(
        cpu_units=512, memory_mib=612
    )


def test_overrides_change_what_a_task_needs() -> None:
    gpus = [{"type": "GPU", "value": "2"}]
    definition = {"containerDefinitions": [container(cpu=1024, memory=512)]}
    override = {"name": "main", "cpu": 2048, "memory": 1024, "resourceRequirements": gpus}
    need = documents.need_of(definition, {"containerOverrides": [override]})
    assert need == TaskNeed(cpu_units=2048, memory_mib=1024, gpus=2)


def test_a_platform_names_the_architecture() -> None:
    definition = {
        "containerDefinitions": [container(cpu=1, memory=4)],
        "runtimePlatform": {"cpuArchitecture": "ARM64"},
    }
    assert documents.need_of(definition, {}).architecture == "arm64"


@pytest.mark.parametrize(
    ("requirements", "some", "none"),
    [
        ({}, "m6i.large", "m6i.metal"),
        ({"bareMetal": "required"}, "m6i.metal", "m6i.large"),
        ({"allowedInstanceTypes": ["c6g.*"]}, "c6g.large", "c6i.large"),
        ({"excludedInstanceTypes": ["c6i.*"]}, "c6g.large", "c6i.large"),
        ({"vCpuCount": {"min": 4, "max": 4}}, "m6i.xlarge", "m6i.large"),
        ({"memoryMiB": {"min": 10000}}, "m6i.xlarge", "m6i.large"),
        ({"acceleratorTypes": ["gpu"]}, "g5.xlarge", "m6i.xlarge"),
        ({"AcceleratorCount": {"Max": "0"}}, "m6i.xlarge", "g5.xlarge"),
        ({"burstablePerformance": "included"}, "t3.large", "m6i.metal"),
        ({"acceleratorNames": ["a10g"]}, "g5.xlarge", "g6.xlarge"),
    ],
)
def test_requirements_choose_types(requirements: dict[str, Any], some: str, none: str) -> None:
    found = {one.name for one in documents.types_that_meet(requirements)}
    assert some in found
    assert none not in found


def test_a_group_launches_in_the_order_of_its_strategy() -> None:
    overrides = [{"InstanceType": name} for name in ("m6i.xlarge", "m6i.large", "no.such")]
    prioritized = documents.group_types(overrides, None, "prioritized")
    assert [one.name for one in prioritized] == ["m6i.xlarge", "m6i.large"]
    cheapest = documents.group_types(overrides, None, "lowest-price")
    assert [one.name for one in cheapest] == ["m6i.large", "m6i.xlarge"]
    assert [one.name for one in documents.group_types([], "c6i.large", "")] == ["c6i.large"]


def test_user_data_names_the_cluster_that_an_instance_joins() -> None:
    script = "#!/bin/bash\necho ECS_CLUSTER=batchyard_a >> /etc/ecs/ecs.config\n"
    assert documents.cluster_of_user_data(encoded(script)) == "batchyard_a"
    archive = MIMEMultipart()
    archive.attach(MIMEText("#!/bin/bash\necho ECS_CLUSTER=theirs >> /etc/ecs/ecs.config\n", "x"))
    archive.attach(MIMEText(script, "x-shellscript", "utf-8"))
    assert documents.cluster_of_user_data(encoded(archive.as_string())) == "batchyard_a"
    assert documents.cluster_of_user_data(encoded("#!/bin/bash\n# ECS_CLUSTER=a\n")) is None
    assert documents.cluster_of_user_data("") is None
