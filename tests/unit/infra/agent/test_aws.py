"""The boto3 side of the ports, on moto and on recorded refusals."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from batchyard.agent.ecs import (
    BotoEcs,
    BotoLogs,
    BotoQueue,
    DefinitionGone,
    EcsUnavailable,
    client,
)
from batchyard.agent.plan import LogTarget
from batchyard.agent.runtime import StartFailed
from batchyard.agent.secrets import SecretResolver

REGION = "us-east-1"
TARGET = LogTarget(group="/logs", stream="a/b/c")


@pytest.fixture(autouse=True)
def _aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with mock_aws():
        yield


def aws(service: str) -> Any:
    """Return the agent's client, with an endpoint that moto knows."""
    return client(
        service,
        endpoint_url=f"https://{service}.{REGION}.amazonaws.com",
        region=REGION,
        keys={"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"},
    )


def test_clusters_are_listed_by_prefix_over_pages() -> None:
    ecs = aws("ecs")
    for number in range(103):
        ecs.create_cluster(clusterName=f"{'mine' if number % 2 else 'theirs'}-{number}")
    assert len(BotoEcs(ecs).list_cluster_arns("mine-")) == 51


def test_what_is_not_there_is_an_empty_answer() -> None:
    port = BotoEcs(aws("ecs"))
    arn = f"arn:aws:ecs:{REGION}:123456789012:cluster/none"
    assert port.list_task_arns(arn, "RUNNING") == []
    assert port.describe_tasks(arn, ["x"]) == []


def test_a_task_definition_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ecs = aws("ecs")
    arn = ecs.register_task_definition(
        family="job", containerDefinitions=[{"name": "default", "image": "x", "memory": 8}]
    )["taskDefinition"]["taskDefinitionArn"]
    port = BotoEcs(ecs)
    first = port.describe_task_definition(arn)
    monkeypatch.setattr(ecs, "describe_task_definition", None)
    assert port.describe_task_definition(arn) == first
    assert first["containerDefinitions"][0]["name"] == "default"


class Flaky:
    """An ECS client that answers 500 so many times before it answers."""

    def __init__(self, failures: int) -> None:
        self._failures = itertools.repeat(True, failures)

    def list_clusters(self) -> dict[str, list[str]]:
        if next(self._failures, False):
            raise ClientError({"Error": {"Code": "InternalError"}}, "ListClusters")
        return {"clusterArns": ["c/x"]}


def test_a_call_that_answers_500_is_retried() -> None:
    assert BotoEcs(Flaky(2)).list_cluster_arns("x") == ["c/x"]
    with pytest.raises(EcsUnavailable):
        BotoEcs(Flaky(3)).list_cluster_arns("x")


def test_a_log_group_and_stream_are_made_when_missing_and_again_when_removed() -> None:
    logs = aws("logs")
    port = BotoLogs(logs)
    port.create_stream(TARGET)
    port.create_stream(TARGET)
    now_ms = 4_102_444_800_000 // 2
    logs.delete_log_group(logGroupName="/logs")
    port.put_lines(TARGET, [(now_ms, "a"), (now_ms, "b")])
    streams = logs.describe_log_streams(logGroupName="/logs")["logStreams"]
    assert [stream["logStreamName"] for stream in streams] == ["a/b/c"]


def test_messages_reach_the_queue() -> None:
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="events")["QueueUrl"]
    assert BotoQueue(sqs, url).send_batch(["one", "two"]) == []
    received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert sorted(message["Body"] for message in received) == ["one", "two"]


def test_secrets_are_found_in_every_form() -> None:
    manager, ssm = aws("secretsmanager"), aws("ssm")
    plain = manager.create_secret(Name="plain", SecretString="p")["ARN"]
    keyed = manager.create_secret(Name="keyed", SecretString='{"user": "u"}')["ARN"]
    ssm.put_parameter(Name="flat", Value="f", Type="SecureString")
    ssm.put_parameter(Name="/deep/er", Value="d", Type="String")
    prefix = f"arn:aws:ssm:{REGION}:123456789012:parameter"
    resolved = SecretResolver(manager, ssm).resolve(
        {
            "PLAIN": plain,
            "KEYED": f"{keyed}:user::",
            "NAME": "flat",
            "ARN": f"{prefix}/flat",
            "DEEP": f"{prefix}/deep/er",
        }
    )
    assert resolved == {"PLAIN": "p", "KEYED": "u", "NAME": "f", "ARN": "f", "DEEP": "d"}


@pytest.mark.parametrize("source", ["nosuch", "arn:aws:secretsmanager:us-east-1:1:secret:none"])
def test_a_missing_secret_fails_the_start_with_the_reason_that_ecs_gives(source: str) -> None:
    resolver = SecretResolver(aws("secretsmanager"), aws("ssm"))
    with pytest.raises(StartFailed, match=r"^ResourceInitializationError: unable to pull secrets"):
        resolver.resolve({"A": source})


def test_a_key_that_the_secret_lacks_fails_the_start() -> None:
    manager = aws("secretsmanager")
    arn = manager.create_secret(Name="keyed", SecretString='{"user": "u"}')["ARN"]
    with pytest.raises(StartFailed, match="password"):
        SecretResolver(manager, aws("ssm")).resolve({"A": f"{arn}:password::"})


def test_the_lines_of_a_stream_are_counted_over_pages() -> None:
    logs = aws("logs")
    port = BotoLogs(logs)
    assert port.count_lines(TARGET) == 0
    port.create_stream(TARGET)
    assert port.count_lines(TARGET) == 0
    now_ms = time.time_ns() // 1_000_000
    for batch in range(3):
        port.put_lines(TARGET, [(now_ms, f"{batch} {n}") for n in range(4_000)])
    assert port.count_lines(TARGET) == 12_000


def test_a_definition_that_was_deleted_is_not_an_outage() -> None:
    with pytest.raises(DefinitionGone):
        BotoEcs(GoneEcs()).describe_task_definition("arn:gone")


class GoneEcs:
    """ECS that knows no definition."""

    def describe_task_definition(self, **_: str) -> None:
        raise ClientError(
            {"Error": {"Code": "InvalidParameterException", "Message": "gone"}},
            "DescribeTaskDefinition",
        )
