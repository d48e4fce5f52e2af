"""The client of ECS. A task or cluster that does not exist is not an error here."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from chalicelib.core.cluster import Cluster, ClusterChanges, ClusterPlan
from chalicelib.core.instances.providers import Provider
from chalicelib.ports import ClusterInUseError

STOPPED = "STOPPED"
_NO_PROVIDER = "The specified capacity provider does not exist"
_QUOTED_VALUE = re.compile(r", value: .*(?=, type: )", re.DOTALL)


class BotoEcs:
    def __init__(self, client: Any) -> None:
        self._client = client

    def register_task_definition(self, request: Mapping[str, Any]) -> str:
        try:
            answer = self._client.register_task_definition(**request)
        except ParamValidationError as error:
            # botocore quotes values, those of a job's environment too, and this text is logged.
            raise ValueError(_QUOTED_VALUE.sub("", str(error))) from None
        return str(answer["taskDefinition"]["taskDefinitionArn"])

    def deregister_task_definition(self, arn: str) -> None:
        self._client.deregister_task_definition(taskDefinition=arn)

    def stop_task(self, cluster: str, task_arn: str, reason: str) -> None:
        try:
            # ECS refuses a reason of more than 1024 characters.
            self._client.stop_task(cluster=cluster, task=task_arn, reason=reason[:255])
        except ClientError as error:
            if error.response["Error"]["Code"] not in {
                "InvalidParameterException",
                "ClusterNotFoundException",
            }:
                raise

    def find_tasks(self, cluster: str, started_by: str) -> list[str]:
        found: list[str] = []
        for status in ("RUNNING", STOPPED):
            try:
                answer = self._client.list_tasks(
                    cluster=cluster, startedBy=started_by, desiredStatus=status
                )
            except ClientError as error:
                if error.response["Error"]["Code"] == "ClusterNotFoundException":
                    return []
                raise
            found.extend(answer["taskArns"])
        return found

    def list_tasks(self, cluster: str) -> list[str]:
        """Return the tasks of the cluster, read in pages of 100, the limit of ListTasks."""
        found, after = self.list_tasks_page(cluster, None)
        while after is not None:
            page, after = self.list_tasks_page(cluster, after)
            found.extend(page)
        return found

    def list_tasks_page(self, cluster: str, after: str | None) -> tuple[list[str], str | None]:
        page = {} if after is None else {"nextToken": after}
        try:
            answer = self._client.list_tasks(cluster=cluster, maxResults=100, **page)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ClusterNotFoundException":
                return [], None
            raise
        return list(answer["taskArns"]), answer.get("nextToken") or None

    def describe_tasks(self, cluster: str, task_arns: list[str]) -> dict[str, dict[str, Any]]:
        """Return the tasks by ARN, read in pages of 100, the limit of DescribeTasks."""
        tasks: dict[str, dict[str, Any]] = {}
        for start in range(0, len(task_arns), 100):
            page = task_arns[start : start + 100]
            try:
                answer = self._client.describe_tasks(cluster=cluster, tasks=page)
            except ClientError as error:
                if error.response["Error"]["Code"] == "ClusterNotFoundException":
                    return {}
                raise
            tasks |= {task["taskArn"]: task for task in answer["tasks"]}
        return tasks

    def find_instance(self, cluster: str, container_instance_arn: str) -> str | None:
        answer = self._client.describe_container_instances(
            cluster=cluster, containerInstances=[container_instance_arn]
        )
        found = [one.get("ec2InstanceId") for one in answer["containerInstances"]]
        return next((str(instance_id) for instance_id in found if instance_id), None)

    def find_cluster(self, name: str) -> Cluster | None:
        answer = self._client.describe_clusters(
            clusters=[name], include=["ATTACHMENTS", "SETTINGS", "TAGS"]
        )
        # For a while after its deletion a cluster is described as INACTIVE.
        found = [one for one in answer["clusters"] if one.get("status") != "INACTIVE"]
        return _cluster_from(found[0]) if found else None

    def create_cluster(self, plan: ClusterPlan) -> None:
        request: dict[str, Any] = {
            "clusterName": plan.name,
            "settings": _settings(plan.container_insights),
        }
        if plan.tags:
            request["tags"] = _tags(plan.tags)
        if plan.providers is not None:
            request["capacityProviders"] = list(plan.providers)
        self._client.create_cluster(**request)

    def update_cluster(self, cluster: Cluster, changes: ClusterChanges) -> None:
        if changes.container_insights is not None:
            self._client.update_cluster_settings(
                cluster=cluster.name, settings=_settings(changes.container_insights)
            )
        if changes.tags:
            self.tag(cluster.arn, changes.tags)
        if changes.providers is not None:
            self._client.put_cluster_capacity_providers(
                cluster=cluster.name,
                capacityProviders=list(changes.providers),
                defaultCapacityProviderStrategy=[],
            )

    def delete_cluster(self, name: str) -> None:
        try:
            self._client.delete_cluster(cluster=name)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "ClusterNotFoundException":
                return
            if code.startswith("ClusterContains"):
                raise ClusterInUseError(str(error)) from error
            raise

    def find_providers(
        self, names: Sequence[str], cluster: str | None = None
    ) -> dict[str, Provider]:
        members: dict[str, Any] = {"capacityProviders": list(names), "include": ["TAGS"]}
        if cluster is not None:
            members["cluster"] = cluster
        answer = self._client.describe_capacity_providers(**members)
        found = [_provider_from(one) for one in answer["capacityProviders"]]
        # For a while after its deletion a provider is described as INACTIVE.
        return {one.name: one for one in found if one.status != "INACTIVE"}

    def create_provider(self, request: Mapping[str, Any]) -> None:
        self._client.create_capacity_provider(**request)

    def update_provider(self, request: Mapping[str, Any]) -> None:
        self._client.update_capacity_provider(**request)

    def delete_provider(self, name: str, cluster: str | None = None) -> None:
        members = {"capacityProvider": name}
        if cluster is not None:
            members["cluster"] = cluster
        try:
            self._client.delete_capacity_provider(**members)
        except ClientError as error:
            if _NO_PROVIDER not in error.response["Error"].get("Message", ""):
                raise

    def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        self._client.tag_resource(resourceArn=arn, tags=_tags(tags))

    def error_name(self, error: Exception) -> str:
        if isinstance(error, ClientError):
            return f"Ecs.{error.response['Error']['Code']}"
        if isinstance(error, BotoCoreError):
            return "Ecs.SdkClientException"  # no response was received
        return type(error).__name__


def _settings(container_insights: str) -> list[dict[str, str]]:
    return [{"name": "containerInsights", "value": container_insights}]


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _provider_from(described: Mapping[str, Any]) -> Provider:
    return Provider(
        name=described["name"],
        status=described.get("status") or "ACTIVE",
        update_status=described.get("updateStatus") or "",
        reason=described.get("updateStatusReason") or "",
        shown=described,
    )


def _cluster_from(described: Mapping[str, Any]) -> Cluster:
    settings = {one.get("name"): one.get("value") for one in described.get("settings") or ()}
    return Cluster(
        name=described["clusterName"],
        arn=described["clusterArn"],
        status=described.get("status") or "ACTIVE",
        attachments=described.get("attachmentsStatus") or "",
        container_insights=settings.get("containerInsights"),
        tags={tag["key"]: tag.get("value", "") for tag in described.get("tags") or ()},
        providers=tuple(described.get("capacityProviders") or ()),
    )
