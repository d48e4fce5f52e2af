"""Values of a container's secrets, from Secrets Manager and SSM Parameter Store.

Owns: the forms of `valueFrom` and the words ECS uses when a value cannot be had. It must
not keep any value: each start asks anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from .runtime import StartFailed

_SECRET_ARN_PARTS = 7


class SecretResolver:
    """Resolves through boto3 clients of Secrets Manager and SSM."""

    def __init__(self, secrets_manager: Any, ssm: Any) -> None:
        self._secrets_manager = secrets_manager
        self._ssm = ssm

    def resolve(self, secrets: Mapping[str, str]) -> dict[str, str]:
        """Return values by variable name; `StartFailed` when any cannot be read."""
        return {name: self._value(value_from) for name, value_from in secrets.items()}

    def _value(self, value_from: str) -> str:
        try:
            if value_from.startswith("arn:") and value_from.split(":")[2] == "secretsmanager":
                return self._secret(value_from)
            return self._parameter(value_from)
        except (ClientError, BotoCoreError, ValueError, LookupError) as error:
            raise StartFailed(
                "ResourceInitializationError: unable to pull secrets or registry auth: unable to "
                f"retrieve secret from {value_from}: {error}"
            ) from error

    def _secret(self, value_from: str) -> str:
        """Return the secret of `arn:...:secret:name[:json-key:version-stage:version-id]`."""
        parts = value_from.split(":")
        key, stage, version = (*parts[_SECRET_ARN_PARTS:], "", "", "")[:3]
        arguments = {"SecretId": ":".join(parts[:_SECRET_ARN_PARTS])}
        if stage:
            arguments["VersionStage"] = stage
        if version:
            arguments["VersionId"] = version
        text = str(self._secrets_manager.get_secret_value(**arguments)["SecretString"])
        return str(json.loads(text)[key]) if key else text

    def _parameter(self, value_from: str) -> str:
        """Return the value of a parameter, given its name or its ARN."""
        name = value_from
        if value_from.startswith("arn:"):
            name = value_from.split(":", 5)[5].removeprefix("parameter")
            # An ARN has one slash before the name, which is the name's own only in a hierarchy.
            name = name if name.count("/") > 1 else name.removeprefix("/")
        answer = self._ssm.get_parameter(Name=name, WithDecryption=True)
        return str(answer["Parameter"]["Value"])
