"""The client of the manifests bucket."""

from collections.abc import Iterable
from typing import Any


class BotoManifests:
    def __init__(self, client: Any, *, bucket: str) -> None:
        self._client = client
        self.bucket = bucket

    def put(self, key: str, lines: Iterable[str]) -> None:
        body = "".join(f"{line}\n" for line in lines)
        self._client.put_object(
            Bucket=self.bucket,
            Key=key,
            Body=body.encode(),
            ContentType="application/x-ndjson",
        )
