"""Verbs on S3: writing the manifest of gathered events, which its array job's children read."""

from collections.abc import Iterable
from typing import Any


class BotoManifests:
    def __init__(self, client: Any, *, bucket: str) -> None:
        self._client = client
        self.bucket = bucket

    def put(self, key: str, lines: Iterable[str]) -> None:
        """Write a document of JSON Lines; writing the same again changes nothing."""
        body = "".join(f"{line}\n" for line in lines)
        self._client.put_object(
            Bucket=self.bucket,
            Key=key,
            Body=body.encode(),
            ContentType="application/x-ndjson",
        )
