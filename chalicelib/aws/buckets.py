"""Verbs on S3's buckets: having their events sent to EventBridge."""

from typing import Any

from botocore.exceptions import ClientError

from chalicelib.ports import RefusedError

_REFUSALS = {
    "NoSuchBucket": "there is no such bucket",
    "AccessDenied": "its policy does not let Batchyard configure notifications",
}
# What S3 calls the two regions that are older than its names for regions.
_OLD_NAMES = {None: "us-east-1", "EU": "eu-west-1"}


class BotoBuckets:
    def __init__(self, client: Any, *, account: str, region: str) -> None:
        self._client = client
        self._account = account
        self._region = region

    def send_events(self, bucket: str) -> None:
        """Switch the bucket's events to EventBridge on; RefusedError with the reason why not.

        What else it notifies is put back as it was. S3 has no condition for that: a change that
        somebody makes between the two calls is lost, so nothing is put where they are on already.
        """
        ours = {"Bucket": bucket, "ExpectedBucketOwner": self._account}
        try:
            # A call to a bucket elsewhere is led there, and its events would never come here.
            constraint = self._client.get_bucket_location(**ours).get("LocationConstraint")
            region = _OLD_NAMES.get(constraint, constraint)
            if region != self._region:
                raise RefusedError(f"The bucket {bucket}: it is in {region}, not {self._region}.")
            found = self._client.get_bucket_notification_configuration(**ours)
            if "EventBridgeConfiguration" in found:
                return
            kept = {key: value for key, value in found.items() if key != "ResponseMetadata"}
            self._client.put_bucket_notification_configuration(
                **ours,
                NotificationConfiguration=kept | {"EventBridgeConfiguration": {}},
                # A destination that is gone meanwhile is not for us to mend.
                SkipDestinationValidation=True,
            )
        except ClientError as error:
            code = str(error.response["Error"]["Code"])
            if code not in _REFUSALS:
                raise
            raise RefusedError(f"The bucket {bucket}: {_REFUSALS[code]}.") from error
