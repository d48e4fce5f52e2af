"""Containers as plain processes: for machines without a container engine.

Owns: one process group per container in a session of its own, its output, its scratch
directory and its exit. The processes are the `keeper`'s children, so they outlive this agent.
The image, user, memory and volumes of a definition have no meaning here; command, environment,
exit code and output have the one they have in a container. One pump thread waits for all of
them; see `pump`. Health checks: `health`.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import orphans
from .children import Children
from .environment import process_environment
from .health import HealthWatch
from .keeper_client import KeeperClient, KeeperGone, KeptProcess
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
)
from .spool import Spool

PRIVATE = 0o700


@dataclass(slots=True, kw_only=True)
class _Running:
    """One live container. All but `pid` is touched in the pump's thread only."""

    request: ContainerStart
    pid: int
    pipe: int
    spool: Spool
    pipe_open: bool = True
    health: HealthWatch | None = None


class ProcessRuntime:
    """The `Runtime` of plain processes.

    `keeper` is a connection to the keeper, `path` the PATH of containers whose definition sets
    none. `children` are this process's own, for health checks. `on_keeper_gone` is called when the
    keeper has ended: all containers are then killed, and nothing can be started any more.
    """

    name = "process"

    def __init__(
        self,
        *,
        scratch: Path,
        spools: Path,
        path: str,
        emit: Emit,
        keeper: socket.socket,
        children: Children,
        on_keeper_gone: Callable[[], None],
    ) -> None:
        self._scratch = scratch
        self._spools = spools
        self._path = path
        self._emit = emit
        self._children = children
        self._on_keeper_gone = on_keeper_gone
        self._lock = threading.Lock()
        self._running: dict[str, _Running] = {}
        self._tasks: dict[str, set[str]] = {}  # runtime ids by task id, until forgotten
        scratch.mkdir(parents=True, exist_ok=True)
        spools.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        self._keeper = KeeperClient(keeper, on_exit=self._on_exit, on_gone=self._on_gone)
        self._pump = Pump()
        self._pump.call(lambda: self._pump.add(self._keeper.fileno(), self._keeper.on_readable))

    @property
    def session(self) -> str:
        return self._keeper.session

    def kept(self) -> Collection[str]:
        # A copy, made at once: what is adopted leaves it, in the pump's thread.
        return frozenset(self._keeper.kept)

    def start(self, request: ContainerStart) -> ContainerStarted:
        argv = [*request.container.entry_point, *request.container.command]
        if not argv:
            raise StartFailed(
                "CannotCreateContainerError: Error response from daemon: no command specified"
            )
        home = self._home(request)
        home.mkdir(parents=True, exist_ok=True)
        environment = process_environment(
            request.environment, path=self._path, home=str(home), runtime_id=request.runtime_id
        )
        self._note(request)
        spool = Spool(self._spools / request.runtime_id)
        try:
            process = self._keeper.start(
                request.runtime_id,
                argv,
                environment=environment,
                home=home,
                on_started=lambda made: self._watch(request, made, spool),
            )
        except (OSError, ValueError, KeeperGone) as error:
            spool.close()
            raise StartFailed(
                "CannotStartContainerError: Error response from daemon: failed to create task for "
                "container: unable to start container process: exec: "
                f'"{argv[0]}": {_cause(argv[0], error)}'
            ) from error
        return _started(request, process)

    def adopt(self, request: ContainerStart) -> ContainerStarted:
        process = self._keeper.kept[request.runtime_id]
        self._note(request)
        spool = Spool(self._spools / request.runtime_id)
        self._pump.call(lambda: self._adopt(request, spool))
        return _started(request, process)

    def terminate(self, runtime_id: str) -> None:
        self._signal(runtime_id, signal.SIGTERM)

    def kill(self, runtime_id: str) -> None:
        self._signal(runtime_id, signal.SIGKILL)

    def forget_task(self, task: TaskPlan) -> None:
        with self._lock:
            runtime_ids = self._tasks.pop(task.task_id, set())
        for runtime_id in runtime_ids:
            self._keeper.forget(runtime_id)
            (self._spools / runtime_id).unlink(missing_ok=True)
        shutil.rmtree(self._scratch / task.task_id, ignore_errors=True)

    def clear_orphans(self, earlier: Iterable[ContainerStarted]) -> None:
        with self._lock:
            tasks = set(self._tasks)
            adopted = {runtime_id for ids in self._tasks.values() for runtime_id in ids}
        for runtime_id in frozenset(self._keeper.kept) - adopted:
            self._keeper.signal(runtime_id, signal.SIGKILL)
            self._keeper.forget(runtime_id)
        containers = [one for one in earlier if one.runtime_id not in adopted]
        for container in containers:
            if container.pid is not None:
                orphans.kill_process(container.pid, container.pid_started_ticks)
        orphans.kill_marked([container.runtime_id for container in containers])
        for left in self._scratch.iterdir():
            if left.name not in tasks:
                shutil.rmtree(left, ignore_errors=True)
        for left in self._spools.iterdir():
            if left.name not in adopted:
                left.unlink(missing_ok=True)

    def close(self) -> None:
        self._pump.close()
        self._keeper.close()

    def _signal(self, runtime_id: str, number: signal.Signals) -> None:
        self._keeper.signal(runtime_id, number)

    def _home(self, request: ContainerStart) -> Path:
        return self._scratch / request.task.task_id / request.container.name

    def _note(self, request: ContainerStart) -> None:
        with self._lock:
            self._tasks.setdefault(request.task.task_id, set()).add(request.runtime_id)

    def _watch_health(self, request: ContainerStart, environment: Mapping[str, str]) -> HealthWatch:
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
            home=self._home(request),
            report=report,
        )

    def _watch(self, request: ContainerStart, process: KeptProcess, spool: Spool) -> None:
        running = _Running(request=request, pid=process.pid, pipe=process.fd, spool=spool)
        os.set_blocking(running.pipe, False)
        if request.container.health_check is not None and process.code is None:
            running.health = self._watch_health(request, process.environment)
        self._running[request.runtime_id] = running
        self._pump.add(running.pipe, lambda: self._on_output(running))

    def _adopt(self, request: ContainerStart, spool: Spool) -> None:
        # Taken here, where exits are handled: it may have ended since the agent asked for it.
        process = self._keeper.kept.pop(request.runtime_id)
        if spool.is_whole:
            request.output.replay()
            request.output.write(spool.read())
        self._watch(request, process, spool)
        if process.code is not None:
            self._on_exit(request.runtime_id, process.code)

    def _on_output(self, running: _Running) -> None:
        if not running.pipe_open:
            # Exit and output were ready in one turn of the pump, and the exit came first: the
            # number of the closed pipe may already be another container's.
            return
        data = read_available(running.pipe)
        if data:
            self._take(running, data)
        elif data is not None:
            self._close_pipe(running)

    @staticmethod
    def _take(running: _Running, data: bytes) -> None:
        # Written down first: what is taken off the pipe is nowhere else until it has been sent.
        running.spool.write(data)
        running.request.output.write(data)

    def _on_exit(self, runtime_id: str, code: int) -> None:
        running = self._running.pop(runtime_id, None)
        if running is None:
            return  # one that no agent wanted any more
        if running.health is not None:
            running.health.close()
        while running.pipe_open and (data := read_available(running.pipe)):
            self._take(running, data)
        self._close_pipe(running)
        running.spool.close()
        running.request.output.finish()
        self._emit(
            ContainerExited(
                task_id=running.request.task.task_id,
                name=running.request.container.name,
                runtime_id=runtime_id,
                exit_code=code,
            )
        )

    def _on_gone(self) -> None:
        """Kill what nobody would see end."""
        self._pump.remove(self._keeper.fileno())
        for runtime_id, running in self._running.items():
            orphans.kill_process(running.pid, orphans.started_ticks(running.pid))
            orphans.kill_marked([runtime_id])
        self._on_keeper_gone()

    def _close_pipe(self, running: _Running) -> None:
        if running.pipe_open:
            running.pipe_open = False
            self._pump.remove(running.pipe)
            os.close(running.pipe)


def _started(request: ContainerStart, process: KeptProcess) -> ContainerStarted:
    return ContainerStarted(
        runtime_id=request.runtime_id,
        pid=process.pid,
        pid_started_ticks=orphans.started_ticks(process.pid),
        address=LOOPBACK,
    )


def _cause(program: str, error: Exception) -> str:
    match error:
        case FileNotFoundError():
            return (
                "no such file or directory"
                if "/" in program
                else "executable file not found in $PATH"
            )
        case PermissionError():
            return "permission denied"
        case _:
            return str(error)
