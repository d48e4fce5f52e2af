"""S3 in memory: the objects that were put, by bucket and key."""

from collections.abc import Callable
from typing import Any

from tests.support.clients import FakeClient, OnCall


class FakeS3(FakeClient):
    service = "s3"

    def __init__(self, now_ms: Callable[[], int], on_call: OnCall) -> None:
        super().__init__(now_ms, on_call)
        self.objects: dict[tuple[str, str], bytes] = {}

    def do_put_object(self, params: dict[str, Any]) -> dict[str, Any]:
        body = params["Body"]
        assert isinstance(body, bytes), "the functions put what they have in memory"
        self.objects[params["Bucket"], params["Key"]] = body
        return {}

    def lines(self, bucket: str, key: str) -> list[str]:
        """The lines of a document of JSON Lines."""
        text = self.objects[bucket, key].decode()
        assert text.endswith("\n"), "the last line has an end as well"
        return text.split("\n")[:-1]
