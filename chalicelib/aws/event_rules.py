"""The client of EventBridge rules: those of triggers, whose target is the trigger queue."""

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.ports import RefusedError

TARGET = "triggers"
# The maximum age and number of retries that EventBridge and Scheduler allow for a target.
EVENT_AGE_SECONDS, RETRIES = 86_400, 185

_REFUSALS = {"InvalidEventPatternException", "ValidationException", "ResourceNotFoundException"}


class BotoEventRules:
    def __init__(self, client: Any, *, queue_arn: str, dead_letters_arn: str) -> None:
        self._client = client
        self._queue_arn = queue_arn
        self._dead_letters_arn = dead_letters_arn

    def put(
        self,
        name: str,
        bus: str,
        pattern: Mapping[str, Any],
        template: str,
        *,
        enabled: bool,
        description: str,
    ) -> None:
        try:
            self._client.put_rule(
                Name=name,
                EventBusName=bus,
                EventPattern=json.dumps(pattern, separators=(",", ":")),
                State="ENABLED" if enabled else "DISABLED",
                Description=description,
            )
            answer = self._client.put_targets(
                Rule=name, EventBusName=bus, Targets=[self._target(template)]
            )
        except ClientError as error:
            if code_of(error) in _REFUSALS:
                raise RefusedError(f"EventBridge: {text_of(error)}") from error
            raise
        if answer.get("FailedEntryCount"):
            raise RefusedError(f"EventBridge: {answer['FailedEntries'][0].get('ErrorMessage')}")

    def delete(self, name: str, bus: str) -> None:
        try:
            self._client.remove_targets(Rule=name, EventBusName=bus, Ids=[TARGET])
            self._client.delete_rule(Name=name, EventBusName=bus)
        except ClientError as error:
            if code_of(error) != "ResourceNotFoundException":
                raise

    def _target(self, template: str) -> dict[str, Any]:
        return {
            "Id": TARGET,
            "Arn": self._queue_arn,
            "InputTransformer": {"InputPathsMap": {}, "InputTemplate": template},
            "RetryPolicy": {
                "MaximumEventAgeInSeconds": EVENT_AGE_SECONDS,
                "MaximumRetryAttempts": RETRIES,
            },
            "DeadLetterConfig": {"Arn": self._dead_letters_arn},
        }


def code_of(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def text_of(error: ClientError) -> str:
    return str(error.response["Error"].get("Message") or code_of(error))
