"""A container as the Docker Engine API describes it.

Pure. Owns the translation of ECS's container definition into the body of
`POST /containers/create`, and of the engine's answers into ECS's terms. It must not call
the engine: `docker_engine` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit, urlunsplit

from .plan import ContainerPlan, Json, TaskPlan
from .runtime import StartFailed

OWNER_LABEL = "batchyard.agent"
TASK_LABEL = "batchyard.task-arn"
RUNTIME_LABEL = "batchyard.runtime-id"
_LOG_SIZE = "64m"
_MIB = 1024 * 1024
_NANOSECONDS = 1_000_000_000
_LEAST_CPU_SHARES = 2
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_FRAME_HEADER_BYTES = 8


def container_config(
    task: TaskPlan,
    container: ContainerPlan,
    *,
    environment: Mapping[str, str],
    owner: str,
    runtime_id: str,
    network_mode: str,
) -> Json:
    """Return the create request. Raises `StartFailed` for a volume that no local engine has."""
    definition = container.definition
    config: Json = {
        "Image": container.image,
        "Env": [f"{name}={value}" for name, value in environment.items()],
        "Labels": {OWNER_LABEL: owner, TASK_LABEL: task.task_arn, RUNTIME_LABEL: runtime_id},
        "Tty": bool(definition.get("pseudoTerminal")),
        "HostConfig": _host_config(task, container, network_mode),
    }
    if container.entry_point:
        config["Entrypoint"] = list(container.entry_point)
    if container.command:
        config["Cmd"] = list(container.command)
    for key, member in (("user", "User"), ("workingDirectory", "WorkingDir")):
        if definition.get(key):
            config[member] = str(definition[key])
    if definition.get("hostname") and network_mode != "host":
        config["Hostname"] = str(definition["hostname"])
    if container.health_check is not None:
        check = container.health_check
        config["Healthcheck"] = {
            "Test": ["CMD", *check.argv],
            "Interval": int(check.interval_seconds * _NANOSECONDS),
            "Timeout": int(check.timeout_seconds * _NANOSECONDS),
            "Retries": check.retries,
            "StartPeriod": int(check.start_period_seconds * _NANOSECONDS),
        }
    return config


def task_volumes(task: TaskPlan) -> Iterator[str]:
    """Return the names of the engine's volumes that exist as long as the task."""
    for volume in task.volumes:
        docker = volume.get("dockerVolumeConfiguration") or {}
        if not _source_path(volume) and docker.get("scope") != "shared":
            yield _volume_name(task, str(volume["name"]))


def reachable_endpoint(endpoint_url: str, *, linux: bool) -> tuple[str, str]:
    """Return the network mode and the endpoint by which a container reaches a local emulator.

    On Linux a container shares the host's network; elsewhere the engine lives in a virtual
    machine, where the host has a special name.
    """
    parts = urlsplit(endpoint_url)
    if parts.hostname not in _LOCAL_HOSTS:
        return "bridge", endpoint_url
    if linux:
        return "host", endpoint_url
    host = "host.docker.internal" + (f":{parts.port}" if parts.port else "")
    return "bridge", urlunsplit(parts._replace(netloc=host))


def reachable_environment(
    environment: Mapping[str, str], given_url: str, reachable_url: str
) -> dict[str, str]:
    """Return the variables, with every endpoint of the local cloud as a container reaches it."""
    return {
        name: reachable_url + value.removeprefix(given_url)
        if name.startswith("AWS_ENDPOINT_URL")
        and (value == given_url or value.startswith(f"{given_url}/"))
        else value
        for name, value in environment.items()
    }


def _host_config(task: TaskPlan, container: ContainerPlan, network_mode: str) -> Json:
    definition = container.definition
    linux = definition.get("linuxParameters") or {}
    capabilities = linux.get("capabilities") or {}
    config: Json = {
        "NetworkMode": network_mode,
        # The agent reads the attached stream. The engine's copy, of which the beginning is kept, is
        # for the successor of an agent that was killed.
        "LogConfig": {"Type": "json-file", "Config": {"max-size": _LOG_SIZE, "max-file": "1"}},
        "ReadonlyRootfs": bool(definition.get("readonlyRootFilesystem")),
        "Privileged": bool(definition.get("privileged")),
        "Init": bool(linux.get("initProcessEnabled")),
        "Binds": [_bind(task, mount) for mount in definition.get("mountPoints") or []],
        "Ulimits": [
            {"Name": limit["name"], "Soft": limit["softLimit"], "Hard": limit["hardLimit"]}
            for limit in definition.get("ulimits") or []
        ],
        "Tmpfs": {
            mount["containerPath"]: ",".join(
                [f"size={mount['size']}m", *mount.get("mountOptions", [])]
            )
            for mount in linux.get("tmpfs") or []
        },
        "Devices": [_device(device) for device in linux.get("devices") or []],
        "CapAdd": capabilities.get("add") or [],
        "CapDrop": capabilities.get("drop") or [],
        "ExtraHosts": [
            f"{host['hostname']}:{host['ipAddress']}" for host in definition.get("extraHosts") or []
        ],
        "Dns": definition.get("dnsServers") or [],
    }
    if container.cpu_units:
        config["CpuShares"] = max(container.cpu_units, _LEAST_CPU_SHARES)
    if linux.get("sharedMemorySize"):
        config["ShmSize"] = int(linux["sharedMemorySize"]) * _MIB
    return config | _memory(container, linux)


def _memory(container: ContainerPlan, linux: Json) -> Json:
    config: Json = {}
    if container.memory_mib:
        config["Memory"] = container.memory_mib * _MIB
        # Without maxSwap none is used, so a limit means the same on every machine.
        config["MemorySwap"] = (container.memory_mib + int(linux.get("maxSwap") or 0)) * _MIB
    if linux.get("swappiness") is not None:
        config["MemorySwappiness"] = int(linux["swappiness"])
    reservation = container.definition.get("memoryReservation")
    if reservation and not container.memory_mib:
        config["MemoryReservation"] = int(reservation) * _MIB
    return config


def _bind(task: TaskPlan, mount: Json) -> str:
    name = str(mount.get("sourceVolume"))
    volume = next((entry for entry in task.volumes if entry.get("name") == name), None)
    if volume is None:
        raise StartFailed(f"CannotCreateContainerError: no volume is named {name}")
    for kind in volume:
        if kind not in ("name", "host", "dockerVolumeConfiguration") and volume[kind]:
            raise StartFailed(
                f"ResourceInitializationError: volume {name}: {kind} is not available locally"
            )
    docker = volume.get("dockerVolumeConfiguration") or {}
    source = _source_path(volume) or (
        name if docker.get("scope") == "shared" else _volume_name(task, name)
    )
    mode = "ro" if mount.get("readOnly") else "rw"
    return f"{source}:{mount['containerPath']}:{mode}"


def _source_path(volume: Json) -> str:
    return str((volume.get("host") or {}).get("sourcePath") or "")


def _volume_name(task: TaskPlan, name: str) -> str:
    return f"batchyard-{task.task_id}-{name}"


def _device(device: Json) -> Json:
    permissions = device.get("permissions") or ["read", "write", "mknod"]
    return {
        "PathOnHost": device["hostPath"],
        "PathInContainer": device.get("containerPath") or device["hostPath"],
        "CgroupPermissions": "".join(permission[0] for permission in permissions),
    }


class FrameDecoder:
    """Undoes the engine's multiplexing of stdout and stderr into one stream."""

    def __init__(self, *, tty: bool) -> None:
        self._tty = tty
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Return the frames that are complete now: 1 for stdout or 2 for stderr, and the data."""
        if self._tty:
            return [(1, data)]
        self._rest += data
        frames = []
        while len(self._rest) >= _FRAME_HEADER_BYTES:
            size = int.from_bytes(self._rest[4:_FRAME_HEADER_BYTES], "big")
            end = _FRAME_HEADER_BYTES + size
            if len(self._rest) < end:
                break
            frames.append((self._rest[0], self._rest[_FRAME_HEADER_BYTES:end]))
            self._rest = self._rest[end:]
        return frames
