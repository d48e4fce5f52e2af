"""S3 in memory: stored objects by bucket and key, and the notifications of buckets."""

from collections.abc import Callable
from typing import Any

from tests.support.clients import FakeClient, OnCall, client_error


class FakeS3(FakeClient):
    service = "s3"

    def __init__(self, now_ms: Callable[[], int], on_call: OnCall) -> None:
        super().__init__(now_ms, on_call)
        self.objects: dict[tuple[str, str], bytes] = {}
        self.notifications: dict[str, dict[str, Any]] = {}  # by bucket
        self.regions: dict[str, str] = {}  # of the buckets that are elsewhere

    def do_put_object(self, params: dict[str, Any]) -> dict[str, Any]:
        body = params["Body"]
        assert isinstance(body, bytes), "the functions put what they have in memory"
        self.objects[params["Bucket"], params["Key"]] = body
        return {}

    def do_get_bucket_location(self, params: dict[str, Any]) -> dict[str, Any]:
        self._of(params["Bucket"], "GetBucketLocation")
        return {"LocationConstraint": self.regions.get(params["Bucket"])}

    def lines(self, bucket: str, key: str) -> list[str]:
        """Return the lines of a document of JSON Lines."""
        text = self.objects[bucket, key].decode()
        assert text.endswith("\n"), "the last line has an end as well"
        return text.split("\n")[:-1]

    def do_get_bucket_notification_configuration(self, params: dict[str, Any]) -> dict[str, Any]:
        found = self._of(params["Bucket"], "GetBucketNotificationConfiguration")
        return {**found, "ResponseMetadata": {"HTTPStatusCode": 200}}

    def do_put_bucket_notification_configuration(self, params: dict[str, Any]) -> dict[str, Any]:
        self._of(params["Bucket"], "PutBucketNotificationConfiguration")
        assert params["SkipDestinationValidation"] is True
        self.notifications[params["Bucket"]] = params["NotificationConfiguration"]
        return {}

    def _of(self, bucket: str, operation: str) -> dict[str, Any]:
        if bucket not in self.notifications:
            raise client_error("NoSuchBucket", "The specified bucket does not exist", operation)
        return self.notifications[bucket]
