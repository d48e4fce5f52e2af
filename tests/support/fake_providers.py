"""Capacity providers of ECS in memory, and the tasks of one cluster that wait for instances."""

from collections.abc import Callable
from typing import Any

from tests.support.clients import FakeClient, OnCall, client_error
from tests.support.stack import ACCOUNT, REGION

Json = dict[str, Any]
NOT_FOUND = "The specified capacity provider does not exist."


class FakeProviders(FakeClient):
    """`attached` are the providers that a cluster uses, which cannot be deleted."""

    service = "ecs"

    def __init__(self, now_ms: Callable[[], int], on_call: OnCall) -> None:
        super().__init__(now_ms, on_call)
        self.providers: dict[str, Json] = {}
        self.attached: set[str] = set()
        self.tasks: list[str] = []
        self.delete_seconds = 0

    def do_create_capacity_provider(self, params: Json) -> Json:
        name = params["name"]
        assert not name.startswith(("aws", "ecs", "fargate"))
        group = params["autoScalingGroupProvider"]
        if name in self.providers:
            raise client_error(
                "ClientException",
                "The specified capacity provider already exists. To change the configuration of "
                "an existing capacity provider, update the capacity provider.",
                "CreateCapacityProvider",
            )
        scaling = {"minimumScalingStepSize": 1, "maximumScalingStepSize": 10000}
        self.providers[name] = {
            "capacityProviderArn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:capacity-provider/{name}",
            "name": name,
            "status": "ACTIVE",
            "tags": params.get("tags", []),
            "autoScalingGroupProvider": {
                **group,
                "managedScaling": {**scaling, **group["managedScaling"]},
            },
        }
        return {"capacityProvider": self.providers[name]}

    def do_update_capacity_provider(self, params: Json) -> Json:
        provider = self._provider(params["name"], "UpdateCapacityProvider")
        provider["autoScalingGroupProvider"] |= params["autoScalingGroupProvider"]
        return {"capacityProvider": provider}

    def do_describe_capacity_providers(self, params: Json) -> Json:
        assert len(params["capacityProviders"]) <= 100
        shown = []
        for name in params["capacityProviders"]:
            provider = self.providers.get(name)
            if provider is not None:
                if provider.get("gone_at_ms", self.now_ms() + 1) <= self.now_ms():
                    provider["status"] = "INACTIVE"
                shown.append({key: one for key, one in provider.items() if key != "gone_at_ms"})
        return {"capacityProviders": shown, "failures": []}

    def do_delete_capacity_provider(self, params: Json) -> Json:
        name = params["capacityProvider"]
        provider = self._provider(name, "DeleteCapacityProvider")
        if name in self.attached:
            raise client_error(
                "ClientException",
                "The specified capacity provider is in use and cannot be deleted.",
                "DeleteCapacityProvider",
            )
        provider["updateStatus"] = "DELETE_IN_PROGRESS"
        provider["gone_at_ms"] = self.now_ms() + self.delete_seconds * 1000
        return {"capacityProvider": provider}

    def do_tag_resource(self, params: Json) -> Json:
        provider = self._provider(params["resourceArn"].rpartition("/")[2], "TagResource")
        tags = {tag["key"]: tag["value"] for tag in (*provider["tags"], *params["tags"])}
        provider["tags"] = [{"key": key, "value": value} for key, value in tags.items()]
        return {}

    def do_list_tasks(self, params: Json) -> Json:
        return {"taskArns": self.tasks}

    def do_stop_task(self, params: Json) -> Json:
        self.tasks.remove(params["task"])
        return {}

    def _provider(self, name: str, operation: str) -> Json:
        if name not in self.providers or self.providers[name]["status"] == "INACTIVE":
            raise client_error("ClientException", NOT_FOUND, operation)
        return self.providers[name]
