"""Requests to ECS, from a job's payload."""

import json
from dataclasses import replace
from typing import Any

import pytest
from botocore.validate import ParamValidator

from chalicelib.core.ecs_requests import (
    OVERRIDES_LIMIT_CHARACTERS,
    LaunchSettings,
    container_overrides,
    log_stream_of,
    overrides_fit,
    run_task,
    task_definition,
    variant_of,
)
from chalicelib.core.resources.compute_types import unmanaged
from chalicelib.core.resources.compute_types.compute_type import ComputeType, Target
from chalicelib.core.resources.compute_types.fargate import FARGATE, FARGATE_SPOT
from chalicelib.core.states import JobStatus
from tests.support.clients import service_model
from tests.support.values import JOB_ID, TASK_ARN, a_job

JOB = a_job(JobStatus.STARTING, cpu_units=512, memory_mib=1024, definition="work:3")
SETTINGS = LaunchSettings(
    compute_type=FARGATE,
    target=Target(
        cluster="yard_fargate",
        resources={"subnets": ["subnet-1", "subnet-2"], "securityGroupIds": ["sg-1"]},
    ),
    log_group="/aws/batch/job",
    region="us-east-1",
    execution_role_arn="arn:aws:iam::123456789012:role/yard-execution",
)
UNMANAGED = replace(
    SETTINGS,
    compute_type=unmanaged.UNMANAGED,
    target=Target(cluster="yard_own", resources={}),
)
OWN_ROLE = "arn:aws:iam::123456789012:role/own"
CONTAINER: dict[str, Any] = {
    "image": "busybox",
    "command": ["echo", "hello"],
    "environment": [{"name": "A", "value": "b"}],
    "resourceRequirements": [
        {"type": "VCPU", "value": "0.5"},
        {"type": "MEMORY", "value": "1024"},
    ],
}
SMALL = [{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "512"}]
MAIN: dict[str, Any] = {
    "name": "main",
    "image": "busybox",
    "command": ["work"],
    "environment": [{"name": "A", "value": "b"}],
    "resourceRequirements": SMALL,
    "dependsOn": [{"containerName": "init", "condition": "SUCCESS"}],
    "logConfiguration": {"logDriver": "awsfirelens", "options": {"Name": "stdout"}},
    "secrets": [{"name": "S", "valueFrom": "arn:aws:ssm:us-east-1:123456789012:parameter/s"}],
    "startTimeout": 60,
    "stopTimeout": 5,
}
INIT: dict[str, Any] = {
    "name": "init",
    "image": "alpine",
    "essential": False,
    "user": "nobody",
    "privileged": False,
    "readonlyRootFilesystem": True,
    "resourceRequirements": SMALL,
    "ulimits": [],
    "mountPoints": [{"sourceVolume": "efs", "containerPath": "/efs"}],
    "firelensConfiguration": {"type": "fluentbit", "options": {"enable-ecs-log-metadata": "true"}},
    "repositoryCredentials": {"credentialsParameter": "arn:aws:secretsmanager:x"},
}
TASK: dict[str, Any] = {
    "containers": [MAIN, INIT],
    "executionRoleArn": OWN_ROLE,
    "taskRoleArn": "arn:aws:iam::123456789012:role/task",
    "volumes": [{"name": "efs", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}],
    "ephemeralStorage": {"sizeInGiB": 50},
    "runtimePlatform": {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
    "networkConfiguration": {"assignPublicIp": "ENABLED"},
    "platformVersion": "1.4.0",
    "pidMode": "task",
    "enableExecuteCommand": True,
}
SEVERAL: dict[str, Any] = {"ecsProperties": {"taskProperties": [TASK]}}
FULL: dict[str, Any] = CONTAINER | {
    "executionRoleArn": OWN_ROLE,
    "jobRoleArn": "arn:aws:iam::123456789012:role/job",
    "volumes": [
        {"name": "efs", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}},
        {"name": "host", "host": {"sourcePath": "/data"}},
    ],
    "mountPoints": [{"sourceVolume": "efs", "containerPath": "/efs", "readOnly": True}],
    "readonlyRootFilesystem": True,
    "privileged": True,
    "user": "nobody",
    "ulimits": [{"name": "nofile", "softLimit": 1, "hardLimit": 2}],
    "secrets": [{"name": "S", "valueFrom": "arn:aws:ssm:us-east-1:123456789012:parameter/s"}],
    "linuxParameters": {"initProcessEnabled": True},
    "ephemeralStorage": {"sizeInGiB": 50},
    "runtimePlatform": {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
    "networkConfiguration": {"assignPublicIp": "ENABLED"},
    "fargatePlatformConfiguration": {"platformVersion": "1.4.0"},
    "repositoryCredentials": {"credentialsParameter": "arn:aws:secretsmanager:x"},
}


def definition(
    container: dict[str, Any], settings: LaunchSettings = SETTINGS, *, bake: bool = False
) -> dict[str, Any]:
    """Return the registration, which ECS's own model must accept."""
    return payload_definition({"container": container}, settings, bake=bake)


def payload_definition(
    payload: dict[str, Any], settings: LaunchSettings = SETTINGS, *, bake: bool = False
) -> dict[str, Any]:
    request = task_definition(payload, JOB, settings, bake=bake)
    assert_accepted("RegisterTaskDefinition", request)
    return request


def launch(
    container: dict[str, Any], settings: LaunchSettings = SETTINGS, **members: Any
) -> dict[str, Any]:
    return payload_launch({"container": container}, settings, **members)


def payload_launch(
    payload: dict[str, Any], settings: LaunchSettings = SETTINGS, **members: Any
) -> dict[str, Any]:
    given: dict[str, Any] = {"task_definition_arn": "arn:td", "baked": False, "tags": {}} | members
    request = run_task(payload, JOB, settings, **given)
    assert_accepted("RunTask", _camel(request))
    return request


def assert_accepted(operation: str, request: dict[str, Any]) -> None:
    shape = service_model("ecs").operation_model(operation).input_shape
    assert shape is not None
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()
    assert request.keys() <= shape.members.keys()


def _camel(value: Any) -> Any:
    if isinstance(value, dict):
        assert all(key[0].isupper() for key in value), value
        return {key[0].lower() + key[1:]: _camel(item) for key, item in value.items()}
    return [_camel(item) for item in value] if isinstance(value, list) else value


def environment_of(overrides: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in overrides["environment"]}


@pytest.mark.parametrize("baked", [False, True])
def test_a_variable_without_a_value_is_given_to_no_container(baked: bool) -> None:
    """Jobs that an earlier version accepted may still have one."""
    container = CONTAINER | {"environment": [{"name": "X"}, *CONTAINER["environment"]]}
    payload = {"container": container}
    (overrides,) = container_overrides(payload, JOB, baked=baked)
    definition = task_definition(payload, JOB, SETTINGS, bake=baked)["containerDefinitions"][0]
    given = definition["environment"] if baked else overrides["environment"]
    assert {"name": "A", "value": "b"} in given
    assert all("value" in variable for variable in [*given, *overrides["environment"]])


def test_a_fargate_definition_states_its_size_and_its_network() -> None:
    request = definition(CONTAINER)
    assert (request["cpu"], request["memory"]) == ("512", "1024")
    assert (request["networkMode"], request["requiresCompatibilities"]) == ("awsvpc", ["FARGATE"])
    assert request["family"] == "batchyard-work"
    assert request["executionRoleArn"] == SETTINGS.execution_role_arn
    (container,) = request["containerDefinitions"]
    assert (container["name"], container["image"]) == ("default", "busybox")
    assert "command" not in container
    assert "environment" not in container


def test_an_unmanaged_definition_runs_on_the_host_s_network() -> None:
    request = definition(FULL, UNMANAGED)
    assert (request["networkMode"], request["requiresCompatibilities"]) == ("host", ["EC2"])
    assert not {"cpu", "memory", "ephemeralStorage", "runtimePlatform"} & request.keys()
    (container,) = request["containerDefinitions"]
    assert (container["cpu"], container["memory"]) == (512, 1024)


def test_what_a_job_wishes_for_its_container_reaches_ecs() -> None:
    request = definition(FULL)
    (container,) = request["containerDefinitions"]
    for name in ("mountPoints", "readonlyRootFilesystem", "user", "ulimits", "secrets"):
        assert container[name] == FULL[name]
    assert container["linuxParameters"] == FULL["linuxParameters"]
    assert container["repositoryCredentials"] == FULL["repositoryCredentials"]
    assert (request["executionRoleArn"], request["taskRoleArn"]) == (OWN_ROLE, FULL["jobRoleArn"])
    assert request["runtimePlatform"] == FULL["runtimePlatform"]
    assert request["ephemeralStorage"] == FULL["ephemeralStorage"]
    efs, host = request["volumes"]
    assert efs["efsVolumeConfiguration"]["transitEncryption"] == "DISABLED"
    assert host == FULL["volumes"][1]


def test_an_encrypted_volume_stays_encrypted() -> None:
    efs = {"fileSystemId": "fs-1", "transitEncryption": "ENABLED"}
    request = definition(CONTAINER | {"volumes": [{"name": "v", "efsVolumeConfiguration": efs}]})
    assert request["volumes"][0]["efsVolumeConfiguration"] == efs


def test_gpus_are_asked_for_and_vcpus_are_not_asked_for_twice() -> None:
    gpu = {"type": "GPU", "value": "2"}
    needs = [*CONTAINER["resourceRequirements"], gpu]
    (container,) = definition(CONTAINER | {"resourceRequirements": needs}, UNMANAGED)[
        "containerDefinitions"
    ]
    assert container["resourceRequirements"] == [gpu]
    (plain,) = definition(CONTAINER)["containerDefinitions"]
    assert "resourceRequirements" not in plain


def test_logs_go_where_batch_puts_them() -> None:
    (container,) = definition(CONTAINER)["containerDefinitions"]
    assert container["logConfiguration"] == {
        "logDriver": "awslogs",
        "options": {
            "awslogs-group": "/aws/batch/job",
            "awslogs-region": "us-east-1",
            "awslogs-stream-prefix": "work",
        },
    }
    assert log_stream_of(CONTAINER, "work", TASK_ARN) == f"work/default/{TASK_ARN[-32:]}"


def test_a_job_s_own_log_options_win() -> None:
    own = {"awslogs-group": "mine", "awslogs-stream-prefix": "p", "awslogs-datetime-format": "%H"}
    configured = CONTAINER | {"logConfiguration": {"logDriver": "awslogs", "options": own}}
    (container,) = definition(configured)["containerDefinitions"]
    options = container["logConfiguration"]["options"]
    assert options == own | {"awslogs-region": "us-east-1"}
    assert log_stream_of(configured, "work", TASK_ARN).startswith("p/default/")


def test_another_log_driver_is_passed_on_as_it_is() -> None:
    splunk = {"logDriver": "splunk", "options": {"splunk-url": "https://example.org"}}
    (container,) = definition(CONTAINER | {"logConfiguration": splunk})["containerDefinitions"]
    assert container["logConfiguration"] == splunk


def test_a_long_definition_name_is_cut_in_the_log_stream() -> None:
    assert log_stream_of(CONTAINER, "n" * 300, TASK_ARN).startswith("n" * 200 + "/default/")


def test_jobs_of_one_definition_and_size_share_a_registration() -> None:
    same = definition(CONTAINER | {"command": ["other"], "environment": []})
    payload = {"container": CONTAINER}
    bigger = task_definition(payload, replace(JOB, cpu_units=1024), SETTINGS, bake=False)
    unmanaged = definition(CONTAINER, UNMANAGED)
    wanted = variant_of(definition(CONTAINER))
    assert variant_of(same) == wanted
    assert variant_of(bigger) != wanted
    assert variant_of(unmanaged) != wanted


def test_a_job_gets_its_own_variables_and_those_of_batch() -> None:
    (overrides,) = container_overrides({"container": CONTAINER}, JOB)
    assert overrides["command"] == ["echo", "hello"]
    assert environment_of(overrides) == {
        "A": "b",
        "AWS_BATCH_JOB_ID": JOB_ID,
        "AWS_BATCH_JQ_NAME": "queue",
        "AWS_BATCH_CE_NAME": "fargate",
        "AWS_BATCH_JOB_ATTEMPT": "1",
    }


def test_a_job_without_a_command_runs_that_of_its_image() -> None:
    (overrides,) = container_overrides({"container": CONTAINER | {"command": []}}, JOB)
    assert "command" not in overrides


def test_a_job_too_long_for_overrides_gets_a_definition_of_its_own() -> None:
    long = CONTAINER | {"command": ["x" * OVERRIDES_LIMIT_CHARACTERS]}
    assert not overrides_fit(container_overrides({"container": long}, JOB))
    assert overrides_fit(container_overrides({"container": CONTAINER}, JOB))
    (container,) = definition(long, bake=True)["containerDefinitions"]
    assert container["command"] == long["command"]
    assert container["environment"] == CONTAINER["environment"]
    request = launch(long, baked=True)
    (override,) = request["Overrides"]["ContainerOverrides"]
    assert "Command" not in override
    names = [entry["Name"] for entry in override["Environment"]]
    assert all(name.startswith("AWS_BATCH_") for name in names)
    assert len(str(override)) < OVERRIDES_LIMIT_CHARACTERS


def test_the_limit_of_overrides_is_met_exactly_by_all_containers_together() -> None:
    empty = [{"name": "a", "command": [""]}, {"name": "b", "command": [""]}]
    capacity_limit = OVERRIDES_LIMIT_CHARACTERS - len(json.dumps({"containerOverrides": empty}))
    first = {"name": "a", "command": ["x" * (capacity_limit // 2)]}
    second = {"name": "b", "command": ["x" * (capacity_limit - capacity_limit // 2)]}
    assert overrides_fit([first, second])
    second["command"] = ["x" * (capacity_limit - capacity_limit // 2 + 1)]
    assert not overrides_fit([first, second])


def test_a_launch_carries_its_fence_twice() -> None:
    request = launch(CONTAINER)
    assert request["StartedBy"] == request["ClientToken"] == f"{JOB_ID}/job/1"
    assert (request["Cluster"], request["TaskDefinition"]) == ("yard_fargate", "arn:td")
    assert request["Count"] == 1
    assert "Tags" not in request
    assert "EnableExecuteCommand" not in request


@pytest.mark.parametrize("kind", [FARGATE, FARGATE_SPOT])
def test_a_fargate_launch_names_provider_platform_and_network(kind: ComputeType) -> None:
    request = launch(CONTAINER, replace(SETTINGS, compute_type=kind))
    assert request["CapacityProviderStrategy"] == [{"CapacityProvider": kind.name, "Weight": 1}]
    assert request["PlatformVersion"] == "LATEST"
    assert request["NetworkConfiguration"]["AwsvpcConfiguration"] == {
        "Subnets": ["subnet-1", "subnet-2"],
        "SecurityGroups": ["sg-1"],
        "AssignPublicIp": "DISABLED",
    }


def test_a_job_s_own_platform_and_address_win() -> None:
    request = launch(FULL)
    assert request["PlatformVersion"] == "1.4.0"
    network = request["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert network["AssignPublicIp"] == "ENABLED"


def test_an_unmanaged_launch_runs_on_registered_instances() -> None:
    request = launch(CONTAINER, UNMANAGED)
    assert "LaunchType" not in request, "ECS asks the cluster of the owner how to place it"
    assert not {"CapacityProviderStrategy", "NetworkConfiguration"} & request.keys()


def test_tags_and_exec_are_passed_on_when_asked_for() -> None:
    request = launch(CONTAINER | {"enableExecuteCommand": True}, tags={"a": "b"})
    assert request["Tags"] == [{"Key": "a", "Value": "b"}]
    assert request["EnableExecuteCommand"] is True


def test_several_containers_are_defined_in_their_order_each_with_its_own_wishes() -> None:
    request = payload_definition(SEVERAL)
    main, init = request["containerDefinitions"]
    assert [(one["name"], one["image"], one["essential"]) for one in (main, init)] == [
        ("main", "busybox", True),
        ("init", "alpine", False),
    ]
    for name in ("dependsOn", "secrets", "startTimeout", "stopTimeout", "logConfiguration"):
        assert main[name] == MAIN[name]
    for name in ("firelensConfiguration", "mountPoints", "repositoryCredentials", "user"):
        assert init[name] == INIT[name]
    assert init["readonlyRootFilesystem"] is True
    assert "command" not in main
    assert not {"ulimits", "command", "dependsOn"} & init.keys()


def test_several_containers_share_the_size_of_their_job_on_fargate() -> None:
    request = payload_definition(SEVERAL)
    assert (request["cpu"], request["memory"]) == ("512", "1024")
    sizes = [(one["cpu"], one["memory"]) for one in request["containerDefinitions"]]
    assert sizes == [(256, 512)] * 2


def test_sizes_that_do_not_divide_are_cut_so_that_they_fit_their_task() -> None:
    odd = ["0.0835", "0.0835", "0.083"]
    containers = [
        INIT
        | {"name": str(number)}
        | {"resourceRequirements": [{"type": "VCPU", "value": vcpus}, SMALL[1]]}
        for number, vcpus in enumerate(odd)
    ]
    request = payload_definition(
        {"ecsProperties": {"taskProperties": [TASK | {"containers": containers}]}}
    )
    assert sum(one["cpu"] for one in request["containerDefinitions"]) <= 256


def test_the_settings_of_a_task_reach_ecs() -> None:
    request = payload_definition(SEVERAL)
    assert (request["executionRoleArn"], request["taskRoleArn"]) == (OWN_ROLE, TASK["taskRoleArn"])
    assert request["ephemeralStorage"] == TASK["ephemeralStorage"]
    assert request["runtimePlatform"] == TASK["runtimePlatform"]
    assert (request["pidMode"], request["networkMode"]) == ("task", "awsvpc")
    assert request["volumes"][0]["efsVolumeConfiguration"]["transitEncryption"] == "DISABLED"
    launched = payload_launch(SEVERAL)
    assert (launched["PlatformVersion"], launched["EnableExecuteCommand"]) == ("1.4.0", True)
    network = launched["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert network["AssignPublicIp"] == "ENABLED"


def test_an_unmanaged_task_of_several_states_no_size_of_its_own() -> None:
    gpu = {"type": "GPU", "value": "1"}
    containers = [MAIN | {"resourceRequirements": [*SMALL, gpu]}, INIT]
    task = TASK | {"containers": containers, "ipcMode": "host"}
    request = payload_definition({"ecsProperties": {"taskProperties": [task]}}, UNMANAGED)
    assert (request["networkMode"], request["ipcMode"]) == ("host", "host")
    assert not {"cpu", "memory", "ephemeralStorage"} & request.keys()
    assert request["containerDefinitions"][0]["resourceRequirements"] == [gpu]


def test_each_container_has_a_log_stream_of_its_own() -> None:
    (_, init) = payload_definition(SEVERAL)["containerDefinitions"]
    assert init["logConfiguration"]["options"]["awslogs-stream-prefix"] == "work"
    assert log_stream_of(INIT, "work", TASK_ARN) == f"work/init/{TASK_ARN[-32:]}"


def test_every_container_gets_the_variables_of_batch() -> None:
    launched = payload_launch(SEVERAL)["Overrides"]["ContainerOverrides"]
    assert [one["Name"] for one in launched] == ["main", "init"]
    main, init = container_overrides(SEVERAL, JOB)
    assert main["command"] == ["work"]
    assert "command" not in init
    assert environment_of(main).pop("A") == "b"
    assert environment_of(main).keys() - environment_of(init).keys() == {"A"}
    assert environment_of(init)["AWS_BATCH_JOB_ID"] == JOB_ID


def test_several_containers_too_long_together_get_a_definition_of_their_own() -> None:
    half = ["x" * (OVERRIDES_LIMIT_CHARACTERS // 2)]
    alone = {
        "ecsProperties": {
            "taskProperties": [TASK | {"containers": [MAIN | {"command": half}, INIT]}]
        }
    }
    task = TASK | {"containers": [MAIN | {"command": half}, INIT | {"command": half}]}
    both = {"ecsProperties": {"taskProperties": [task]}}
    assert overrides_fit(container_overrides(alone, JOB))
    assert not overrides_fit(container_overrides(both, JOB))
    defined = payload_definition(both, bake=True)["containerDefinitions"]
    assert [one["command"] for one in defined] == [half, half]
    assert defined[0]["environment"] == MAIN["environment"]
    overrides = container_overrides(both, JOB, baked=True)
    assert overrides_fit(overrides)
    assert all("command" not in one for one in overrides)
    assert "A" not in environment_of(overrides[0])
