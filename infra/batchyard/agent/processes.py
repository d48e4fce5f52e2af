"""Containers as plain processes: for machines without a container engine.

Owns: one process group per container in a session of its own, its pipe, its scratch
directory and its exit. The image, user, memory and volumes of a definition have no meaning
here; command, environment, exit code and output have the one they have in a container.
One pump thread waits for all of them; see `pump`. Health checks: `health`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from . import orphans
from .children import Children, has_exited
from .environment import process_environment
from .health import HealthWatch
from .plan import TaskPlan
from .pump import Pump, read_available
from .runtime import (
    LOOPBACK,
    ContainerExited,
    ContainerHealth,
    ContainerStart,
    ContainerStarted,
    Emit,
    StartFailed,
    shell_exit_code,
)

_POLL_SECONDS = 0.02


@dataclass(slots=True, kw_only=True)
class _Running:
    """One live container. `pipe` and `pidfd` are touched in the pump's thread only."""

    request: ContainerStart
    process: subprocess.Popen[bytes]
    pipe: int
    pidfd: int | None
    watched: bool = False
    pipe_open: bool = True
    health: HealthWatch | None = None


class ProcessRuntime:
    """The `Runtime` of plain processes.

    `path` is the PATH of containers whose definition sets none. Without `use_pidfd` exits are
    found by polling, for systems that have no pidfd.
    """

    name = "process"

    def __init__(
        self,
        *,
        scratch: Path,
        path: str,
        emit: Emit,
        use_pidfd: bool = hasattr(os, "pidfd_open"),
    ) -> None:
        self._scratch = scratch
        self._path = path
        self._emit = emit
        self._use_pidfd = use_pidfd
        self._children = Children()
        self._lock = threading.Lock()
        self._running: dict[str, _Running] = {}
        scratch.mkdir(parents=True, exist_ok=True)
        self._pump = Pump() if use_pidfd else Pump(tick=self._poll, tick_seconds=_POLL_SECONDS)

    def start(self, request: ContainerStart) -> ContainerStarted:
        argv = [*request.container.entry_point, *request.container.command]
        if not argv:
            raise StartFailed(
                "CannotCreateContainerError: Error response from daemon: no command specified"
            )
        home = self._scratch / request.task.task_id / request.container.name
        home.mkdir(parents=True, exist_ok=True)
        environment = process_environment(
            request.environment, path=self._path, home=str(home), runtime_id=request.runtime_id
        )
        process = self._spawn(argv, environment, home)
        assert process.stdout is not None
        running = _Running(
            request=request,
            process=process,
            pipe=process.stdout.fileno(),
            pidfd=os.pidfd_open(process.pid) if self._use_pidfd else None,
        )
        os.set_blocking(running.pipe, False)
        ticks = orphans.started_ticks(process.pid)
        if request.container.health_check is not None:
            running.health = self._watch_health(request, environment, home)
        with self._lock:
            self._running[request.runtime_id] = running
        self._pump.call(lambda: self._watch(running))
        return ContainerStarted(
            runtime_id=request.runtime_id,
            pid=process.pid,
            pid_started_ticks=ticks,
            address=LOOPBACK,
        )

    def terminate(self, runtime_id: str) -> None:
        self._signal(runtime_id, signal.SIGTERM)

    def kill(self, runtime_id: str) -> None:
        self._signal(runtime_id, signal.SIGKILL)

    def forget_task(self, task: TaskPlan) -> None:
        shutil.rmtree(self._scratch / task.task_id, ignore_errors=True)

    def clear_orphans(self, earlier: Iterable[ContainerStarted]) -> None:
        containers = list(earlier)
        for container in containers:
            if container.pid is not None:
                orphans.kill_process(container.pid, container.pid_started_ticks)
        orphans.kill_marked([container.runtime_id for container in containers])
        for left in self._scratch.iterdir():
            shutil.rmtree(left, ignore_errors=True)

    def close(self) -> None:
        self._pump.close()

    def _signal(self, runtime_id: str, number: signal.Signals) -> None:
        with self._lock:
            running = self._running.get(runtime_id)
        if running is not None:
            self._children.signal_group(running.process.pid, number)

    def _watch_health(
        self, request: ContainerStart, environment: dict[str, str], home: Path
    ) -> HealthWatch:
        assert request.container.health_check is not None

        def report(healthy: bool) -> None:
            self._emit(
                ContainerHealth(
                    task_id=request.task.task_id, name=request.container.name, healthy=healthy
                )
            )

        return HealthWatch(
            request.container.health_check,
            self._children,
            environment=environment,
            home=home,
            report=report,
        )

    def _watch(self, running: _Running) -> None:
        running.watched = True
        self._pump.add(running.pipe, lambda: self._on_output(running))
        if running.pidfd is not None:
            self._pump.add(running.pidfd, lambda: self._on_exit(running))

    def _poll(self) -> None:
        with self._lock:
            watched = [running for running in self._running.values() if running.watched]
        for running in watched:
            if has_exited(running.process.pid):
                self._on_exit(running)

    def _on_output(self, running: _Running) -> None:
        if not running.pipe_open:
            # Exit and output were ready in one turn of the pump, and the exit came first: the
            # number of the closed pipe may already be another container's.
            return
        data = read_available(running.pipe)
        if data:
            running.request.output.write(data)
        elif data is not None:
            self._close_pipe(running)

    def _on_exit(self, running: _Running) -> None:
        if running.health is not None:
            running.health.close()
        returncode = self._children.reap(running.process, running.request.runtime_id)
        with self._lock:
            del self._running[running.request.runtime_id]
        if running.pidfd is not None:
            self._pump.remove(running.pidfd)
            os.close(running.pidfd)
        while running.pipe_open and (data := read_available(running.pipe)):
            running.request.output.write(data)
        self._close_pipe(running)
        running.request.output.finish()
        self._emit(
            ContainerExited(
                task_id=running.request.task.task_id,
                name=running.request.container.name,
                runtime_id=running.request.runtime_id,
                exit_code=shell_exit_code(returncode),
            )
        )

    def _close_pipe(self, running: _Running) -> None:
        if running.pipe_open:
            running.pipe_open = False
            self._pump.remove(running.pipe)
            assert running.process.stdout is not None
            running.process.stdout.close()

    def _spawn(
        self, argv: list[str], environment: dict[str, str], home: Path
    ) -> subprocess.Popen[bytes]:
        try:
            return self._children.spawn(
                argv, environment=environment, home=home, output=subprocess.PIPE
            )
        except FileNotFoundError:
            cause = (
                "no such file or directory"
                if "/" in argv[0]
                else "executable file not found in $PATH"
            )
        except PermissionError:
            cause = "permission denied"
        except (OSError, ValueError) as error:
            cause = str(error)
        raise StartFailed(
            "CannotStartContainerError: Error response from daemon: failed to create task for "
            f'container: unable to start container process: exec: "{argv[0]}": {cause}'
        )
