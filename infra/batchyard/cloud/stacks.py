"""CloudFormation stacks: finding one, following what happens to it, and clearing what failed.

An operation of CloudFormation goes on by itself; `Stacks` waits for its end and reports each event
of a resource. It never leaves a caller with a stack that cannot be updated: `usable` completes or
removes what an operation before has left behind.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import ClientError

FIRST_POLL_SECONDS = 0.1
LONGEST_POLL_SECONDS = 2.0
PATIENCE_SECONDS = 7200.0  # CloudFormation itself gives up earlier in an account
SUCCEEDED = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"})
# Stacks that AWS can only delete: their creation failed, was never begun, or their deletion did.
DEAD = frozenset(
    {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "REVIEW_IN_PROGRESS", "DELETE_FAILED"}
)
# After a failed import AWS keeps the stack, which may have been made for the import alone.
IMPORT_FAILED = frozenset({"IMPORT_ROLLBACK_COMPLETE", "IMPORT_ROLLBACK_FAILED"})
# What other resources' failures cause is no reason.
_CONSEQUENCES = ("cancelled", "The following resource(s) failed")


class Session(Protocol):
    """The part of boto3's and localstack-client's sessions that is used here."""

    @property
    def region_name(self) -> str: ...

    @property
    def client(self) -> Callable[..., Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StackEvent:
    """A CloudFormation event of one resource."""

    resource: str
    kind: str
    status: str
    reason: str

    @property
    def failed(self) -> bool:
        return self.status.endswith("FAILED")


class DeployError(Exception):
    """CloudFormation could not do what was asked; the message has the causes and what to do."""


Report = Callable[[StackEvent], None]
Stack = dict[str, Any]


def find_stack(cloudformation: Any, name: str) -> Stack | None:
    """Return the stack of this name or id as DescribeStacks has it; None without one."""
    try:
        stack: Stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return None if stack["StackStatus"] == "DELETE_COMPLETE" else stack


def outputs_of(stack: Mapping[str, Any]) -> dict[str, str]:
    """Return the outputs of a stack by name."""
    return {entry["OutputKey"]: entry["OutputValue"] for entry in stack.get("Outputs", [])}


@dataclass(slots=True, kw_only=True)
class Stacks:
    """The stack of one name: what state it is in, and the operations on it."""

    cloudformation: Any
    name: str
    report: Report
    patience_seconds: float = PATIENCE_SECONDS
    _seen: set[str] = field(default_factory=set)

    def usable(self) -> Stack | None:
        """Return the stack once it can be updated, or None when it can be created.

        Waits for an operation in progress; deletes what a failed creation or deletion left;
        continues a rollback that failed. Raises DeployError if that fails.
        """
        stack = self._at_rest()
        if stack is None:
            return None
        status = stack["StackStatus"]
        if status in DEAD or (status in IMPORT_FAILED and not self._has_resources()):
            self._note(status, "the stack is deleted and created again")
            self.delete()
            return None
        if status == "UPDATE_ROLLBACK_FAILED":
            self._note(status, "the rollback of an earlier update is continued first")
            self.see_past_events()
            self.cloudformation.continue_update_rollback(StackName=self.name)
            stack = self.follow()
            if stack is None or stack["StackStatus"] != "UPDATE_ROLLBACK_COMPLETE":
                raise DeployError(
                    f"Stack {self.name} is in UPDATE_ROLLBACK_FAILED, and its rollback fails "
                    "again. Correct the causes, or skip the resources in CloudFormation's console "
                    "(Continue update rollback); then deploy again."
                )
        return stack

    def delete(self) -> None:
        """Delete the stack and wait until it is gone; do nothing when there is none.

        Raises DeployError with the resources that could not be deleted.
        """
        stack = self._at_rest()
        if stack is None:
            return
        self.see_past_events()
        self.cloudformation.delete_stack(StackName=self.name)
        failures: list[StackEvent] = []
        left = self.follow(failures, stack_id=stack.get("StackId"))
        if left is not None:
            raise DeployError(
                _with_causes(
                    f"Stack {self.name} cannot be deleted and is in {left['StackStatus']}. "
                    "Correct the causes and run the command again",
                    failures,
                )
            )

    def must_succeed(self) -> Stack:
        """Follow the operation that was started to its end, and return the stack.

        Raises DeployError with the failures, each with its resource.
        """
        failures: list[StackEvent] = []
        stack = self.follow(failures)
        status = stack["StackStatus"] if stack else "DELETE_COMPLETE"
        if stack is None or status not in SUCCEEDED:
            raise DeployError(_with_causes(f"Stack {self.name} ended in {status}", failures))
        return stack

    def follow(
        self, failures: list[StackEvent] | None = None, *, stack_id: str | None = None
    ) -> Stack | None:
        """Report the stack's events until no operation is in progress; return it, None if gone.

        With the id its events can be read while it is being deleted and afterwards.
        """
        pause_seconds = FIRST_POLL_SECONDS
        deadline = time.monotonic() + self.patience_seconds
        while True:
            stack = find_stack(self.cloudformation, stack_id or self.name)
            for event in self._news(stack_id or self.name):
                self.report(event)
                if event.failed and failures is not None:
                    failures.append(event)
            if stack is None or not stack["StackStatus"].endswith("IN_PROGRESS"):
                return stack
            if time.monotonic() >= deadline:
                raise DeployError(
                    f"Stack {self.name} is still {stack['StackStatus']} after "
                    f"{self.patience_seconds:.0f} s. Look at its events in CloudFormation, and run "
                    "the command again when it has ended."
                )
            time.sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 1.5, LONGEST_POLL_SECONDS)

    def see_past_events(self) -> None:
        """Take all events up to now as reported."""
        self._seen |= {event["EventId"] for event in self._events(self.name)}

    def _at_rest(self) -> Stack | None:
        """Return the stack after any operation in progress, also that of somebody else."""
        stack = find_stack(self.cloudformation, self.name)
        if stack is None or not _in_progress(stack):
            return stack
        self._note(stack["StackStatus"], "another operation is in progress; waiting for its end")
        self.see_past_events()
        return self.follow(stack_id=stack.get("StackId"))

    def _has_resources(self) -> bool:
        pages = self.cloudformation.get_paginator("list_stack_resources")
        return any(
            resource["ResourceStatus"] != "DELETE_COMPLETE"
            for page in pages.paginate(StackName=self.name)
            for resource in page["StackResourceSummaries"]
        )

    def _note(self, status: str, reason: str) -> None:
        kind = "AWS::CloudFormation::Stack"
        self.report(StackEvent(resource=self.name, kind=kind, status=status, reason=reason))

    def _news(self, name: str) -> Iterator[StackEvent]:
        """Yield the events not seen yet, oldest first; older pages are not read."""
        fresh = []
        try:
            for raw in self._events(name):
                if raw["EventId"] in self._seen:
                    break
                fresh.append(raw)
        except ClientError as error:
            if "does not exist" not in str(error):  # it is gone, and its events with it
                raise
        for raw in reversed(fresh):
            self._seen.add(raw["EventId"])
            yield StackEvent(
                resource=raw.get("LogicalResourceId", ""),
                kind=raw.get("ResourceType", ""),
                status=raw.get("ResourceStatus", ""),
                reason=raw.get("ResourceStatusReason", ""),
            )

    def _events(self, name: str) -> Iterator[dict[str, Any]]:
        pages = self.cloudformation.get_paginator("describe_stack_events")
        for page in pages.paginate(StackName=name):
            yield from page["StackEvents"]


def _in_progress(stack: Mapping[str, Any]) -> bool:
    """Return whether something happens to the stack; one in review waits for its maker."""
    status: str = stack["StackStatus"]
    return status.endswith("IN_PROGRESS") and status != "REVIEW_IN_PROGRESS"


def _with_causes(sentence: str, failures: list[StackEvent]) -> str:
    causes = [
        f"{event.resource}: {event.reason}"
        for event in failures
        if not any(text in event.reason for text in _CONSEQUENCES)
    ]
    lines = [sentence, *causes]
    if any("already exists" in cause for cause in causes):
        lines.append(
            "What already exists was left by an earlier stack or belongs to something else. "
            "`batchyard destroy` with the same --stack removes what Batchyard left."
        )
    return "\n".join(lines)
