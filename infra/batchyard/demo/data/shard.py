"""A job of the demo: the child of an array that surveys one uploaded shard.

Runs in a container: `shard.py s3://BUCKET/MANIFEST s3://BUCKET/FOLDER`. The manifest has one event
of S3 a line; the child's own is the one that AWS_BATCH_JOB_ARRAY_INDEX counts to.
"""

import json
import os
import sys

import boto3
from survey import split_uri, survey  # type: ignore[import-not-found]


def main() -> int:
    manifest_uri, folder_uri = sys.argv[1:3]
    index = int(os.environ["AWS_BATCH_JOB_ARRAY_INDEX"])
    s3 = boto3.client("s3")
    bucket, key = split_uri(manifest_uri)
    events = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode().splitlines()
    upload = json.loads(events[index])["detail"]
    shard = (upload["bucket"]["name"], upload["object"]["key"])
    print(f"child {index} of {len(events)}: {shard[1]}", flush=True)
    found = survey(s3.get_object(Bucket=shard[0], Key=shard[1])["Body"].read())
    bucket, folder = split_uri(folder_uri)
    s3.put_object(
        Bucket=bucket,
        Key=f"{folder}/{os.path.basename(shard[1])}.json",
        Body=json.dumps(found).encode(),
    )
    print(f"{found['modules']} modules, {found['lines']:,} lines", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
