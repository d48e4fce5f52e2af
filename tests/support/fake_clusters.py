"""The clusters of ECS in memory: settings, tags, and capacity providers that take time to attach.

As in AWS, a cluster is created again only with the arguments of the first time, its providers
cannot be changed while they are being attached, and no task can use one before that.
"""

from collections.abc import Callable
from typing import Any

from tests.support.clients import FakeClient, client_error
from tests.support.stack import ACCOUNT, REGION

Json = dict[str, Any]

INCONSISTENT = (
    "Arguments on this idempotent request are inconsistent with arguments used in previous "
    "request(s)."
)
NOT_ASSOCIATED = (
    "The specified capacity provider strategy cannot contain a capacity provider that is not "
    "associated with the cluster. Associate the capacity provider with the cluster and try again."
)
NO_INSTANCES = "No Container Instances were found in your cluster."
_SHOWN_ON_REQUEST = {"SETTINGS": ["settings"], "TAGS": ["tags"]}


class FakeClusters(FakeClient):
    """The part of ECS that knows clusters. `attach_seconds` is how long providers take."""

    service = "ecs"
    clusters: dict[str, Json]
    attach_seconds: float = 0
    attachments_fail: bool = False
    has_instances: bool = True  # in every cluster

    def do_create_cluster(self, params: Json) -> Json:
        name = params["clusterName"]
        found = self.clusters.get(name)
        if found is not None and found["arguments"] != params:
            raise client_error("InvalidParameterException", INCONSISTENT, "CreateCluster")
        if found is None:
            found = self.clusters[name] = {
                "arguments": params,
                "settings": params.get("settings", []),
                "tags": params.get("tags", []),
                "providers": [],
                "default": [],
                "attached_at_ms": None,
            }
            if "capacityProviders" in params:
                self._attach(found, params)
        return {"cluster": self._described(name, ["SETTINGS", "TAGS"])}

    def do_describe_clusters(self, params: Json) -> Json:
        names = [name_of(cluster) for cluster in params["clusters"]]
        known = [name for name in names if name in self.clusters]
        return {
            "clusters": [self._described(name, params.get("include", [])) for name in known],
            "failures": [
                {"arn": arn_of(name), "reason": "MISSING"} for name in names if name not in known
            ],
        }

    def do_update_cluster_settings(self, params: Json) -> Json:
        self.cluster(params, "UpdateClusterSettings")["settings"] = params["settings"]
        return {}

    def do_tag_resource(self, params: Json) -> Json:
        given = {"cluster": params["resourceArn"]}
        cluster = self.cluster(given, "TagResource")
        tags = {tag["key"]: tag["value"] for tag in (*cluster["tags"], *params["tags"])}
        cluster["tags"] = [{"key": key, "value": value} for key, value in tags.items()]
        return {}

    def do_put_cluster_capacity_providers(self, params: Json) -> Json:
        cluster = self.cluster(params, "PutClusterCapacityProviders")
        self._refuse_while_attaching(cluster, "PutClusterCapacityProviders")
        self._attach(cluster, params)
        return {"cluster": self._described(name_of(params["cluster"]), [])}

    def do_delete_cluster(self, params: Json) -> Json:
        self._refuse_while_attaching(self.cluster(params, "DeleteCluster"), "DeleteCluster")
        name = name_of(params["cluster"])
        if self.has_tasks(name):
            raise client_error(
                "ClusterContainsTasksException",
                "The Cluster cannot be deleted while Tasks are active.",
                "DeleteCluster",
            )
        assert not self.providers_of(name), "a capacity provider is left without its cluster"
        del self.clusters[name]
        return {}

    def providers_of(self, name: str) -> list[str]:
        """Return the capacity providers that belong to the cluster."""
        return []

    def has_tasks(self, name: str) -> bool:
        """Return whether tasks of the cluster have not stopped."""
        raise NotImplementedError

    def cluster(self, params: Json, operation: str) -> Json:
        """Return the cluster that a call names; the error of ECS where there is none."""
        name = name_of(params["cluster"])
        if name not in self.clusters:
            raise client_error("ClusterNotFoundException", "Cluster not found.", operation)
        return self.clusters[name]

    def refuse_launch(self, params: Json) -> None:
        """Raise what RunTask answers where the cluster cannot take the task at all."""
        cluster = self.cluster(params, "RunTask")
        strategy = params.get("capacityProviderStrategy", [])
        assert not ("launchType" in params and strategy), "either a launch type or a strategy"
        if "launchType" not in params and not strategy:
            strategy = cluster["default"]
        used = {item["capacityProvider"] for item in strategy}
        usable = set() if self._is_attaching(cluster) else set(cluster["providers"])
        if not used <= usable:
            raise client_error("InvalidParameterException", NOT_ASSOCIATED, "RunTask")
        if not used and not self.has_instances:
            raise client_error("InvalidParameterException", NO_INSTANCES, "RunTask")

    def _attach(self, cluster: Json, params: Json) -> None:
        cluster["providers"] = params["capacityProviders"]
        cluster["default"] = params.get("defaultCapacityProviderStrategy", [])
        if self.attach_seconds:
            cluster["attached_at_ms"] = self.now_ms() + self.attach_seconds * 1000

    def _is_attaching(self, cluster: Json) -> bool:
        return cluster["attached_at_ms"] is not None and self.now_ms() < cluster["attached_at_ms"]

    def _refuse_while_attaching(self, cluster: Json, operation: str) -> None:
        if self._is_attaching(cluster):
            raise client_error(
                "UpdateInProgressException",
                "The specified cluster is in a busy state. Try again later.",
                operation,
            )

    def _described(self, name: str, include: list[str]) -> Json:
        cluster = self.clusters[name]
        shown = [member for one in include for member in _SHOWN_ON_REQUEST.get(one, [])]
        described = {
            "clusterName": name,
            "clusterArn": arn_of(name),
            "status": "ACTIVE",
            "capacityProviders": cluster["providers"],
            "defaultCapacityProviderStrategy": cluster["default"],
            **{member: cluster[member] for member in shown},
        }
        if "ATTACHMENTS" in include and cluster["attached_at_ms"] is not None:
            busy = self._is_attaching(cluster)
            done = "UPDATE_FAILED" if self.attachments_fail else "UPDATE_COMPLETE"
            described["attachmentsStatus"] = "UPDATE_IN_PROGRESS" if busy else done
        return described


class Bucket:
    """A token bucket on the test's clock: `burst` at once, then `per_second`."""

    def __init__(self, now_ms: Callable[[], int], *, burst: int, per_second: float) -> None:
        self._now_ms, self._burst, self._per_second = now_ms, burst, per_second
        self._tokens, self._at_ms = float(burst), now_ms()

    def take(self) -> bool:
        """Take a token if there is one."""
        now_ms = self._now_ms()
        gained = (now_ms - self._at_ms) / 1000 * self._per_second
        self._tokens, self._at_ms = min(self._burst, self._tokens + gained), now_ms
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def name_of(cluster: str) -> str:
    """Return the name in the name or ARN of a cluster."""
    return cluster.rpartition("/")[2]


def arn_of(name: str) -> str:
    return f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{name}"
