"""The environment, queue and definition that a job needs, on a fake of the API."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from batchyard.client import setup


class FakeBatch:
    """Environments and queues whose statuses change with every description."""

    def __init__(self, *statuses: str) -> None:
        self.created: list[dict[str, Any]] = []
        self.exists: set[tuple[str, str]] = set()
        self.refuses = False
        self._statuses = list(statuses)

    def describe_compute_environments(self, *, computeEnvironments: list[str]) -> dict[str, Any]:
        return {"computeEnvironments": self._described("environment", computeEnvironments[0])}

    def describe_job_queues(self, *, jobQueues: list[str]) -> dict[str, Any]:
        return {"jobQueues": self._described("queue", jobQueues[0])}

    def create_compute_environment(self, **request: Any) -> None:
        self._create(request, "environment", request["computeEnvironmentName"])

    def create_job_queue(self, **request: Any) -> None:
        self._create(request, "queue", request["jobQueueName"])

    def _create(self, request: dict[str, Any], kind: str, name: str) -> None:
        if self.refuses:
            self.exists.add((kind, name))
            raise ClientError({"Error": {"Code": "ClientException", "Message": "exists"}}, "Create")
        self.created.append(request)
        self.exists.add((kind, name))

    def _described(self, kind: str, name: str) -> list[dict[str, Any]]:
        if (kind, name) not in self.exists:
            return []
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        return [{"status": status, "statusReason": "for a test"}]


def test_the_queue_is_created_after_its_environment_is_valid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(setup, "POLL_SECONDS", 0.0)
    batch = FakeBatch("CREATING", "CREATING", "VALID")
    setup.ensure_default(batch)
    environment, queue = batch.created
    assert environment["computeEnvironmentName"] == queue["jobQueueName"] == "default"
    assert queue["computeEnvironmentOrder"] == [{"order": 1, "computeEnvironment": "default"}]


def test_what_exists_is_left_as_it_is() -> None:
    batch = FakeBatch("VALID")
    batch.exists = {("environment", "default")}
    setup.ensure_environment(batch, "default", vcpus=1)
    assert batch.created == []


def test_an_environment_that_another_caller_created_meanwhile_is_used() -> None:
    batch = FakeBatch("VALID")
    batch.refuses = True
    setup.ensure_environment(batch, "default", vcpus=1)
    assert batch.created == []


def test_an_invalid_environment_is_an_error_with_its_reason() -> None:
    with pytest.raises(setup.SetupError, match=r"default is INVALID \(for a test\)"):
        setup.ensure_environment(FakeBatch("INVALID"), "default", vcpus=1)


def test_an_environment_that_stays_creating_is_an_error_after_the_deadline() -> None:
    batch = FakeBatch("CREATING")
    batch.exists = {("environment", "default")}
    with pytest.raises(setup.SetupError, match="not VALID after 0 s: it is CREATING"):
        setup.await_environment(batch, "default", seconds=0)
