"""Container instances of the local cloud: what ECS shows of the fleet's instances."""

import json
from collections.abc import Iterable
from typing import Any

from batchyard.cloud.fleet.fleet import Fleet
from batchyard.cloud.fleet.packing import Capacity, registered
from batchyard.cloud.fleet.plugs import Answer, replace, require
from batchyard.cloud.fleet.pools import pool_of_provider
from batchyard.cloud.fleet.port import container_instance_arn
from batchyard.cloud.fleet.values import Instance, State
from batchyard.cloud.fleet.worker import FleetWorker

LARGEST_PAGE = 100
Request = dict[str, Any]


def install(ecs: Any, worker: FleetWorker) -> None:
    """Replace what this module answers in the emulator's ECS."""
    require(ecs, "_resolve_cluster_name", "_clusters", "json_response", "error_response_json")
    plug = InstancesPlug(ecs, worker)
    actions = ecs._ACTION_MAP
    replace(actions, "ListContainerInstances", plug.list_arns)
    replace(actions, "DescribeContainerInstances", plug.describe)
    actions["UpdateContainerInstancesState"] = plug.update_state
    plug.delete = replace(actions, "DeleteCluster", plug.delete_cluster)
    plug.count_instances()


class InstancesPlug:
    """The actions of container instances."""

    def __init__(self, ecs: Any, worker: FleetWorker) -> None:
        self._ecs, self._worker = ecs, worker
        self.delete: Any = None

    def list_arns(self, request: Request) -> Answer:
        cluster = self._cluster(request)
        if cluster is None:
            return self._no_cluster()
        wanted = request.get("status")
        with self._worker.reading() as fleet:
            found = [
                container_instance_arn(one)
                for one in self._of(fleet, cluster)
                if wanted in (None, _status(one))
            ]
        start = int(request.get("nextToken") or 0)
        end = start + int(request.get("maxResults") or LARGEST_PAGE)
        page: dict[str, Any] = {"containerInstanceArns": found[start:end]}
        return self._answer(page | ({"nextToken": str(end)} if end < len(found) else {}))

    def describe(self, request: Request) -> Answer:
        cluster = self._cluster(request)
        if cluster is None:
            return self._no_cluster()
        with self._worker.reading() as fleet:
            found, failures = self._named(fleet, cluster, request)
            shown = [self._shown(one) for one in found]
        return self._answer({"containerInstances": shown, "failures": failures})

    def update_state(self, request: Request) -> Answer:
        """Have instances take no more tasks (DRAINING), or take them again (ACTIVE)."""
        cluster = self._cluster(request)
        if cluster is None:
            return self._no_cluster()
        with self._worker.changing() as fleet:
            found, failures = self._named(fleet, cluster, request)
            for one in found:
                one.accepts = request.get("status") == "ACTIVE"
            shown = [self._shown(one) for one in found]
        return self._answer({"containerInstances": shown, "failures": failures})

    def delete_cluster(self, request: Request) -> Answer:
        """Delete a cluster, unless instances are in it."""
        cluster = self._cluster(request)
        with self._worker.reading() as fleet:
            if cluster is not None and any(self._of(fleet, cluster)):
                refused: Answer = self._ecs.error_response_json(
                    "ClusterContainsContainerInstancesException",
                    "The Cluster cannot be deleted while Container Instances are active or "
                    "draining.",
                    400,
                )
                return refused
        done: Answer = self.delete(request)
        return done

    def count_instances(self) -> None:
        """Have clusters show how many instances they have."""
        recount = self._ecs._recount_cluster

        def recount_all(name: str) -> None:
            recount(name)
            cluster = self._ecs._clusters.get(name)
            if cluster and (self._worker.has_instances or _COUNT in cluster):
                with self._worker.reading() as fleet:
                    cluster[_COUNT] = sum(1 for _ in self._of(fleet, name))

        self._ecs._recount_cluster = recount_all

    def _of(self, fleet: Fleet, cluster: str) -> Iterable[Instance]:
        scope = self._ecs.get_account_id(), self._ecs.get_region()
        return (
            one
            for one in fleet.instances.values()
            if one.cluster == cluster
            and one.state is not State.BOOTING
            and (one.pool.account, one.pool.region) == scope
        )

    def _named(
        self, fleet: Fleet, cluster: str, request: Request
    ) -> tuple[list[Instance], list[dict[str, str]]]:
        known = {one.container_instance_id: one for one in self._of(fleet, cluster)}
        ids = {
            name: str(name).rpartition("/")[2] for name in request.get("containerInstances") or []
        }
        found = [known[one] for one in ids.values() if one in known]
        failures = [
            {"arn": name, "reason": "MISSING"} for name, one in ids.items() if one not in known
        ]
        return found, failures

    def _shown(self, one: Instance) -> dict[str, Any]:
        tasks = [self._ecs._tasks.get(arn) or {} for arn in one.tasks]
        running = sum(task.get("lastStatus") == "RUNNING" for task in tasks)
        provider = next((task.get("capacityProviderName") for task in tasks), None)
        shown = {
            "containerInstanceArn": container_instance_arn(one),
            "ec2InstanceId": one.id,
            "capacityProviderName": provider or self._provider(one),
            "version": 1,
            "registeredResources": _resources(registered(one.type)),
            "remainingResources": _resources(one.left),
            "status": _status(one),
            "agentConnected": True,
            "runningTasksCount": running,
            "pendingTasksCount": len(tasks) - running,
            "registeredAt": one.ready_at,
            "attributes": [
                {"name": "ecs.instance-type", "value": one.type.name},
                {"name": "ecs.cpu-architecture", "value": one.type.architecture},
                {"name": "ecs.availability-zone", "value": one.zone},
                {"name": "ecs.os-type", "value": "linux"},
            ],
        }
        return {name: value for name, value in shown.items() if value is not None}

    def _provider(self, one: Instance) -> str | None:
        scope = one.pool.account, one.pool.region
        for name, record in self._ecs._capacity_providers.items():
            if pool_of_provider(*scope, name, record) == one.pool:
                return str(name)
        return None

    def _cluster(self, request: Request) -> str | None:
        name = self._ecs._resolve_cluster_name(request.get("cluster", "default"))
        return name if name in self._ecs._clusters else None

    def _no_cluster(self) -> Answer:
        refused: Answer = self._ecs.error_response_json(
            "ClusterNotFoundException", "Cluster not found.", 400
        )
        return refused

    def _answer(self, whole: dict[str, Any]) -> Answer:
        done: Answer = self._ecs.json_response(json.loads(json.dumps(whole)))
        return done


_COUNT = "registeredContainerInstancesCount"


def _status(one: Instance) -> str:
    return "ACTIVE" if one.accepts and one.state is State.ACTIVE else "DRAINING"


def _resources(one: Capacity) -> list[dict[str, Any]]:
    numbers = {"CPU": one.cpu_units, "MEMORY": one.memory_mib}
    found: list[dict[str, Any]] = [
        {"name": name, "type": "INTEGER", "integerValue": value} for name, value in numbers.items()
    ]
    gpus = [f"GPU-{number}" for number in range(one.gpus)]
    if gpus:
        found.append({"name": "GPU", "type": "STRINGSET", "stringSetValue": gpus})
    return found
