"""The client of Step Functions: starts the stack's machines and answers waiting tasks."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.core.groups import in_groups
from chalicelib.core.ids import Fence
from chalicelib.ports import CAUSE_LIMIT, ERROR_LIMIT

# Nothing waits with the token: answered before, timed out, stopped, or never a token.
_NOT_WAITING = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})
INPUT_LIMIT_BYTES = 240_000  # of 256 KiB, less what the service adds


class BotoWorkflows:
    def __init__(
        self,
        client: Any,
        *,
        launch_machine_arn: str,
        multinode_machine_arn: str,
        provision_machine_arn_prefix: str,
    ) -> None:
        self._client = client
        self._launch_machine_arn = launch_machine_arn
        self._multinode_machine_arn = multinode_machine_arn
        self._provision_machine_arn_prefix = provision_machine_arn_prefix

    def start_launch(self, launches: Sequence[Mapping[str, Any]]) -> int:
        """Start Express executions, each with as many requests as its input holds.

        A repeated start is harmless: every request carries its fence as client token, so ECS
        returns the first task again.
        """
        count = 0
        for group in _grouped(launches):
            body = "[" + ",".join(group) + "]"
            digest = hashlib.sha256(body.encode()).hexdigest()[:40]
            self._start_once(self._launch_machine_arn, f"launch-{digest}", f'{{"launches":{body}}}')
            count += 1
        return count

    def start_multinode(self, fence: Fence) -> None:
        name = f"{fence.job_id}-{fence.attempt}-{fence.dispatch_count}"
        # The empty list is for the machine of 0.1.0, which may still be there during a deployment.
        request = {"fence": str(fence), "launches": []}
        self._start_once(self._multinode_machine_arn, name, json.dumps(request))

    def start_provision(self, kind: str, name: str, request: Mapping[str, Any]) -> None:
        self._start_once(self._provision_machine_arn_prefix + kind, name, json.dumps(request))

    def send_success(self, token: str, output: str) -> bool:
        return self._answer(self._client.send_task_success, taskToken=token, output=output)

    def send_failure(self, token: str, error: str, cause: str) -> bool:
        return self._answer(
            self._client.send_task_failure,
            taskToken=token,
            error=error[:ERROR_LIMIT],
            cause=cause[:CAUSE_LIMIT],
        )

    def _answer(self, call: Callable[..., Any], **members: str) -> bool:
        try:
            call(**members)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _NOT_WAITING:
                raise
            return False
        return True

    def _start_once(self, machine_arn: str, name: str, body: str) -> None:
        """Start a machine; an execution of this name that exists is the same one.

        A Standard machine runs once for each name. Express machines forget names, in AWS.
        """
        try:
            self._client.start_execution(stateMachineArn=machine_arn, name=name, input=body)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise


def _grouped(launches: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    texts = (json.dumps(launch, separators=(",", ":")) for launch in launches)
    return in_groups(texts, lambda text: len(text) + 1, size_limit=INPUT_LIMIT_BYTES)
