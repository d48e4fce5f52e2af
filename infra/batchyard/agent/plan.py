"""What a task runs: its definition and overrides, merged into a `TaskPlan`.

Pure. Owns the meaning of ECS's task definition and overrides as far as running them goes.
It must not know how a container is run, nor when: see `lifecycle` for the order and
`runtime` for the doing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

Json = dict[str, Any]

DEFAULT_STOP_TIMEOUT_SECONDS = 30
"""How long ECS leaves a container between SIGTERM and SIGKILL by default."""


class Condition(Enum):
    """What a container waits for in another one before it starts."""

    START = "START"
    COMPLETE = "COMPLETE"
    SUCCESS = "SUCCESS"
    HEALTHY = "HEALTHY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """One entry of `dependsOn`."""

    container: str
    condition: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTarget:
    """Where a container's output goes in CloudWatch Logs."""

    group: str
    stream: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """A container's own health check; `argv` is ready to run, without CMD or CMD-SHELL."""

    argv: tuple[str, ...]
    interval_seconds: float
    timeout_seconds: float
    retries: int
    start_period_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerPlan:
    """One container, overrides applied. `definition` is the raw one, for engine options."""

    name: str
    image: str
    entry_point: tuple[str, ...]
    command: tuple[str, ...]
    environment: Mapping[str, str]
    secrets: Mapping[str, str]
    essential: bool
    depends_on: tuple[Dependency, ...]
    stop_timeout_seconds: int
    cpu_units: int
    memory_mib: int
    log: LogTarget | None
    health_check: HealthCheck | None
    definition: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPlan:
    """Everything a runtime needs to know of one task."""

    task_id: str
    task_arn: str
    cluster_arn: str
    launch_type: str
    containers: tuple[ContainerPlan, ...]
    volumes: tuple[Json, ...]

    def container(self, name: str) -> ContainerPlan:
        """Return the container of that name; KeyError when the task has none."""
        for container in self.containers:
            if container.name == name:
                return container
        raise KeyError(name)


def plan_task(task: Json, task_definition: Json) -> TaskPlan:
    """Merge a task (as DescribeTasks gives it) with its definition."""
    overrides = task.get("overrides") or {}
    by_name = {
        override.get("name", ""): override for override in overrides.get("containerOverrides") or []
    }
    task_arn = str(task["taskArn"])
    task_id = task_arn.rsplit("/", 1)[-1]
    task_memory_mib = _whole(overrides.get("memory") or task_definition.get("memory"))
    return TaskPlan(
        task_id=task_id,
        task_arn=task_arn,
        cluster_arn=str(task["clusterArn"]),
        launch_type=str(task.get("launchType") or "EC2"),
        containers=tuple(
            _plan_container(
                definition, by_name.get(definition["name"], {}), task_id, task_memory_mib
            )
            for definition in task_definition.get("containerDefinitions") or []
        ),
        volumes=tuple(task_definition.get("volumes") or ()),
    )


def _plan_container(
    definition: Json, override: Json, task_id: str, task_memory_mib: int
) -> ContainerPlan:
    environment = _pairs(definition.get("environment")) | _pairs(override.get("environment"))
    memory_mib = _whole(override.get("memory") or definition.get("memory")) or task_memory_mib
    stop_timeout = definition.get("stopTimeout")
    return ContainerPlan(
        name=str(definition["name"]),
        image=str(definition.get("image") or ""),
        entry_point=_words(definition.get("entryPoint")),
        command=_words(override.get("command") or definition.get("command")),
        environment=environment,
        secrets=_pairs(definition.get("secrets"), value_key="valueFrom"),
        essential=definition.get("essential") is not False,
        depends_on=tuple(
            Dependency(
                container=str(entry["containerName"]), condition=Condition(entry["condition"])
            )
            for entry in definition.get("dependsOn") or []
        ),
        stop_timeout_seconds=(
            DEFAULT_STOP_TIMEOUT_SECONDS if stop_timeout is None else int(stop_timeout)
        ),
        cpu_units=_whole(override.get("cpu") or definition.get("cpu")),
        memory_mib=memory_mib,
        log=_log_target(definition, task_id),
        health_check=_health_check(definition.get("healthCheck")),
        definition=definition,
    )


def _log_target(definition: Json, task_id: str) -> LogTarget | None:
    configuration = definition.get("logConfiguration") or {}
    options = configuration.get("options") or {}
    if configuration.get("logDriver") != "awslogs" or not options.get("awslogs-group"):
        return None
    prefix = options.get("awslogs-stream-prefix")
    # Without a prefix ECS names the stream after the container's runtime id, which is not
    # known beforehand; the task id is as unique and can be found.
    stream = f"{prefix}/{definition['name']}/{task_id}" if prefix else task_id
    return LogTarget(group=str(options["awslogs-group"]), stream=stream)


def _health_check(check: Json | None) -> HealthCheck | None:
    words = _words((check or {}).get("command"))
    if not check or not words or words[0] == "NONE":
        return None
    match words[0]:
        case "CMD-SHELL":
            argv: tuple[str, ...] = ("/bin/sh", "-c", " ".join(words[1:]))
        case "CMD":
            argv = words[1:]
        case _:
            argv = ("/bin/sh", "-c", " ".join(words))
    return HealthCheck(
        argv=argv,
        interval_seconds=float(check.get("interval") or 30),
        timeout_seconds=float(check.get("timeout") or 5),
        retries=int(check.get("retries") or 3),
        start_period_seconds=float(check.get("startPeriod") or 0),
    )


def _pairs(entries: Sequence[Json] | None, value_key: str = "value") -> dict[str, str]:
    return {str(entry["name"]): str(entry.get(value_key) or "") for entry in entries or ()}


def _words(words: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(str(word) for word in words or ())


def _whole(number: str | int | None) -> int:
    return int(number or 0)
