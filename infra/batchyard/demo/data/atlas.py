"""A job of the demo: gathers what the children of an array have found into one result.

Runs in a container: `atlas.py s3://BUCKET/FOLDER s3://BUCKET/RESULT`.
"""

import collections
import json
import sys

import boto3
from survey import BEST, split_uri, summary_of  # type: ignore[import-not-found]


def main() -> int:
    folder_uri, result_uri = sys.argv[1:3]
    s3 = boto3.client("s3")
    bucket, folder = split_uri(folder_uri)
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"{folder}/").get("Contents", [])
    parts = [
        json.loads(s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read())
        for entry in listed
    ]
    importers: collections.Counter[str] = collections.Counter()
    for part in parts:
        importers.update(part["importers"])
    longest = sorted((one for part in parts for one in part["longest_functions"]), reverse=True)
    totals = {name: sum(part[name] for part in parts) for name in ("modules", "lines", "functions")}
    found = {**totals, "importers": importers, "longest_functions": longest[:BEST]}
    bucket, key = split_uri(result_uri)
    atlas = {"shards": len(parts), **summary_of(found)}
    s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(atlas).encode())
    print(f"{len(parts)} parts, {atlas['modules']} modules; wrote {result_uri}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
