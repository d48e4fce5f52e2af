"""Verbs on Step Functions: starting the machines of the stack, and answering waiting tasks."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.core.groups import in_groups
from chalicelib.core.ids import Fence
from chalicelib.ports import CAUSE_LIMIT, ERROR_LIMIT

# Nobody waits any more: answered before, timed out, stopped, or never a token at all.
_NOBODY_WAITS = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})
INPUT_LIMIT_BYTES = 240_000  # of 256 KiB, leaving room for what the service counts beside


class Workflows:
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
        """Start Express executions for RunTask requests; returns how many were needed.

        A repeated start is harmless: every request carries its fence as client token, so ECS
        answers the second with the first one's task.
        """
        count = 0
        for group in _grouped(launches):
            body = "[" + ",".join(group) + "]"
            digest = hashlib.sha256(body.encode()).hexdigest()[:40]
            self._client.start_execution(
                stateMachineArn=self._launch_machine_arn,
                name=f"launch-{digest}",
                input=f'{{"launches":{body}}}',
            )
            count += 1
        return count

    def start_multinode(self, fence: Fence, main: Mapping[str, Any]) -> None:
        """Start the multi-node machine once for this placement; `main` launches the main node."""
        name = f"{fence.job_id}-{fence.attempt}-{fence.dispatch_count}"
        self._start_once(
            self._multinode_machine_arn, name, {"fence": str(fence), "launches": [main]}
        )

    def start_provision(self, kind: str, name: str, request: Mapping[str, Any]) -> None:
        """Start the provision machine of a kind of resource, once for each name."""
        self._start_once(self._provision_machine_arn_prefix + kind, name, request)

    def send_success(self, token: str, output: str) -> bool:
        """Answer a waiting task with this JSON; False when nobody waits for it any more."""
        return self._answer(self._client.send_task_success, taskToken=token, output=output)

    def send_failure(self, token: str, error: str, cause: str) -> bool:
        """Have a waiting task fail; False when nobody waits for it any more."""
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
            if error.response["Error"]["Code"] not in _NOBODY_WAITS:
                raise
            return False
        return True

    def _start_once(self, machine_arn: str, name: str, request: Mapping[str, Any]) -> None:
        """A Standard machine runs once for each name."""
        try:
            self._client.start_execution(
                stateMachineArn=machine_arn, name=name, input=json.dumps(request)
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise


def _grouped(launches: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    texts = (json.dumps(launch, separators=(",", ":")) for launch in launches)
    return in_groups(texts, lambda text: len(text) + 1, size_limit=INPUT_LIMIT_BYTES)
