"""Events that a trigger gathers, from the event bus to the children that each read one of them."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.world import World, batchyard, until

pytestmark = pytest.mark.e2e

NUMBERS = range(12)
# A child reads the line of its number, with the keys that every local job has.
READS_ITS_LINE = """
import boto3, json, os, sys
bucket, key = sys.argv[1:]
lines = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().splitlines()
print("read", json.loads(lines[int(os.environ["AWS_BATCH_JOB_ARRAY_INDEX"])])["detail"]["number"])
"""


def bundles(world: World, name: str) -> list[str]:
    """Return the ids of the array jobs that the trigger has made."""
    options = ["--json", "--last", "100", "--state-dir", str(world.state_dir)]
    shown = json.loads(batchyard("trigger", "show", name, *options).stdout)
    return [one["jobId"] for one in shown["firings"] if one.get("jobId")]


def send(world: World, source: str) -> None:
    entries: list[dict[str, Any]] = [
        {"Source": source, "DetailType": "Order", "Detail": json.dumps({"number": number})}
        for number in NUMBERS
    ]
    for start in (0, 6):
        answer = world.clients("events").put_events(Entries=entries[start : start + 6])
        assert answer["FailedEntryCount"] == 0


def test_twelve_events_become_arrays_of_five_five_and_two(world: World, tmp_path: Path) -> None:
    name, source = world.new_name("gatherer"), world.new_name("shop")
    command = (sys.executable, "-c", READS_ITS_LINE, "Ref::bucket", "Ref::key")
    document = {
        "source": {"events": {"pattern": {"source": [source]}}},
        "request": {
            "jobName": "orders-<$.bundle>",
            "jobQueue": world.queue(world.environment(vcpus=8)),
            "jobDefinition": world.definition(*command),
            "parameters": {"bucket": "<$.manifest.bucket>", "key": "<$.manifest.key>"},
        },
        "gather": {"maxEvents": 5, "maxSeconds": 4},
    }
    file = tmp_path / "trigger.json"
    file.write_text(json.dumps(document))
    batchyard("trigger", "put", name, str(file), "--state-dir", str(world.state_dir))
    send(world, source)

    ids = until(lambda: bundles(world, name), lambda found: len(found) == 3, seconds=60)
    arrays = [world.await_job(job_id, "SUCCEEDED") for job_id in ids]
    assert sorted(job["arrayProperties"]["size"] for job in arrays) == [2, 5, 5]
    read = []
    for job in arrays:
        for child in world.children_of(job["jobId"]):
            (attempt,) = child["attempts"]
            (line,) = world.lines_of(attempt["container"])
            read.append(line)
    assert sorted(read) == sorted(f"read {number}" for number in NUMBERS)
