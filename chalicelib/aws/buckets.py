"""The client of S3's bucket notifications: has buckets send their events to EventBridge."""

from typing import Any

from botocore.exceptions import ClientError

from chalicelib.ports import RefusedError

_REFUSALS = {
    "NoSuchBucket": "there is no such bucket",
    "AccessDenied": "its policy does not let Batchyard configure notifications",
}
# What S3 returns for the two oldest regions instead of their names.
_OLD_NAMES = {None: "us-east-1", "EU": "eu-west-1"}


class BotoBuckets:
    def __init__(self, client: Any, *, account: str, region: str) -> None:
        self._client = client
        self._account = account
        self._region = region

    def send_events(self, bucket: str) -> None:
        """Enable EventBridge events of the bucket, unless they are enabled already.

        S3 replaces the whole notification configuration and offers no condition: a change that
        somebody else makes between the read and the write is lost.
        """
        named = {"Bucket": bucket, "ExpectedBucketOwner": self._account}
        try:
            # S3 redirects calls to other regions, but the bucket's events stay in its own region.
            constraint = self._client.get_bucket_location(**named).get("LocationConstraint")
            region = _OLD_NAMES.get(constraint, constraint)
            if region != self._region:
                raise RefusedError(f"The bucket {bucket}: it is in {region}, not {self._region}.")
            found = self._client.get_bucket_notification_configuration(**named)
            if "EventBridgeConfiguration" in found:
                return
            kept = {key: value for key, value in found.items() if key != "ResponseMetadata"}
            self._client.put_bucket_notification_configuration(
                **named,
                NotificationConfiguration=kept | {"EventBridgeConfiguration": {}},
                # A kept destination may be gone; that is for the bucket's owner to repair.
                SkipDestinationValidation=True,
            )
        except ClientError as error:
            code = str(error.response["Error"]["Code"])
            if code not in _REFUSALS:
                raise
            raise RefusedError(f"The bucket {bucket}: {_REFUSALS[code]}.") from error
