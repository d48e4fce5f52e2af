"""ECS of the local cloud: tasks of capacity providers that wait for an instance of the fleet.

A task of an Auto Scaling group's or of managed instances' provider begins PROVISIONING, by the
emulator's own path for tasks that start later. Every other task passes by: it costs one look-up.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from batchyard.cloud.fleet import documents, texts
from batchyard.cloud.fleet.packing import TaskNeed
from batchyard.cloud.fleet.plugs import Answer, replace, require
from batchyard.cloud.fleet.pools import pool_of_provider
from batchyard.cloud.fleet.port import NEED
from batchyard.cloud.fleet.values import PoolId, Waiting
from batchyard.cloud.fleet.worker import FleetWorker

# ECS's quota "Tasks in the PROVISIONING state per cluster".
PROVISIONING_LIMIT = 500
LIMIT_REACHED = (
    "You've reached the limit on the number of tasks that can be in the PROVISIONING state in the "
    f"cluster ({PROVISIONING_LIMIT})."
)
NOT_ASSOCIATED = (
    "The specified capacity provider strategy cannot contain a capacity provider that is not "
    "associated with the cluster. Associate the capacity provider with the cluster and try again."
)
Request = dict[str, Any]


class _NoEngine:
    """What the emulator takes for a container engine while it records a task of the fleet."""


_starts_later: ContextVar[bool] = ContextVar("starts_later", default=False)


def install(ecs: Any, worker: FleetWorker) -> None:
    """Replace what this module answers in the emulator's ECS."""
    require(ecs, "_launch_choice", "_task_capacity", "_sanitize", "_bump_task_version")
    require(ecs, "resource_lock", "request_scope", "spawn_background", "_tasks", "_task_defs")
    require(ecs, "_resolve_cluster_name", "_resolve_td_key", "_clusters", "_capacity_providers")
    plug = EcsPlug(ecs, worker)
    plug.run = replace(ecs._ACTION_MAP, "RunTask", plug.run_task)
    replace(ecs._ACTION_MAP, "SubmitTaskStateChange", plug.submit_state)
    plug.record_starting_tasks()
    plug.watch_ends()
    plug.restore_waiting()


class EcsPlug:
    """The actions of tasks."""

    def __init__(self, ecs: Any, worker: FleetWorker) -> None:
        self._ecs, self._worker = ecs, worker
        self.run: Any = None

    def run_task(self, request: Request) -> Answer:
        """Run a task as the emulator does, or have it wait for an instance."""
        ecs = self._ecs
        cluster = ecs._resolve_cluster_name(request.get("cluster", "default"))
        _, strategy, _ = ecs._launch_choice(request, ecs._clusters.get(cluster))
        provider = ecs._task_capacity(None, strategy)[1] if strategy else None
        pool = self._pool(provider)
        if pool is None:
            refused = self._refused_by_fargate(cluster, provider)
            answer: Answer = refused or self.run(request)
            return answer
        if provider not in (ecs._clusters.get(cluster) or {}).get("capacityProviders", []):
            detached: Answer = ecs.error_response_json(
                "InvalidParameterException", NOT_ASSOCIATED, 400
            )
            return detached
        with self._worker.reading() as fleet:
            if fleet.count_waiting(cluster) + int(request.get("count", 1)) > PROVISIONING_LIMIT:
                limited: Answer = ecs.error_response_json("ClientException", LIMIT_REACHED, 400)
                return limited
        with _tasks_start_later():
            status, headers, body = self.run(request)
        if status != 200:
            return status, headers, body
        whole = json.loads(body)
        for task in whole["tasks"]:
            del task["containerInstanceArn"]
        self._await_instances(pool, cluster, [task["taskArn"] for task in whole["tasks"]])
        done: Answer = ecs.json_response(whole)
        return done

    def _pool(self, provider: str | None) -> PoolId | None:
        record = self._ecs._capacity_providers.get(provider) if provider else None
        if record is None:
            return None
        scope = self._ecs.get_account_id(), self._ecs.get_region()
        return pool_of_provider(*scope, str(provider), record)

    def _refused_by_fargate(self, cluster: str, provider: str | None) -> Answer | None:
        # Read without the lock, which a task of Fargate need not wait for.
        closed = self._worker.closed_clusters
        if not closed or provider is None or closed.get(cluster, 0.0) <= self._worker.now():
            return None
        refused: Answer = self._ecs.error_response_json(
            "ClientException", texts.CAPACITY_IS_UNAVAILABLE, 400
        )
        return refused

    def _await_instances(self, pool: PoolId, cluster: str, arns: list[str]) -> None:
        now = self._worker.now()
        with self._worker.changing() as fleet:
            for arn in arns:
                task = self._ecs._tasks[arn]
                definition = self._ecs._task_defs[
                    self._ecs._resolve_td_key(task["taskDefinitionArn"])
                ]
                need = documents.need_of(definition, task["overrides"])
                if pool.is_managed and need.architecture is None:
                    need = TaskNeed(**{**_fields(need), "architecture": "x86_64"})
                task[NEED] = _fields(need)
                task.pop("containerInstanceArn", None)
                if pool.is_managed:
                    task["launchType"] = "MANAGED_INSTANCES"
                if task["desiredStatus"] != "STOPPED":
                    fleet.add(Waiting(arn=arn, pool=pool, cluster=cluster, need=need, since=now))

    def submit_state(self, request: Request) -> Answer:
        """Record what the agent reports of a task on an instance: that it runs, or has ended."""
        ecs, arn = self._ecs, request.get("task", "")
        task = ecs._tasks.get(arn)
        if task is not None and request.get("status") == "RUNNING":
            ecs._mark_task_running(arn, task)
        elif task is not None and request.get("status") == "STOPPED":
            ecs._mark_task_stopped(
                arn, task, request.get("reason", ""), "EssentialContainerExited", exit_code=0
            )
            with self._worker.changing() as fleet:
                fleet.remove(arn, self._worker.now())
        done: Answer = ecs.json_response({"acknowledgment": "ACCEPT"})
        return done

    def record_starting_tasks(self) -> None:
        """Have the emulator record tasks of the fleet as it records those of an engine."""
        ecs = self._ecs
        engine, ensure_reaper = ecs._get_docker, ecs._ensure_ecs_reaper_thread
        work = ecs._run_task_worker

        def get_engine() -> Any:
            return _NoEngine() if _starts_later.get() else engine()

        def ensure_unless_ours() -> None:
            if not _starts_later.get():
                ensure_reaper()

        def work_unless_ours(*arguments: Any) -> None:
            if not any(isinstance(one, _NoEngine) for one in arguments):
                work(*arguments)

        ecs._get_docker, ecs._run_task_worker = get_engine, work_unless_ours
        ecs._ensure_ecs_reaper_thread = ensure_unless_ours

    def watch_ends(self) -> None:
        """See when a task is stopped that has no instance yet."""
        mark = self._ecs._mark_task_stopped

        def mark_and_see(arn: str, task: Any, *arguments: Any, **named: Any) -> Any:
            done = mark(arn, task, *arguments, **named)
            if NEED in task:
                with self._worker.reading() as fleet:
                    if fleet.stop_waiting(arn):
                        self._worker.wake()
            return done

        self._ecs._mark_task_stopped = mark_and_see

    def restore_waiting(self) -> None:
        """Have the tasks wait again that had not begun to run when the emulator saved its data."""
        load = self._ecs.load_persisted_state

        def load_and_wait(data: Any) -> None:
            begun = _not_begun(data)
            load(data)
            with self._worker.changing() as fleet:
                for (account, region, arn), need in begun.items():
                    task = self._ecs._tasks.get_scoped(account, region, arn)
                    name = str(task.get("capacityProviderName"))
                    record = self._ecs._capacity_providers.get_scoped(account, region, name) or {}
                    pool = pool_of_provider(account, region, name, record)
                    task["lastStatus"] = "PROVISIONING"
                    task.pop("containerInstanceArn", None)
                    missing = PoolId(account=account, region=region, name=name)
                    fleet.add(
                        Waiting(
                            arn=arn,
                            # Of a provider that is gone: the next step ends the wait.
                            pool=pool or missing,
                            cluster=task["clusterArn"].rpartition("/")[2],
                            need=TaskNeed(**need),
                            since=self._worker.now(),
                        )
                    )

        self._ecs.load_persisted_state = load_and_wait


@contextmanager
def _tasks_start_later() -> Iterator[None]:
    token = _starts_later.set(True)
    try:
        yield
    finally:
        _starts_later.reset(token)


def _not_begun(data: Any) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Return the needs of the saved tasks of the fleet that no agent had begun to run."""
    tasks = (data or {}).get("tasks")
    return {
        key: task[NEED]
        for key, task in (tasks.all_items() if tasks else [])
        if NEED in task
        and task["desiredStatus"] == "RUNNING"
        and task["lastStatus"] in ("PROVISIONING", "PENDING")
    }


def _fields(need: TaskNeed) -> dict[str, Any]:
    return {
        "cpu_units": need.cpu_units,
        "memory_mib": need.memory_mib,
        "gpus": need.gpus,
        "architecture": need.architecture,
    }
