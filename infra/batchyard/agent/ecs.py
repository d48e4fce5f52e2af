"""The AWS calls the agent makes: ECS, SQS, CloudWatch Logs, and secrets.

Owns: the ports' boto3 implementations, their retries and their paging. It must not decide
anything. The emulator's ECS answers a 500 now and then while tasks change beside it, so
each call is tried again at once; only then is it `EcsUnavailable`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from .events import json_ready
from .plan import Json, LogTarget

T = TypeVar("T")

_TRIES = 3
_PAUSE_SECONDS = 0.02
_DESCRIBE_BATCH = 100
_GONE = frozenset({"ClusterNotFoundException", "InvalidParameterException"})


class EcsUnavailable(Exception):
    """ECS gave no usable answer, several times."""


class DefinitionGone(EcsUnavailable):
    """The task definition has been deleted."""


class EcsPort(Protocol):
    """What the agent needs of ECS. Every method may raise `EcsUnavailable`."""

    def list_cluster_arns(self, prefix: str) -> list[str]:
        """Return the clusters whose name begins with the prefix."""

    def list_task_arns(self, cluster_arn: str, desired_status: str) -> list[str]:
        """Return the tasks of a cluster; none when the cluster is gone."""

    def describe_tasks(self, cluster_arn: str, task_arns: Sequence[str]) -> list[Json]:
        """Return the records of those that exist, with times as text."""

    def describe_task_definition(self, arn: str) -> Json:
        """Return a task definition; a revision never changes, so it is read once.

        Raises `DefinitionGone` when it has been deleted.
        """

    def count_pending(self, cluster_arn: str) -> int:
        """Return how many tasks of a cluster have been placed and do not run yet."""

    def stop_task(self, cluster_arn: str, task_arn: str, reason: str) -> None:
        """Record a task's end; nothing when ECS does not know it."""

    def submit_state(self, cluster_arn: str, task_arn: str, status: str, reason: str) -> None:
        """Report that a task on an instance is RUNNING or STOPPED, as the instance's own agent."""


def client(service: str, *, endpoint_url: str, region: str, keys: Mapping[str, str]) -> Any:
    """Return a boto3 client of the emulator; `keys` are environment variables by name."""
    # Typed as anything: the service's name is known only when this runs.
    session: Any = boto3.session.Session()
    return session.client(
        service,
        endpoint_url=endpoint_url,
        region_name=region,
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        config=Config(
            retries={"mode": "standard", "total_max_attempts": 1},
            connect_timeout=5,
            read_timeout=20,
            max_pool_connections=16,
            parameter_validation=False,
        ),
    )


class BotoEcs:
    """`EcsPort` on a boto3 client."""

    def __init__(self, ecs: Any) -> None:
        self._ecs = ecs
        self._definitions: dict[str, Json] = {}

    def list_cluster_arns(self, prefix: str) -> list[str]:
        arns = list(self._pages(self._ecs.list_clusters, "clusterArns"))
        return [arn for arn in arns if arn.rsplit("/", 1)[-1].startswith(prefix)]

    def list_task_arns(self, cluster_arn: str, desired_status: str) -> list[str]:
        return list(
            self._pages(
                self._ecs.list_tasks, "taskArns", cluster=cluster_arn, desiredStatus=desired_status
            )
        )

    def describe_tasks(self, cluster_arn: str, task_arns: Sequence[str]) -> list[Json]:
        found: list[Json] = []
        for start in range(0, len(task_arns), _DESCRIBE_BATCH):
            batch = list(task_arns[start : start + _DESCRIBE_BATCH])
            answer = _retried(partial(self._ecs.describe_tasks, cluster=cluster_arn, tasks=batch))
            found.extend(json_ready(task) for task in (answer or {}).get("tasks", []))
        return found

    def describe_task_definition(self, arn: str) -> Json:
        if arn not in self._definitions:
            answer = _retried(partial(self._ecs.describe_task_definition, taskDefinition=arn))
            if answer is None:
                raise DefinitionGone(f"task definition {arn} is gone")
            self._definitions[arn] = answer["taskDefinition"]
        return self._definitions[arn]

    def stop_task(self, cluster_arn: str, task_arn: str, reason: str) -> None:
        _retried(partial(self._ecs.stop_task, cluster=cluster_arn, task=task_arn, reason=reason))

    def count_pending(self, cluster_arn: str) -> int:
        answer = _retried(partial(self._ecs.describe_clusters, clusters=[cluster_arn])) or {}
        return sum(int(one["pendingTasksCount"]) for one in answer.get("clusters", []))

    def submit_state(self, cluster_arn: str, task_arn: str, status: str, reason: str) -> None:
        _retried(
            partial(
                self._ecs.submit_task_state_change,
                cluster=cluster_arn,
                task=task_arn,
                status=status,
                reason=reason,
            )
        )

    def _pages(self, call: Callable[..., Any], member: str, **arguments: Any) -> Iterator[str]:
        token: dict[str, str] = {}
        while True:
            answer = _retried(partial(call, **arguments, **token)) or {}
            yield from answer.get(member, [])
            if not answer.get("nextToken"):
                return
            token = {"nextToken": answer["nextToken"]}


class BotoQueue:
    """Sends to the task-events queue."""

    def __init__(self, sqs: Any, queue_url: str) -> None:
        self._sqs = sqs
        self._queue_url = queue_url

    def send_batch(self, bodies: Sequence[str]) -> list[int]:
        """Send up to ten messages; the positions of those that were refused. May raise."""
        answer = self._sqs.send_message_batch(
            QueueUrl=self._queue_url,
            Entries=[{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies)],
        )
        return [int(entry["Id"]) for entry in answer.get("Failed", [])]


class BotoLogs:
    """`LogsPort` on a boto3 client."""

    def __init__(self, logs: Any) -> None:
        self._logs = logs

    def create_stream(self, target: LogTarget) -> None:
        try:
            self._create(
                "create_log_stream", logGroupName=target.group, logStreamName=target.stream
            )
        except self._logs.exceptions.ResourceNotFoundException:
            self._create("create_log_group", logGroupName=target.group)
            self._create(
                "create_log_stream", logGroupName=target.group, logStreamName=target.stream
            )

    def put_lines(self, target: LogTarget, lines: list[tuple[int, str]]) -> None:
        try:
            self._put(target, lines)
        except self._logs.exceptions.ResourceNotFoundException:
            # The group or stream was deleted while the container ran.
            self.create_stream(target)
            self._put(target, lines)

    def count_lines(self, target: LogTarget) -> int:
        count = 0
        token: dict[str, str] = {}
        while True:
            try:
                page = self._logs.get_log_events(
                    logGroupName=target.group,
                    logStreamName=target.stream,
                    startFromHead=True,
                    **token,
                )
            except self._logs.exceptions.ResourceNotFoundException:
                return count
            count += len(page["events"])
            if not page["events"] or page["nextForwardToken"] == token.get("nextToken"):
                return count
            token = {"nextToken": page["nextForwardToken"]}

    def _put(self, target: LogTarget, lines: list[tuple[int, str]]) -> None:
        self._logs.put_log_events(
            logGroupName=target.group,
            logStreamName=target.stream,
            logEvents=[{"timestamp": at_ms, "message": text} for at_ms, text in lines],
        )

    def _create(self, operation: str, **arguments: str) -> None:
        try:
            getattr(self._logs, operation)(**arguments)
        except self._logs.exceptions.ResourceAlreadyExistsException:
            return


def _retried(call: Callable[[], T]) -> T | None:
    """Call, and again after a failure; return None when ECS does not know the resource."""
    failure: Exception | None = None
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_PAUSE_SECONDS)
        try:
            return call()
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _GONE:
                return None
            failure = error
        except BotoCoreError as error:
            failure = error
    raise EcsUnavailable(str(failure))
