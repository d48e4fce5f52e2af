"""Containers in a Docker engine, through the `docker` package (an optional extra).

Owns: creating, attaching, starting, signalling and removing containers, and noticing
their ends: when an attached stream ends, an inspection shows whether the container ended
and how. One thread inspects all. Labels name the owner, so that a later agent with
the same state directory finds what was left, and goes on with it. The request's shape is
`docker_options`'.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from .docker_options import (
    OWNER_LABEL,
    RUNTIME_LABEL,
    FrameDecoder,
    container_config,
    reachable_endpoint,
    reachable_environment,
    task_volumes,
)
from .plan import Json, TaskPlan
from .pump import Pump, read_available
from .runtime import (
    LOOPBACK,
    OUT_OF_MEMORY,
    ContainerExited,
    ContainerHealth,
    ContainerStart,
    ContainerStarted,
    Emit,
    StartFailed,
)

_log = logging.getLogger(__name__)

_CALL_TIMEOUT_SECONDS = 240
_INSPECT_SECONDS = 0.05
_LONGEST_INSPECT_SECONDS = 1.0
_LONGEST_PARTIAL_BYTES = 256 * 1024
# Attached streams are read as they come off the descriptor, which is of no use under TLS or SSH.
_PLAIN_URLS = ("http+docker://localhost", "http://")
_NOT_FOUND = 404
_NOT_RUNNING = 409
_KILLED = 137
NO_FD = -1  # of an adopted container, whose output a thread of its own reads


class NoEngine(Exception):
    """No engine answers, or the `docker` package is not installed."""


def connect() -> Any:
    """Return a client of the engine that the environment names. Raises `NoEngine`."""
    try:
        docker = importlib.import_module("docker")
    except ImportError as error:
        raise NoEngine("the docker package is not installed") from error
    try:
        client = docker.from_env(timeout=_CALL_TIMEOUT_SECONDS)
        client.ping()
    except docker.errors.DockerException as error:
        raise NoEngine(str(error)) from error
    if not client.api.base_url.startswith(_PLAIN_URLS):
        client.close()
        raise NoEngine("only engines on a local socket or plain TCP are supported")
    return client.api


@dataclass(slots=True, kw_only=True)
class _Container:
    """One container that was started and whose exit has not been reported."""

    id: str
    request: ContainerStart
    fd: int
    decoder: FrameDecoder
    partial: dict[int, bytes] = field(default_factory=dict)
    output_ended: bool = False
    healthy: bool | None = None
    is_unreachable: bool = False
    inspect_due: float = 0.0
    inspect_seconds: float = _INSPECT_SECONDS

    @property
    def is_inspected(self) -> bool:
        """Return whether the container's end or health must be looked for."""
        return self.output_ended or self.request.container.health_check is not None


class DockerRuntime:
    """The `Runtime` of a Docker engine. `engine` is docker's low-level API client."""

    name = "docker"

    def __init__(self, engine: Any, *, owner: str, endpoint_url: str, emit: Emit) -> None:
        self._engine = engine
        self._owner = owner
        self._network_mode, self._endpoint_url = reachable_endpoint(
            endpoint_url, linux=sys.platform == "linux"
        )
        self._given_endpoint_url = endpoint_url
        self._emit = emit
        self._errors = importlib.import_module("docker").errors
        self._changed = threading.Condition()
        self._containers: dict[str, _Container] = {}
        self._ended: dict[str, set[str]] = {}  # by task id
        self._closing = False
        self._pump = Pump()
        self._inspector = threading.Thread(target=self._inspect, name="inspector", daemon=True)
        self._inspector.start()

    def start(self, request: ContainerStart) -> ContainerStarted:
        environment = reachable_environment(
            request.environment, self._given_endpoint_url, self._endpoint_url
        )
        config = container_config(
            request.task,
            request.container,
            environment=environment,
            owner=self._owner,
            runtime_id=request.runtime_id,
            network_mode=self._network_mode,
        )
        container = self._attach(self._create(request, config), request, tty=config["Tty"])
        with self._changed:
            self._containers[container.id] = container
        try:
            self._engine.start(container.id)
        except Exception as error:
            with self._changed:
                del self._containers[container.id]
            self._pump.call(lambda: self._detach(container))
            self._remove(container.id)
            raise StartFailed(f"CannotStartContainerError: {_words(error)}") from error
        # Watched only from here on: an end that is seen before the start must not count.
        self._pump.call(lambda: self._pump.add(container.fd, lambda: self._on_output(container)))
        with self._changed:
            self._changed.notify()
        return ContainerStarted(runtime_id=container.id, address=self._address_of(container.id))

    @property
    def session(self) -> str:
        return self._owner

    def kept(self) -> Collection[str]:
        """Return the ids that the engine gave, and those under which they were first journalled."""
        return self._kept().keys()

    def adopt(self, request: ContainerStart) -> ContainerStarted:
        container_id = self._kept()[request.runtime_id]
        tty = bool(request.container.definition.get("pseudoTerminal"))
        container = _Container(
            id=container_id, request=request, fd=NO_FD, decoder=FrameDecoder(tty=tty)
        )
        with self._changed:
            self._containers[container.id] = container
        follower = threading.Thread(
            target=self._follow, args=(container,), name="follower", daemon=True
        )
        follower.start()
        return ContainerStarted(runtime_id=container.id, address=self._address_of(container.id))

    def _follow(self, container: _Container) -> None:
        """Take an adopted container's output from the engine's copy, from its beginning to its end.

        An attached stream would have no beginning, and that of an ended container no end.
        """
        output = container.request.output
        output.replay()
        try:
            for data in self._engine.logs(container.id, stream=True, follow=True):
                output.write(data)
        except (self._errors.DockerException, OSError) as error:
            _log.warning("container %s: its output ended: %s", container.id[:12], _words(error))
        self._end_output(container)

    def _end_output(self, container: _Container) -> None:
        container.request.output.finish()
        with self._changed:
            container.output_ended = True
            self._changed.notify()

    def terminate(self, runtime_id: str) -> None:
        try:
            config = self._engine.inspect_container(runtime_id)["Config"]
            self._engine.kill(runtime_id, signal=config.get("StopSignal") or "SIGTERM")
        except self._errors.APIError as error:
            _ignore_gone(error)

    def kill(self, runtime_id: str) -> None:
        try:
            self._engine.kill(runtime_id)
        except self._errors.APIError as error:
            _ignore_gone(error)

    def forget_task(self, task: TaskPlan) -> None:
        with self._changed:
            ended = self._ended.pop(task.task_id, set())
        for container_id in ended:
            self._remove(container_id)
        for name in task_volumes(task):
            try:
                self._engine.remove_volume(name, force=True)
            except self._errors.APIError as error:
                _log.warning("volume %s could not be removed: %s", name, _words(error))

    def clear_orphans(self, earlier: Iterable[ContainerStarted]) -> None:
        with self._changed:
            adopted = {*self._containers, *(name for ids in self._ended.values() for name in ids)}
            volumes = {
                name for one in self._containers.values() for name in task_volumes(one.request.task)
            }
        for orphan in self._owned():
            if orphan["Id"] not in adopted:
                self._remove(orphan["Id"])
        label = f"{OWNER_LABEL}={self._owner}"
        for orphan in self._engine.volumes(filters={"label": label})["Volumes"] or []:
            if orphan["Name"] not in volumes:
                self._engine.remove_volume(orphan["Name"], force=True)

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._inspector.join(timeout=5)
        self._pump.close()

    def _owned(self) -> list[Json]:
        label = f"{OWNER_LABEL}={self._owner}"
        owned: list[Json] = self._engine.containers(all=True, filters={"label": label})
        return owned

    def _kept(self) -> dict[str, str]:
        """Return the containers that were started, by both of their names."""
        names = {}
        for one in self._owned():
            if one["State"] != "created":
                names[one["Id"]] = names[one["Labels"].get(RUNTIME_LABEL, "")] = str(one["Id"])
        return names

    def _create(self, request: ContainerStart, config: Json) -> str:
        try:
            for name in task_volumes(request.task):
                self._engine.create_volume(name, labels={OWNER_LABEL: self._owner})
            try:
                return str(self._engine.create_container_from_config(config)["Id"])
            except self._errors.ImageNotFound:
                self._pull(request.container.image)
                return str(self._engine.create_container_from_config(config)["Id"])
        except (self._errors.DockerException, OSError) as error:
            raise StartFailed(f"CannotCreateContainerError: {_words(error)}") from error

    def _address_of(self, container_id: str) -> str | None:
        """Return where other containers reach this one; None if the engine does not know."""
        if self._network_mode == "host":
            return LOOPBACK
        try:
            networks = self._engine.inspect_container(container_id)["NetworkSettings"]["Networks"]
        except self._errors.APIError:
            return None
        return next((one["IPAddress"] for one in networks.values() if one.get("IPAddress")), None)

    def _pull(self, image: str) -> None:
        # Without a tag the engine would pull every one of the repository.
        named = image.rsplit("/", 1)[-1]
        reference = image if ":" in named or "@" in named else f"{image}:latest"
        try:
            for progress in self._engine.pull(reference, stream=True, decode=True):
                if "error" in progress:
                    raise StartFailed(f"CannotPullContainerError: {progress['error']}")
        except (self._errors.DockerException, OSError) as error:
            raise StartFailed(f"CannotPullContainerError: {_words(error)}") from error

    def _attach(self, container_id: str, request: ContainerStart, *, tty: bool) -> _Container:
        """Attach to the output before the start, so that none can be missed."""
        stream = self._engine.attach_socket(
            container_id, params={"stdout": 1, "stderr": 1, "stream": 1}
        )
        # The descriptor becomes ours: the client's own objects close theirs whenever they are
        # collected, and would leave the connection open until then.
        fd: int = stream._sock.detach()
        os.set_blocking(fd, False)
        return _Container(id=container_id, request=request, fd=fd, decoder=FrameDecoder(tty=tty))

    def _on_output(self, container: _Container) -> None:
        data = read_available(container.fd)
        if data is None:
            return
        for stream, payload in container.decoder.feed(data):
            self._write(container, stream, payload)
        if data:
            return
        self._pump.remove(container.fd)
        self._detach(container)
        for rest in container.partial.values():
            if rest:
                container.request.output.write(rest + b"\n")
        self._end_output(container)

    @staticmethod
    def _write(container: _Container, stream: int, payload: bytes) -> None:
        """Write whole lines only, so that stdout and stderr do not mix within a line."""
        text = container.partial.get(stream, b"") + payload
        whole, newline, rest = text.rpartition(b"\n")
        if len(rest) > _LONGEST_PARTIAL_BYTES:
            whole, newline, rest = text, b"", b""
        container.partial[stream] = rest
        container.request.output.write(whole + newline)

    @staticmethod
    def _detach(container: _Container) -> None:
        os.close(container.fd)

    def _inspect(self) -> None:
        while True:
            with self._changed:
                if self._closing:
                    return
                watched = [c for c in self._containers.values() if c.is_inspected]
                now = monotonic()
                due = [c for c in watched if c.inspect_due <= now]
                if not due:
                    next_due = min((c.inspect_due - now for c in watched), default=None)
                    self._changed.wait(next_due)
                    continue
            for container in due:
                self._inspect_one(container)

    def _inspect_one(self, container: _Container) -> None:
        try:
            state: Json = self._engine.inspect_container(container.id)["State"]
        except self._errors.NotFound:
            # It was removed by hand; all that is known is that it was killed.
            state = {"Status": "exited", "ExitCode": _KILLED}
        except (self._errors.DockerException, OSError) as error:
            # Logged once: an engine that restarts, or is gone, is inspected again many times.
            level = logging.DEBUG if container.is_unreachable else logging.WARNING
            _log.log(level, "container %s: no answer: %s", container.id[:12], _words(error))
            state = {"Status": "unknown"}
        container.is_unreachable = state["Status"] == "unknown"
        self._report_health(container, state)
        if state.get("Status") in ("exited", "dead") and container.output_ended:
            self._report_exit(container, state)
            return
        container.inspect_due = monotonic() + container.inspect_seconds
        container.inspect_seconds = min(container.inspect_seconds * 1.5, _LONGEST_INSPECT_SECONDS)

    def _report_health(self, container: _Container, state: Json) -> None:
        status = (state.get("Health") or {}).get("Status")
        healthy = {"healthy": True, "unhealthy": False}.get(str(status))
        if healthy is not None and healthy is not container.healthy:
            container.healthy = healthy
            task_id, name = container.request.task.task_id, container.request.container.name
            self._emit(ContainerHealth(task_id=task_id, name=name, healthy=healthy))

    def _report_exit(self, container: _Container, state: Json) -> None:
        with self._changed:
            del self._containers[container.id]
            # Its end is kept in the engine until that of its task is journalled.
            task_id = container.request.task.task_id
            self._ended.setdefault(task_id, set()).add(container.id)
        self._emit(
            ContainerExited(
                task_id=container.request.task.task_id,
                name=container.request.container.name,
                runtime_id=container.id,
                exit_code=int(state.get("ExitCode") or 0),
                reason=OUT_OF_MEMORY if state.get("OOMKilled") else None,
            )
        )

    def _remove(self, container_id: str) -> None:
        try:
            self._engine.remove_container(container_id, force=True, v=True)
        except self._errors.APIError as error:
            _ignore_gone(error)


def _words(error: Exception) -> str:
    """Return the engine's message, which ECS repeats in its reasons."""
    explanation = getattr(error, "explanation", None)
    return f"Error response from daemon: {explanation}" if explanation else str(error)


def _ignore_gone(error: Any) -> None:
    if error.status_code not in (_NOT_FOUND, _NOT_RUNNING):
        _log.warning("the engine refused: %s", _words(error))
