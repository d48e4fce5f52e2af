"""What a stack may be found in, and what is done about each: nothing is left that cannot go on."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from batchyard.cloud import stacks as module
from batchyard.cloud.stacks import DeployError, StackEvent, Stacks


class CloudFormation:
    """One stack. What is done to it ends as `ends` says, after two looks."""

    def __init__(self, status: str | None, ends: dict[str, str | None] | None = None) -> None:
        self.status = status
        self.ends = ends or {}
        self.calls: list[str] = []
        self.resources: list[str] = []
        self.events: list[dict[str, Any]] = []
        self._next: str | None = status
        self._looks = 0

    def delete_stack(self, **_: Any) -> None:
        self._begin("delete", "DELETE_IN_PROGRESS")

    def continue_update_rollback(self, **_: Any) -> None:
        self._begin("continue", "UPDATE_ROLLBACK_IN_PROGRESS")

    def describe_stacks(self, StackName: str) -> dict[str, Any]:
        if self.status is None:
            raise self._missing()
        if self.status.endswith("IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS":
            self._looks += 1
            if self._looks == 2:
                self.status = self._next
                if self.status is None:
                    return self.describe_stacks(StackName)
        return {"Stacks": [{"StackStatus": self.status, "StackId": "arn:yard"}]}

    def get_paginator(self, operation: str) -> "Pages":
        def events() -> list[dict[str, Any]]:
            if self.status is None:
                raise self._missing()
            return list(reversed(self.events))

        if operation == "describe_stack_events":
            return Pages("StackEvents", events)
        listed = [{"ResourceStatus": status} for status in self.resources]
        return Pages("StackResourceSummaries", lambda: listed)

    def going_on(self, end: str | None) -> "CloudFormation":
        """Have somebody else's operation end so."""
        self._next = end
        return self

    def happens(self, resource: str, status: str, reason: str) -> None:
        self.events.append(
            {
                "EventId": str(len(self.events)),
                "LogicalResourceId": resource,
                "ResourceStatus": status,
                "ResourceStatusReason": reason,
            }
        )

    def _begin(self, call: str, status: str) -> None:
        self.calls.append(call)
        self.status, self._next, self._looks = status, self.ends[call], 0
        if self.ends[call] in {"DELETE_FAILED", "UPDATE_ROLLBACK_FAILED"}:
            self.happens("Table", "DELETE_FAILED", "it is protected")
            self.happens("Role", "DELETE_FAILED", "Resource deletion cancelled")

    @staticmethod
    def _missing() -> ClientError:
        message = "Stack with id yard does not exist"
        return ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "Describe")


class Pages:
    def __init__(self, member: str, items: Callable[[], list[dict[str, Any]]]) -> None:
        self._member, self._items = member, items

    def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
        for item in self._items():
            yield {self._member: [item]}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_POLL_SECONDS", 0.0)


REPORTED: list[StackEvent] = []


def stacks_on(cloudformation: CloudFormation) -> Stacks:
    REPORTED.clear()
    return Stacks(cloudformation=cloudformation, name="yard", report=REPORTED.append)


def test_a_name_without_a_stack_is_free() -> None:
    assert stacks_on(CloudFormation(None)).usable() is None


@pytest.mark.parametrize(
    "status",
    ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE"],
)
def test_a_stack_at_rest_is_updated(status: str) -> None:
    cloudformation = CloudFormation(status)
    stack = stacks_on(cloudformation).usable()
    assert stack is not None
    assert stack["StackStatus"] == status
    assert cloudformation.calls == []


@pytest.mark.parametrize(
    "status",
    [
        "ROLLBACK_COMPLETE",
        "ROLLBACK_FAILED",
        "CREATE_FAILED",
        "REVIEW_IN_PROGRESS",
        "DELETE_FAILED",
    ],
)
def test_what_aws_can_only_delete_is_deleted(status: str) -> None:
    cloudformation = CloudFormation(status, {"delete": None})
    assert stacks_on(cloudformation).usable() is None
    assert cloudformation.calls == ["delete"]
    assert [(event.status, event.reason) for event in REPORTED] == [
        (status, "the stack is deleted and created again")
    ]


def test_a_deletion_that_fails_again_names_the_resource_and_what_to_do() -> None:
    cloudformation = CloudFormation("DELETE_FAILED", {"delete": "DELETE_FAILED"})
    cloudformation.happens("Old", "DELETE_FAILED", "of an earlier try")
    with pytest.raises(DeployError) as refused:
        stacks_on(cloudformation).usable()
    assert str(refused.value).splitlines() == [
        "Stack yard cannot be deleted and is in DELETE_FAILED. Correct the causes and run the "
        "command again",
        "Table: it is protected",
    ]


@pytest.mark.parametrize("status", ["IMPORT_ROLLBACK_COMPLETE", "IMPORT_ROLLBACK_FAILED"])
def test_a_stack_that_only_a_failed_import_made_is_deleted(status: str) -> None:
    empty = CloudFormation(status, {"delete": None})
    empty.resources = ["DELETE_COMPLETE"]
    assert stacks_on(empty).usable() is None
    assert empty.calls == ["delete"]
    used = CloudFormation(status)
    used.resources = ["DELETE_COMPLETE", "CREATE_COMPLETE"]
    assert stacks_on(used).usable() is not None
    assert used.calls == []


def test_a_rollback_that_failed_is_continued() -> None:
    ends: dict[str, str | None] = {"continue": "UPDATE_ROLLBACK_COMPLETE"}
    cloudformation = CloudFormation("UPDATE_ROLLBACK_FAILED", ends)
    stack = stacks_on(cloudformation).usable()
    assert stack is not None
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert cloudformation.calls == ["continue"]


def test_a_rollback_that_fails_again_says_what_to_do() -> None:
    ends: dict[str, str | None] = {"continue": "UPDATE_ROLLBACK_FAILED"}
    with pytest.raises(DeployError, match="skip the resources in CloudFormation's console"):
        stacks_on(CloudFormation("UPDATE_ROLLBACK_FAILED", ends)).usable()


def test_an_operation_of_somebody_else_is_waited_for() -> None:
    updating = CloudFormation("UPDATE_IN_PROGRESS").going_on("UPDATE_COMPLETE")
    stack = stacks_on(updating).usable()
    assert stack is not None
    assert stack["StackStatus"] == "UPDATE_COMPLETE"
    assert REPORTED[0].reason == "another operation is in progress; waiting for its end"
    assert stacks_on(CloudFormation("DELETE_IN_PROGRESS").going_on(None)).usable() is None


def test_what_another_operation_left_is_cleared_away() -> None:
    creating = CloudFormation("CREATE_IN_PROGRESS", {"delete": None}).going_on("ROLLBACK_COMPLETE")
    assert stacks_on(creating).usable() is None
    assert creating.calls == ["delete"]


def test_deleting_a_stack_that_is_gone_does_nothing() -> None:
    cloudformation = CloudFormation(None)
    stacks_on(cloudformation).delete()
    assert cloudformation.calls == []


def test_a_failure_for_what_exists_already_says_how_it_goes() -> None:
    cloudformation = CloudFormation("CREATE_IN_PROGRESS").going_on("ROLLBACK_COMPLETE")
    cloudformation.happens("Queue", "CREATE_FAILED", "yard-wake.fifo already exists")
    with pytest.raises(DeployError, match="`batchyard destroy` with the same --stack removes"):
        stacks_on(cloudformation).must_succeed()
