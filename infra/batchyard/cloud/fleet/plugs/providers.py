"""Capacity providers of the local cloud, kept whole: of Auto Scaling groups and managed instances.

Replaced: the emulator drops what it does not know, managed instances first of all.
"""

import json
from typing import Any

from batchyard.cloud.fleet.plugs import Answer, Refused, replace, require
from batchyard.cloud.fleet.pools import pool_of_provider
from batchyard.cloud.fleet.worker import FleetWorker

OF_FARGATE = ("FARGATE", "FARGATE_SPOT")
_RESERVED = ("aws", "ecs", "fargate")
_KINDS = {
    "autoScalingGroupProvider": "EC2_AUTOSCALING",
    "managedInstancesProvider": "MANAGED_INSTANCES",
}
_GROUP_DEFAULTS = {
    "managedScaling": {
        "status": "DISABLED",
        "targetCapacity": 100,
        "minimumScalingStepSize": 1,
        "maximumScalingStepSize": 10000,
        "instanceWarmupPeriod": 300,
    },
    "managedTerminationProtection": "DISABLED",
    "managedDraining": "ENABLED",
}
Request = dict[str, Any]
Record = dict[str, Any]


class Invalid(Refused):
    """A request that ECS refuses as invalid."""

    def __init__(self, message: str, code: str = "InvalidParameterException") -> None:
        super().__init__(code, message)


def install(ecs: Any, autoscaling: Any, worker: FleetWorker) -> None:
    """Replace what this module answers in the emulator's ECS."""
    require(ecs, "_resolve_cluster_name", "_resolve_capacity_provider_name", "_tags", "_clusters")
    plug = ProvidersPlug(ecs, worker, autoscaling._asgs)
    actions = ecs._ACTION_MAP
    for name, answer in (
        ("CreateCapacityProvider", plug.create),
        ("UpdateCapacityProvider", plug.update),
        ("DeleteCapacityProvider", plug.delete),
        ("PutClusterCapacityProviders", plug.put_on_cluster),
    ):
        replace(actions, name, plug.answered(answer))
    plug.describe_theirs = replace(actions, "DescribeCapacityProviders", plug.describe)


class ProvidersPlug:
    """The actions of capacity providers."""

    def __init__(self, ecs: Any, worker: FleetWorker, groups: Any) -> None:
        self._ecs, self._worker, self._groups = ecs, worker, groups
        self.describe_theirs: Any = None

    def answered(self, answer: Any) -> Any:
        """Return the handler of an action; the fleet takes a step after it."""

        def handle(request: Request) -> Answer:
            try:
                whole = answer(request)
            except Refused as refused:
                error: Answer = self._ecs.error_response_json(refused.code, str(refused), 400)
                return error
            self._worker.wake()
            done: Answer = self._ecs.json_response(whole)
            return done

        return handle

    def create(self, request: Request) -> Record:
        name = request.get("name", "")
        if not name or name.lower().startswith(_RESERVED):
            raise Invalid(
                "The specified capacity provider name is invalid. Up to 255 characters are "
                "allowed, and the name can't be prefixed with aws, ecs or fargate.",
                "ClientException",
            )
        if name in self._ecs._capacity_providers:
            raise Invalid(
                "The specified capacity provider already exists. To change the configuration of an "
                "existing capacity provider, update the capacity provider.",
                "ClientException",
            )
        kinds = [kind for kind in _KINDS if request.get(kind)]
        if len(kinds) != 1:
            raise Invalid("Exactly one kind of capacity provider must be specified.")
        described = request[kinds[0]]
        if kinds[0] == "autoScalingGroupProvider":
            described = {**_GROUP_DEFAULTS, **described}
            if described["managedScaling"].get("status") is None:
                described["managedScaling"] = {**described["managedScaling"], "status": "ENABLED"}
            self._check_group(described)
        elif self._ecs._resolve_cluster_name(request.get("cluster")) not in self._ecs._clusters:
            raise Invalid("Cluster not found.", "ClusterNotFoundException")
        arn = self._arn(name)
        record = {
            "capacityProviderArn": arn,
            "name": name,
            "status": "ACTIVE",
            kinds[0]: described,
            "updateStatus": "CREATE_COMPLETE",
            "type": _KINDS[kinds[0]],
            "tags": request.get("tags") or [],
        }
        if request.get("cluster"):
            cluster = self._ecs._resolve_cluster_name(request["cluster"])
            record["cluster"] = self._ecs._clusters[cluster]["clusterArn"]
        self._ecs._capacity_providers[name] = record
        if record["tags"]:
            self._ecs._tags[arn] = list(record["tags"])
        return {"capacityProvider": record}

    def update(self, request: Request) -> Record:
        record = self._record(request.get("name", ""))
        for kind in _KINDS:
            if request.get(kind) and kind in record:
                record[kind] = {**record[kind], **request[kind]}
        record["updateStatus"] = "UPDATE_COMPLETE"
        return {"capacityProvider": record}

    def delete(self, request: Request) -> Record:
        record = self._record(request.get("capacityProvider", ""))
        clusters = [
            cluster["clusterName"]
            for cluster in self._ecs._clusters.values()
            if record["name"] in cluster["capacityProviders"]
        ]
        if clusters:
            raise Invalid(
                "The capacity provider cannot be deleted because it is associated with cluster: "
                f"{', '.join(clusters)}. Remove the capacity provider from the cluster and try "
                "again.",
                "ClientException",
            )
        self._ecs._capacity_providers.pop(record["name"], None)
        self._ecs._tags.pop(record["capacityProviderArn"], None)
        shown = {**record, "status": "DEPROVISIONING", "updateStatus": "DELETE_IN_PROGRESS"}
        return {"capacityProvider": shown}

    def describe(self, request: Request) -> Answer:
        """Describe providers, with a failure for each name that there is none of."""
        wanted = request.get("capacityProviders") or []
        names = {one: self._ecs._resolve_capacity_provider_name(one) for one in wanted}
        missing = [
            {"arn": self._arn(name or one), "reason": "MISSING"}
            for one, name in names.items()
            if name not in OF_FARGATE and name not in self._ecs._capacity_providers
        ]
        status, _, body = self.describe_theirs(request)
        whole = json.loads(body)
        done: Answer = self._ecs.json_response({**whole, "failures": missing}, status)
        return done

    def put_on_cluster(self, request: Request) -> Record:
        name = self._ecs._resolve_cluster_name(request.get("cluster", "default"))
        cluster = self._ecs._clusters.get(name)
        if cluster is None:
            raise Invalid("Cluster not found.", "ClusterNotFoundException")
        wanted = request.get("capacityProviders") or []
        for one in wanted:
            if one not in OF_FARGATE and one not in self._ecs._capacity_providers:
                raise Invalid(
                    f"The specified capacity provider '{one}' is not in an ACTIVE state. Specify a "
                    "valid capacity provider and try again."
                )
        removed = [one for one in cluster["capacityProviders"] if one not in wanted]
        if any(self._is_used(one) for one in removed):
            raise Invalid(
                "The specified capacity provider is in use and cannot be removed.",
                "ResourceInUseException",
            )
        cluster["capacityProviders"] = wanted
        strategy = request.get("defaultCapacityProviderStrategy") or []
        cluster["defaultCapacityProviderStrategy"] = strategy
        return {"cluster": {**cluster, "attachmentsStatus": "UPDATE_COMPLETE"}}

    def _is_used(self, name: str) -> bool:
        record = self._ecs._capacity_providers.get(name) or {}
        pool = pool_of_provider(self._ecs.get_account_id(), self._ecs.get_region(), name, record)
        with self._worker.reading() as fleet:
            return pool is not None and (
                any(one.pool == pool for one in fleet.waiting.values())
                or any(one.tasks for one in fleet.of_pool(pool))
            )

    def _check_group(self, described: Record) -> None:
        arn = described.get("autoScalingGroupArn", "")
        group = self._groups.get(arn.rpartition("autoScalingGroupName/")[2])
        if group is None:
            raise Invalid(
                "The specified Auto Scaling group ARN is not valid. Specify a valid ARN and try "
                "again.",
                "ClientException",
            )
        protected = group["NewInstancesProtectedFromScaleIn"]
        if described["managedTerminationProtection"] == "ENABLED" and not protected:
            raise Invalid(
                "The managed termination protection setting for the capacity provider is invalid. "
                "To enable managed termination protection for a capacity provider, the Auto "
                "Scaling group must have instance protection from scale in enabled.",
                "ClientException",
            )

    def _record(self, reference: str) -> Record:
        name = self._ecs._resolve_capacity_provider_name(reference)
        record: Record | None = self._ecs._capacity_providers.get(name)
        if record is None:
            raise Invalid(
                "The specified capacity provider does not exist. Specify a valid name or ARN and "
                "try again.",
                "ClientException",
            )
        return record

    def _arn(self, name: str) -> str:
        scope = f"{self._ecs.get_region()}:{self._ecs.get_account_id()}"
        return f"arn:aws:ecs:{scope}:capacity-provider/{name}"
