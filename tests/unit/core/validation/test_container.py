"""One container and what it shares with its task, on EC2 and on Fargate."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.core.errors import ClientError
from chalicelib.core.validation.fargate import validate_size
from chalicelib.core.validation.job_definition import validate_register
from tests.unit.core.validation.definitions import ec2, fargate

EFS = {"fileSystemId": "fs-0123456789abcdef0"}


def refusal(request: dict[str, Any]) -> str:
    with pytest.raises(ClientError) as caught:
        validate_register(request)
    return caught.value.message


def requirements(**values: str) -> list[dict[str, str]]:
    return [{"type": kind, "value": value} for kind, value in values.items()]


def volume(**efs: Any) -> dict[str, Any]:
    return {"volumes": [{"name": "data", "efsVolumeConfiguration": EFS | efs}]}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"image": None}, "ECS Container Image must be provided."),
        ({"image": ""}, "ECS Container Image must be provided."),
        ({"resourceRequirements": None}, "vCPU is required."),
        ({"resourceRequirements": requirements(VCPU="1")}, "Memory is required."),
        (
            {"resourceRequirements": requirements(VCPU="0", MEMORY="4")},
            "vCPU must be at least 1, got 0.",
        ),
        (
            {"resourceRequirements": requirements(VCPU="1.5", MEMORY="4")},
            "vCPU must be a whole number, got 1.5.",
        ),
        (
            {"resourceRequirements": requirements(VCPU="1", MEMORY="3")},
            "Memory must be at least 4 Mib, got 3 Mib.",
        ),
        (
            {"resourceRequirements": requirements(VCPU="1", MEMORY="4", GPU="one")},
            "Value one for type GPU in resourceRequirement is not valid. "
            "Please provide a numeric value.",
        ),
        (
            {"resourceRequirements": requirements(VCPU="1", MEMORY="4", GPU="0")},
            "GPU must be at least 1, got 0.",
        ),
        (
            {"resourceRequirements": requirements(VCPU="1", MEMORY="9" * 4000)},
            f"Value {'9' * 4000} for type MEMORY in resourceRequirement is not valid. "
            "Please provide a numeric value.",
        ),
        (
            {"resourceRequirements": requirements(VCPU="1", MEMORY="4") * 2},
            "Cannot provide duplicates in resourceRequirements.",
        ),
        (
            {"vcpus": 1},
            "Cannot use both ECS containerProperties vcpus and resourceRequirement VCPU.",
        ),
        (
            {"memory": 1},
            "Cannot use both ECS containerProperties memory and resourceRequirement MEMORY.",
        ),
        ({"environment": [{"value": "v"}]}, "Environment variable name is required."),
        (
            {"environment": [{"name": "AWS_BATCH_JOB_ID"}]},
            "Environment variable name AWS_BATCH_JOB_ID is not valid. "
            "Names cannot start with AWS_BATCH.",
        ),
        (
            {"user": "$(id"},
            "User '$(id' does not match regex "
            "[a-z0-9_][a-z0-9_-]{0,30}(:[a-z0-9_][a-z0-9_-]{0,30})?",
        ),
        (
            {"linuxParameters": {"maxSwap": -1}},
            "Invalid swap memory size: -1, must be non-negative.",
        ),
        (
            {"linuxParameters": {"devices": [{"hostPath": "/dev/a", "permissions": ["SING"]}]}},
            "Invalid permission: SING for device /dev/a",
        ),
        (
            {"linuxParameters": {"maxSwap": 0}},
            "When container specified swap memory, swappiness value is required.",
        ),
        (
            {"linuxParameters": {"swappiness": 101}},
            "Invalid swappiness: 101, must be between 0 and 100.",
        ),
        (
            {"linuxParameters": {"tmpfs": [{"containerPath": "/t", "size": 0}]}},
            "Size of a tmpfs is invalid. The size is required and must be a positive integer.",
        ),
        (
            {"linuxParameters": {"sharedMemorySize": 0}},
            "Invalid sharedMemorySize: 0, must be at least 1.",
        ),
        (
            {"logConfiguration": {"logDriver": "awslogs", "options": {"tag": "x"}}},
            "Log driver awslogs disallows options: tag",
        ),
        (
            {"secrets": [{"name": "a", "valueFrom": "b"}]},
            "executionRoleArn cannot be empty when using secrets or secretOptions",
        ),
        (
            {"fargatePlatformConfiguration": {"platformVersion": "LATEST"}},
            "fargatePlatformConfiguration not applicable for EC2.",
        ),
        (
            {"networkConfiguration": {"assignPublicIp": "ENABLED"}},
            "networkConfiguration not applicable for EC2.",
        ),
        ({"ephemeralStorage": {"sizeInGiB": 30}}, "ephemeralStorage not applicable for EC2."),
        (
            {"runtimePlatform": {"cpuArchitecture": "ARM64"}},
            "runtimePlatform is not applicable for EC2.",
        ),
        (
            volume(authorizationConfig={"iam": "ENABLED"}),
            "EFS IAM authorization requires TransitEncryption to be enabled.",
        ),
        (
            volume(authorizationConfig={"accessPointId": "fsap-1"}),
            "EFS IAM access point requires TransitEncryption to be enabled.",
        ),
        (
            volume(
                authorizationConfig={"accessPointId": "fsap-1"},
                transitEncryption="ENABLED",
                rootDirectory="/data",
            ),
            'When using an EFS access point, the root directory must either be set to "/" or be '
            "omitted.",
        ),
        (volume(fileSystemId="disk"), "EFS configuration fileSystemId is not valid: disk."),
        (
            volume(transitEncryptionPort=0),
            "TransitEncryptionPort must be a valid port number.",
        ),
        (
            {"volumes": [{"name": "a", "s3filesVolumeConfiguration": {"fileSystemArn": "arn"}}]},
            "A jobRoleArn/taskRoleArn is required when using s3filesVolumeConfiguration.",
        ),
        (
            {
                "volumes": [
                    {"name": "a", "host": {"sourcePath": "/"}, "efsVolumeConfiguration": EFS}
                ]
            },
            "When the volume parameter is specified, only one volume configuration type should "
            "be used.",
        ),
        ({"volumes": [{"name": "a"}, {"name": "a"}]}, "Volume names must be unique"),
        (
            {"mountPoints": [{"sourceVolume": "a", "containerPath": "/a"}]},
            "sourceVolume a must reference a defined volume.",
        ),
    ],
)
def test_a_wrong_container_is_refused(change: dict[str, Any], sentence: str) -> None:
    assert refusal(ec2(**change)) == sentence


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"executionRoleArn": None}, "executionRoleArn is required for Fargate jobs."),
        (
            {"resourceRequirements": requirements(VCPU="1", MEMORY="4000")},
            "Fargate resource requirements (1.00 vCPU, 4000 MiB) not valid.",
        ),
        (
            {"resourceRequirements": requirements(VCPU="1.25", MEMORY="4096")},
            "Fargate resource requirements (1.25 vCPU) not valid.",
        ),
        (
            {"resourceRequirements": requirements(VCPU="1", MEMORY="2048", GPU="1")},
            "GPU is not applicable for Fargate.",
        ),
        ({"resourceRequirements": None, "vcpus": 1}, "vcpus is not applicable for Fargate."),
        (
            {"ulimits": [{"name": "nofile", "softLimit": 1, "hardLimit": 2}]},
            "ulimits is not applicable for Fargate.",
        ),
        (
            {"privileged": True},
            "Fargate requires that the \u2018privileged\u2019 setting be \u2018false\u2019 "
            "at the container level.",
        ),
        (
            {"linuxParameters": {"devices": [{"hostPath": "/dev/fuse"}]}},
            "linuxParameter.devices is not allowed for Fargate.",
        ),
        (
            {"linuxParameters": {"maxSwap": 0}},
            "linuxParameter.maxSwap is not allowed for Fargate.",
        ),
        (
            {"linuxParameters": {"sharedMemorySize": 64}},
            "linuxParameter.sharedMemorySize is not allowed for Fargate.",
        ),
        (
            {"linuxParameters": {"swappiness": 0}},
            "linuxParameter.swappiness is not allowed for Fargate.",
        ),
        (
            {"linuxParameters": {"tmpfs": [{"containerPath": "/t", "size": 1}]}},
            "linuxParameter.tmpfs is not allowed for Fargate.",
        ),
        (
            {"logConfiguration": {"logDriver": "syslog"}},
            "Log driver for Fargate is not valid: syslog",
        ),
        (
            {"volumes": [{"name": "a", "host": {"sourcePath": "/data"}}]},
            "host.sourcePath should not be set for volumes in Fargate.",
        ),
        (
            {"ephemeralStorage": {"sizeInGiB": 20}},
            "Ephemeral storage for Fargate tasks can be only between range 21 GiB to 200 GiB",
        ),
        (
            volume() | {"fargatePlatformConfiguration": {"platformVersion": "1.3.0"}},
            "EFS is supported for Fargate platform versions 1.4.0 or later, provided 1.3.0",
        ),
        (
            {"runtimePlatform": {"operatingSystemFamily": "BEOS"}},
            "RuntimePlatform supports only one from [WINDOWS_SERVER_2019_CORE, "
            "WINDOWS_SERVER_2019_FULL, WINDOWS_SERVER_2022_CORE, WINDOWS_SERVER_2022_FULL, "
            "LINUX] operating systems, provided BEOS",
        ),
        (
            {"runtimePlatform": {"cpuArchitecture": "MIPS"}},
            "cpuArchitecture for Fargate LINUX tasks can be only one from [X86_64, ARM64].",
        ),
        (
            {
                "runtimePlatform": {
                    "operatingSystemFamily": "WINDOWS_SERVER_2022_CORE",
                    "cpuArchitecture": "ARM64",
                }
            },
            "Windows supported only by X86_64 cpuArchitecture",
        ),
        (
            {
                "runtimePlatform": {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"},
                "resourceRequirements": requirements(VCPU="0.5", MEMORY="1024"),
            },
            "vCPU must be at least 1 for Windows Job definition, got 0.5.",
        ),
    ],
)
def test_what_fargate_cannot_do_is_refused(change: dict[str, Any], sentence: str) -> None:
    assert refusal(fargate(**change)) == sentence


@pytest.mark.parametrize("version", ["LATEST", "1.4.0", "1.10.0", "2.0.0"])
def test_efs_is_there_from_its_version_on(version: str) -> None:
    platform = {"fargatePlatformConfiguration": {"platformVersion": version}}
    validate_register(fargate(**volume(), **platform))


@pytest.mark.parametrize(
    ("vcpus", "lowest", "highest", "step"),
    [
        (0.5, 1024, 4096, 1024),
        (1.0, 2048, 8192, 1024),
        (2.0, 4096, 16384, 1024),
        (4.0, 8192, 30720, 1024),
        (8.0, 16384, 61440, 4096),
        (16.0, 32768, 122880, 8192),
    ],
)
def test_the_sizes_of_fargate(vcpus: float, lowest: int, highest: int, step: int) -> None:
    for memory_mib in range(lowest, highest + 1, step):
        validate_size(vcpus, memory_mib)
    for memory_mib in (lowest - step, highest + step, lowest + 1, highest - 1):
        with pytest.raises(ClientError):
            validate_size(vcpus, memory_mib)


def test_the_sizes_at_both_ends_of_fargate() -> None:
    for vcpus, memory_mib in ((0.25, 512), (0.25, 2048), (32.0, 61440), (32.0, 249856)):
        validate_size(vcpus, memory_mib)
    for vcpus, memory_mib in ((0.25, 1536), (32.0, 65536), (64.0, 249856), (0.0, 512)):
        with pytest.raises(ClientError):
            validate_size(vcpus, memory_mib)
