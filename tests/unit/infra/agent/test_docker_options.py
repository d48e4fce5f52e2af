"""The create request of the Docker Engine API, and the undoing of its multiplexing."""

from __future__ import annotations

import pytest

from batchyard.agent.docker_options import (
    FrameDecoder,
    container_config,
    reachable_endpoint,
    reachable_environment,
    task_volumes,
)
from batchyard.agent.plan import Json, TaskPlan, plan_task
from batchyard.agent.runtime import StartFailed

from .world import container, task_definition, task_record

MIB = 1024 * 1024


def planned(volumes: list[Json] | None = None, **members: object) -> TaskPlan:
    """Return a task of one container with these members."""
    definition = task_definition(container(**members), volumes=volumes or [])  # type: ignore[arg-type]
    return plan_task(task_record("task1", definition), definition)


def config(volumes: list[Json] | None = None, **members: object) -> Json:
    """Return the create request of a container with these members."""
    task = planned(volumes, **members)
    return container_config(
        task,
        task.containers[0],
        environment={"A": "1"},
        owner="me",
        runtime_id="abc",
        network_mode="host",
    )


def test_the_command_line_is_passed_as_it_is() -> None:
    request = config(command=["a", "b"], entryPoint=["e"], user="1:2", workingDirectory="/w")
    assert (request["Entrypoint"], request["Cmd"]) == (["e"], ["a", "b"])
    assert (request["User"], request["WorkingDir"]) == ("1:2", "/w")
    assert request["Env"] == ["A=1"]


def test_without_a_command_the_images_own_runs() -> None:
    request = config(command=[])
    assert "Cmd" not in request
    assert "Entrypoint" not in request


def test_memory_is_a_hard_limit_without_swap() -> None:
    host = config(memory=64, cpu=512)["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["CpuShares"]) == (64 * MIB, 64 * MIB, 512)


def test_linux_parameters_are_translated() -> None:
    host = config(
        memory=64,
        readonlyRootFilesystem=True,
        privileged=True,
        ulimits=[{"name": "nofile", "softLimit": 10, "hardLimit": 20}],
        linuxParameters={
            "initProcessEnabled": True,
            "sharedMemorySize": 16,
            "maxSwap": 32,
            "swappiness": 0,
            "tmpfs": [{"containerPath": "/t", "size": 8, "mountOptions": ["noexec"]}],
            "devices": [{"hostPath": "/dev/x", "permissions": ["read"]}],
            "capabilities": {"add": ["SYS_PTRACE"]},
        },
    )["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["Privileged"]
    assert host["Init"]
    assert host["Ulimits"] == [{"Name": "nofile", "Soft": 10, "Hard": 20}]
    assert (host["ShmSize"], host["MemorySwap"], host["MemorySwappiness"]) == (
        16 * MIB,
        96 * MIB,
        0,
    )
    assert host["Tmpfs"] == {"/t": "size=8m,noexec"}
    assert host["Devices"] == [
        {"PathOnHost": "/dev/x", "PathInContainer": "/dev/x", "CgroupPermissions": "r"}
    ]
    assert host["CapAdd"] == ["SYS_PTRACE"]


def test_volumes_of_the_host_and_of_the_task() -> None:
    volumes: list[Json] = [{"name": "data", "host": {"sourcePath": "/srv"}}, {"name": "scratch"}]
    mounts = [
        {"sourceVolume": "data", "containerPath": "/data", "readOnly": True},
        {"sourceVolume": "scratch", "containerPath": "/s"},
    ]
    assert config(volumes, mountPoints=mounts)["HostConfig"]["Binds"] == [
        "/srv:/data:ro",
        "batchyard-task1-scratch:/s:rw",
    ]
    assert list(task_volumes(planned(volumes))) == ["batchyard-task1-scratch"]


@pytest.mark.parametrize(
    ("volume", "reason"),
    [
        ({"name": "v", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}, "efsVolume"),
        ({"name": "other"}, "no volume is named v"),
    ],
)
def test_a_volume_that_no_local_engine_has_fails_the_start(volume: Json, reason: str) -> None:
    with pytest.raises(StartFailed, match=reason):
        config([volume], mountPoints=[{"sourceVolume": "v", "containerPath": "/v"}])


@pytest.mark.parametrize(
    ("endpoint", "linux", "expected"),
    [
        ("http://127.0.0.1:4566", True, ("host", "http://127.0.0.1:4566")),
        ("http://localhost:4566", False, ("bridge", "http://host.docker.internal:4566")),
        ("http://aws.example:80", True, ("bridge", "http://aws.example:80")),
    ],
)
def test_a_local_endpoint_is_reachable_from_inside(
    endpoint: str, linux: bool, expected: tuple[str, str]
) -> None:
    assert reachable_endpoint(endpoint, linux=linux) == expected


def test_every_endpoint_of_the_local_cloud_is_reachable_from_inside() -> None:
    given = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
        "AWS_ENDPOINT_URL_BATCH": "http://127.0.0.1:4566/restapis/x",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:45660",
        "OTHER": "http://127.0.0.1:4566",
    }
    inside = "http://host.docker.internal:4566"
    assert reachable_environment(given, "http://127.0.0.1:4566", inside) == given | {
        "AWS_ENDPOINT_URL": inside,
        "AWS_ENDPOINT_URL_BATCH": f"{inside}/restapis/x",
    }


def test_frames_are_decoded_wherever_the_bytes_break() -> None:
    stream = b"\x01\0\0\0\0\0\0\x03out" + b"\x02\0\0\0\0\0\0\x03err"
    decoder = FrameDecoder(tty=False)
    frames = [frame for byte in stream for frame in decoder.feed(bytes([byte]))]
    assert frames == [(1, b"out"), (2, b"err")]
    assert FrameDecoder(tty=True).feed(b"raw") == [(1, b"raw")]
