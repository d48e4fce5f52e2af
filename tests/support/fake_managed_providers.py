"""Capacity providers in memory: of Auto Scaling groups, and of ECS Managed Instances.

The latter belong to one cluster each.

As in AWS, ECS takes a while to create, change and delete one, refuses a name that is taken, and
deletes none that a cluster has attached.
"""

from typing import Any

from tests.support.clients import client_error
from tests.support.fake_clusters import FakeClusters, arn_of, name_of
from tests.support.stack import ACCOUNT, REGION

Json = dict[str, Any]
EXISTS = (
    "The specified capacity provider already exists. To change the configuration of an existing "
    "capacity provider, update the capacity provider."
)
MISSING = (
    "The specified capacity provider does not exist. Specify a valid name or ARN and try again."
)
IN_USE = "The capacity provider cannot be deleted because it is associated with cluster: {}."
BUSY = "The capacity provider is being modified. UPDATE_IN_PROGRESS"


class FakeManagedProviders(FakeClusters):
    """`provider_seconds` is how long each change takes; `provider_failures` why one then fails:

    by CREATE, UPDATE or DELETE.
    """

    providers: dict[str, Json]
    provider_seconds: float = 0
    provider_failures: dict[str, str]

    def do_create_capacity_provider(self, params: Json) -> Json:
        name = params["name"]
        assert not name.lower().startswith(("aws", "ecs", "fargate"))
        if name in self.providers:
            raise client_error("ClientException", EXISTS, "CreateCapacityProvider")
        if "autoScalingGroupProvider" in params:
            return self._create_for_group(params)
        cluster = name_of(params["cluster"])
        self.cluster(params, "CreateCapacityProvider")
        given = params["managedInstancesProvider"]
        optimization = {"scaleInAfter": 300, **given.get("infrastructureOptimization", {})}
        self.providers[name] = {
            "capacityProviderArn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:capacity-provider/{name}",
            "name": name,
            "cluster": arn_of(cluster),
            "type": "MANAGED_INSTANCES",
            "tags": params.get("tags", []),
            "managedInstancesProvider": {
                "propagateTags": "NONE",
                **given,
                "infrastructureOptimization": optimization,
            },
        }
        self._begin(name, "CREATE")
        return {"capacityProvider": self._shown(name)}

    def _create_for_group(self, params: Json) -> Json:
        name = params["name"]
        self.providers[name] = {
            "capacityProviderArn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:capacity-provider/{name}",
            "name": name,
            "tags": params.get("tags", []),
            "autoScalingGroupProvider": params["autoScalingGroupProvider"],
        }
        self._begin(name, "CREATE")
        return {"capacityProvider": self._shown(name)}

    def do_update_capacity_provider(self, params: Json) -> Json:
        provider = self._provider(params["name"], "UpdateCapacityProvider")
        if "autoScalingGroupProvider" in params:
            provider["autoScalingGroupProvider"] |= params["autoScalingGroupProvider"]
            self._begin(params["name"], "UPDATE")
            return {"capacityProvider": self._shown(params["name"])}
        assert name_of(params["cluster"]) == name_of(provider["cluster"])
        current = provider["managedInstancesProvider"]
        given = params["managedInstancesProvider"]
        template = current["instanceLaunchTemplate"] | given["instanceLaunchTemplate"]
        if "UPDATE" not in self.provider_failures:
            provider["managedInstancesProvider"] = {
                **current,
                **given,
                "instanceLaunchTemplate": template,
            }
        self._begin(params["name"], "UPDATE")
        return {"capacityProvider": self._shown(params["name"])}

    def do_describe_capacity_providers(self, params: Json) -> Json:
        for name in [one for one in self.providers if self._is_gone(one)]:
            del self.providers[name]
        known = [name for name in params["capacityProviders"] if name in self.providers]
        shown = [self._shown(name) for name in known]
        if "TAGS" not in params.get("include", []):
            shown = [{key: one for key, one in each.items() if key != "tags"} for each in shown]
        return {"capacityProviders": shown, "failures": []}

    def do_delete_capacity_provider(self, params: Json) -> Json:
        name = params["capacityProvider"]
        provider = self._provider(name, "DeleteCapacityProvider")
        assert name_of(params.get("cluster", "")) == name_of(provider.get("cluster", ""))
        users = [one for one, cluster in self.clusters.items() if name in cluster["providers"]]
        if users:
            raise client_error("ClientException", IN_USE.format(*users), "DeleteCapacityProvider")
        self._begin(name, "DELETE")
        return {"capacityProvider": self._shown(name)}

    def do_tag_resource(self, params: Json) -> Json:
        kind, _, name = params["resourceArn"].rpartition(":")[2].partition("/")
        if kind != "capacity-provider":
            return super().do_tag_resource(params)
        provider = self._provider(name, "TagResource")
        tags = {tag["key"]: tag["value"] for tag in (*provider["tags"], *params["tags"])}
        provider["tags"] = [{"key": key, "value": value} for key, value in tags.items()]
        return {}

    def providers_of(self, name: str) -> list[str]:
        there = [one for one in self.providers if not self._is_gone(one)]
        return [one for one in there if name_of(self.providers[one].get("cluster", "")) == name]

    def _begin(self, name: str, change: str) -> None:
        done_at_ms = self.now_ms() + self.provider_seconds * 1000
        self.providers[name]["change"] = (change, done_at_ms, self.provider_failures.get(change))

    def _is_gone(self, name: str) -> bool:
        return bool(self._shown(name)["updateStatus"] == "DELETE_COMPLETE")

    def _shown(self, name: str) -> Json:
        provider = dict(self.providers[name])
        change, done_at_ms, failure = provider.pop("change")
        if self.now_ms() < done_at_ms:
            provider["updateStatus"] = f"{change}_IN_PROGRESS"
        elif failure is None:
            provider["updateStatus"] = f"{change}_COMPLETE"
        else:
            provider |= {"updateStatus": f"{change}_FAILED", "updateStatusReason": failure}
        return {"status": "ACTIVE", **provider}

    def _provider(self, name: str, operation: str) -> Json:
        """Return the provider that a call names, which ECS must not be changing."""
        if name not in self.providers or self._is_gone(name):
            raise client_error("ClientException", MISSING, operation)
        if self._shown(name)["updateStatus"].endswith("_IN_PROGRESS"):
            raise client_error("UpdateInProgressException", BUSY, operation)
        return self.providers[name]
