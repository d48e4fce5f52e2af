"""The client of EventBridge Scheduler: the schedules of triggers, in the stack's group."""

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.aws.event_rules import EVENT_AGE_SECONDS, RETRIES, code_of, text_of
from chalicelib.ports import RefusedError

_REFUSALS = {"ValidationException"}


class BotoSchedules:
    def __init__(
        self, client: Any, *, group: str, role_arn: str, queue_arn: str, dead_letters_arn: str
    ) -> None:
        self._client = client
        self._group = group
        self._role_arn = role_arn
        self._queue_arn = queue_arn
        self._dead_letters_arn = dead_letters_arn

    def put(
        self, name: str, timing: Mapping[str, Any], message: Mapping[str, Any], *, enabled: bool
    ) -> None:
        wanted = {
            "Name": name,
            "GroupName": self._group,
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "State": "ENABLED" if enabled else "DISABLED",
            "Target": {
                "Arn": self._queue_arn,
                "RoleArn": self._role_arn,
                "Input": json.dumps(message),
                "RetryPolicy": {
                    "MaximumEventAgeInSeconds": EVENT_AGE_SECONDS,
                    "MaximumRetryAttempts": RETRIES,
                },
                "DeadLetterConfig": {"Arn": self._dead_letters_arn},
            },
            **timing,
        }
        try:
            try:
                self._client.create_schedule(**wanted)
            except ClientError as error:
                if code_of(error) != "ConflictException":
                    raise
                self._client.update_schedule(**wanted)
        except ClientError as error:
            if code_of(error) in _REFUSALS:
                raise RefusedError(f"EventBridge Scheduler: {text_of(error)}") from error
            raise

    def delete(self, name: str) -> None:
        try:
            self._client.delete_schedule(Name=name, GroupName=self._group)
        except ClientError as error:
            if code_of(error) != "ResourceNotFoundException":
                raise
