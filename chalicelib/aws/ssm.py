"""The client of Systems Manager: its public parameters name the newest images."""

from typing import Any

from botocore.exceptions import ClientError


class BotoParameters:
    def __init__(self, client: Any) -> None:
        self._client = client

    def find(self, name: str) -> str | None:
        try:
            answer = self._client.get_parameter(Name=name)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ParameterNotFound":
                return None
            raise
        return str(answer["Parameter"]["Value"])
