"""What a stack and its environments have made in an account, part by part: found and removed.

Each part finds what is left by names and tags alone, so that a removal that broke off can be
repeated, also when the stack itself is gone. Removing what is gone already does nothing.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from botocore.exceptions import ClientError

from batchyard.cloud.adopt import describe_table, table_names
from batchyard.cloud.paths import REPOSITORY, STACK
from batchyard.cloud.stacks import DeployError, Session
from batchyard.cloud.template import Template, load_stack

STACK_TAG = "batchyard:stack"
FARGATE = frozenset({"FARGATE", "FARGATE_SPOT"})
STOP_REASON = "The stack is being removed."
# A task has two minutes to stop (ECS's longest stopTimeout), and ECS some time to say so.
CLUSTER_PATIENCE_SECONDS = 600.0
FIRST_POLL_SECONDS, LONGEST_POLL_SECONDS = 0.5, 10.0
Sleep = Callable[[float], None]


class Part(Protocol):
    """One kind of thing that belongs to a stack."""

    title: str
    # Data, and what rows of the tables refer to: stays with --keep-tables.
    is_data: bool

    def find(self) -> list[str]:
        """Return the names of those that exist."""

    def remove(self, name: str) -> None:
        """Remove one of them; do nothing if it is gone."""


@dataclass(slots=True, kw_only=True)
class Account:
    """The account and region of a session, and a stack's name in it."""

    session: Session
    stack: str
    sleep: Sleep = time.sleep
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self.session.client(service)
        return self._clients[service]

    def pages(self, service: str, operation: str, member: str, **request: Any) -> Iterator[Any]:
        """Yield the members of all pages of an operation that lists something."""
        for page in self.client(service).get_paginator(operation).paginate(**request):
            yield from page[member]

    @property
    def cluster_prefix(self) -> str:
        """How the names of the stack's clusters begin; stacks' names have no underscore."""
        return f"{self.stack}_"


@cache
def ours() -> Template:
    """Return our part of the template, which names what the stack makes; do not change it."""
    return load_stack(STACK, REPOSITORY / "statemachines")


def code_of(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


@dataclass(slots=True)
class Executions:
    """Running executions of the stack's machines; a machine waits for them when it is deleted."""

    account: Account
    title: str = "running executions"
    is_data: bool = False

    def find(self) -> list[str]:
        return [
            execution["executionArn"]
            for machine in self._machines()
            for execution in self.account.pages(
                "stepfunctions", "list_executions", "executions",
                stateMachineArn=machine, statusFilter="RUNNING",
            )
        ]  # fmt: skip

    def remove(self, name: str) -> None:
        try:
            self.account.client("stepfunctions").stop_execution(
                executionArn=name, cause=STOP_REASON
            )
        except ClientError as error:
            if code_of(error) != "ExecutionDoesNotExist":
                raise

    def _machines(self) -> Iterator[str]:
        """Yield the ARNs of our Standard machines: Express executions cannot be listed."""
        names = {
            resource["Properties"]["StateMachineName"]["Fn::Sub"].replace(
                "${AWS::StackName}", self.account.stack
            )
            for resource in ours()["Resources"].values()
            if resource.get("Type") == "AWS::StepFunctions::StateMachine"
            and resource["Properties"]["StateMachineType"] == "STANDARD"
        }
        machines = self.account.pages("stepfunctions", "list_state_machines", "stateMachines")
        yield from (one["stateMachineArn"] for one in machines if one["name"] in names)


@dataclass(slots=True)
class Tasks:
    """Running tasks of the stack's clusters, named as `<cluster> <task's ARN>`."""

    account: Account
    title: str = "running tasks"
    is_data: bool = False

    def find(self) -> list[str]:
        return [
            f"{cluster} {task}"
            for cluster in Clusters(self.account).find()
            for task in running_tasks(self.account, cluster)
        ]

    def remove(self, name: str) -> None:
        cluster, task = name.split(" ")
        try:
            self.account.client("ecs").stop_task(cluster=cluster, task=task, reason=STOP_REASON)
        except ClientError as error:
            if code_of(error) not in {"ClusterNotFoundException", "InvalidParameterException"}:
                raise  # InvalidParameterException: the task is gone


def running_tasks(account: Account, cluster: str) -> Iterator[str]:
    """Yield the ARNs of tasks of a cluster that run, or will."""
    yield from account.pages(
        "ecs", "list_tasks", "taskArns", cluster=cluster, desiredStatus="RUNNING"
    )


@dataclass(slots=True)
class Clusters:
    """The clusters of compute environments.

    Instances and capacity providers in one are the user's: they leave it and stay as they are.
    """

    account: Account
    title: str = "ECS clusters"
    is_data: bool = False

    def find(self) -> list[str]:
        arns = self.account.pages("ecs", "list_clusters", "clusterArns")
        names = sorted(arn.rpartition("/")[2] for arn in arns)
        named = [name for name in names if name.startswith(self.account.cluster_prefix)]
        return [name for name in named if self._exists(name)]

    def _exists(self, name: str) -> bool:
        """Return whether the cluster is there; ECS lists one that was deleted for some time."""
        found = self.account.client("ecs").describe_clusters(clusters=[name])["clusters"]
        return any(one["status"] != "INACTIVE" for one in found)

    def remove(self, name: str) -> None:
        """Delete the cluster once its tasks have stopped; deregister its instances before."""
        ecs = self.account.client("ecs")
        pause_seconds, waited_seconds = FIRST_POLL_SECONDS, 0.0
        while True:
            try:
                self._empty(name)
                ecs.delete_cluster(cluster=name)
                return
            except ClientError as error:
                if code_of(error) == "ClusterNotFoundException":
                    return
                passes = code_of(error) in {
                    "ClusterContainsTasksException", "UpdateInProgressException",
                    "ResourceInUseException",
                    "ClusterContainsContainerInstancesException",
                    "ClusterContainsCapacityProviderException",
                }  # fmt: skip
                if not passes or waited_seconds >= CLUSTER_PATIENCE_SECONDS:
                    raise DeployError(f"The cluster {name} cannot be deleted: {error}") from error
            self.account.sleep(pause_seconds)
            waited_seconds += pause_seconds
            pause_seconds = min(pause_seconds * 1.5, LONGEST_POLL_SECONDS)

    def _empty(self, cluster: str) -> None:
        ecs = self.account.client("ecs")
        tasks = Tasks(self.account)
        for task in running_tasks(self.account, cluster):
            tasks.remove(f"{cluster} {task}")  # launched since the others were stopped
        instances = self.account.pages(
            "ecs", "list_container_instances", "containerInstanceArns", cluster=cluster
        )
        for instance in instances:
            ecs.deregister_container_instance(
                cluster=cluster, containerInstance=instance, force=True
            )
        for found in ecs.describe_clusters(clusters=[cluster])["clusters"]:
            if set(found.get("capacityProviders", [])) - FARGATE:
                ecs.put_cluster_capacity_providers(
                    cluster=cluster, capacityProviders=[], defaultCapacityProviderStrategy=[]
                )


@dataclass(slots=True)
class Rules:
    """The rules of triggers, on any bus, named as `<bus> <rule>`."""

    account: Account
    title: str = "rules of triggers"
    is_data: bool = False

    def find(self) -> list[str]:
        events = self.account.client("events")
        buses = [one["Name"] for one in _all(events.list_event_buses, "EventBuses")]
        return [
            f"{bus} {rule['Name']}"
            for bus in buses
            for rule in _all(
                events.list_rules, "Rules", EventBusName=bus,
                NamePrefix=f"{self.account.stack}-trigger-",
            )
            if self._targets(bus, rule["Name"], others=True) == []
        ]  # fmt: skip

    def remove(self, name: str) -> None:
        bus, rule = name.split(" ")
        events = self.account.client("events")
        try:
            ids = self._targets(bus, rule, others=False)
            if ids:
                events.remove_targets(Rule=rule, EventBusName=bus, Ids=ids)
            events.delete_rule(Name=rule, EventBusName=bus)
        except ClientError as error:
            if code_of(error) != "ResourceNotFoundException":
                raise

    def _targets(self, bus: str, rule: str, *, others: bool) -> list[str]:
        """Return the ids of targets: all, or those that are not this stack's trigger queue.

        A rule of a stack whose name begins with ours has others.
        """
        events = self.account.client("events")
        targets = _all(events.list_targets_by_rule, "Targets", Rule=rule, EventBusName=bus)
        queue = f":{self.account.stack}-triggers"
        return [one["Id"] for one in targets if not (others and one["Arn"].endswith(queue))]


def _all(operation: Callable[..., Any], member: str, **request: Any) -> list[dict[str, Any]]:
    """Return what an operation of EventBridge lists on all its pages; it has no paginators."""
    answer = operation(**request)
    found: list[dict[str, Any]] = answer[member]
    while answer.get("NextToken"):
        answer = operation(**request, NextToken=answer["NextToken"])
        found += answer[member]
    return found


@dataclass(slots=True)
class TaskDefinitions:
    """The task definitions that the rows of the catalog name."""

    account: Account
    title: str = "task definitions"
    is_data: bool = True

    def find(self) -> list[str]:
        """Return the ARNs of those that are registered; none when the catalog is gone."""
        table = table_names(ours(), self.account.stack)["CatalogTable"]
        if describe_table(self.account.client("dynamodb"), table) is None:
            return []
        rows = self.account.pages(
            "dynamodb", "query", "Items", TableName=table, ConsistentRead=True,
            KeyConditionExpression="kind = :kind",
            ExpressionAttributeValues={":kind": {"S": "task-definition"}},
        )  # fmt: skip
        named = (json.loads(row["document"]["S"]).get("arn") for row in rows)
        return [arn for arn in dict.fromkeys(named) if arn and self._is_active(arn)]

    def remove(self, name: str) -> None:
        self.account.client("ecs").deregister_task_definition(taskDefinition=name)

    def _is_active(self, arn: str) -> bool:
        try:
            found = self.account.client("ecs").describe_task_definition(taskDefinition=arn)
        except ClientError:  # ECS has one error for all that it does not find
            return False
        return bool(found["taskDefinition"].get("status", "ACTIVE") == "ACTIVE")


@dataclass(slots=True)
class ScheduleGroups:
    """The group of the triggers' schedules, with all that are in it."""

    account: Account
    title: str = "schedule groups"
    is_data: bool = False

    def find(self) -> list[str]:
        groups = self.account.pages(
            "scheduler", "list_schedule_groups", "ScheduleGroups", NamePrefix=self.account.stack
        )
        return [
            group["Name"]
            for group in groups
            if group["Name"] == self.account.stack and group.get("State") != "DELETING"
        ]

    def remove(self, name: str) -> None:
        try:
            self.account.client("scheduler").delete_schedule_group(Name=name)
        except ClientError as error:
            if code_of(error) != "ResourceNotFoundException":
                raise


def infrastructure(account: Account) -> Sequence[Part]:
    """Return what runs and what makes things run, in the order in which it can be removed."""
    return (
        Tasks(account),
        Clusters(account),
        Rules(account),
        ScheduleGroups(account),
    )
