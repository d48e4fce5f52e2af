"""Verbs on ECS. A task that is gone is an answer here, not an error."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.ports import ClusterInUseError

STOPPED = "STOPPED"


class BotoEcs:
    def __init__(self, client: Any) -> None:
        self._client = client

    def register_task_definition(self, request: Mapping[str, Any]) -> str:
        """Register and return the ARN of the new revision."""
        answer = self._client.register_task_definition(**request)
        return str(answer["taskDefinition"]["taskDefinitionArn"])

    def deregister_task_definition(self, arn: str) -> None:
        self._client.deregister_task_definition(taskDefinition=arn)

    def stop_task(self, cluster: str, task_arn: str, reason: str) -> None:
        """Tell ECS to stop the task; one that does not exist any more is stopped."""
        try:
            # ECS cuts no text: a reason over 1024 characters would be refused.
            self._client.stop_task(cluster=cluster, task=task_arn, reason=reason[:255])
        except ClientError as error:
            if error.response["Error"]["Code"] not in {
                "InvalidParameterException",
                "ClusterNotFoundException",
            }:
                raise

    def find_tasks(self, cluster: str, started_by: str) -> list[str]:
        """The ARNs of the tasks, running or lately stopped, that this fence started."""
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

    def describe_tasks(self, cluster: str, task_arns: list[str]) -> dict[str, dict[str, Any]]:
        """The tasks that ECS still knows, by ARN; at most 100 are asked for at once."""
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
        """The EC2 instance behind a container instance; None for one that is gone, or is none."""
        answer = self._client.describe_container_instances(
            cluster=cluster, containerInstances=[container_instance_arn]
        )
        found = [one.get("ec2InstanceId") for one in answer["containerInstances"]]
        return next((str(instance_id) for instance_id in found if instance_id), None)

    def make_cluster(
        self,
        name: str,
        *,
        capacity_providers: list[str],
        container_insights: str,
        tags: Mapping[str, str],
    ) -> None:
        """Make the cluster, or bring one of that name to these settings; idempotent."""
        settings = [{"name": "containerInsights", "value": container_insights}]
        self._client.create_cluster(
            clusterName=name,
            settings=settings,
            tags=[{"key": key, "value": value} for key, value in tags.items()],
        )
        self._client.update_cluster_settings(cluster=name, settings=settings)
        self._client.put_cluster_capacity_providers(
            cluster=name, capacityProviders=capacity_providers, defaultCapacityProviderStrategy=[]
        )

    def delete_cluster(self, name: str) -> None:
        """Delete the cluster; one that is gone is fine, ClusterInUseError while anything runs."""
        try:
            self._client.delete_cluster(cluster=name)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "ClusterNotFoundException":
                return
            if code.startswith("ClusterContains") or code == "UpdateInProgressException":
                raise ClusterInUseError(str(error)) from error
            raise

    def error_name(self, error: Exception) -> str:
        if isinstance(error, ClientError):
            return f"Ecs.{error.response['Error']['Code']}"
        if isinstance(error, BotoCoreError):
            return "Ecs.SdkClientException"  # the call did not get through
        return type(error).__name__
