"""The array jobs of the benchmark, on the cloud that `Runs` has prepared.

An array is run to its end, submitted to a queue where nothing runs, or dispatched while other jobs
wait behind it in its queue.
"""

import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from batchyard.bench.runs import POLL_SECONDS, BenchError, Runs, Throughput, until
from batchyard.client.clients import Clients

HELD = "bench-held"  # an environment that starts nothing, and its queue
CROWDED_VCPUS = 8
CROWDED_SIZE = CROWDED_VCPUS * 4  # children of a quarter of a vCPU: all start at once
WIDE = "wide"  # the definition of a job that never fits there
WIDE_VCPUS, WIDE_MEMORY = "16", "32768"
AFTER_ALL_MS = 3_600_000  # by how much later than now the waiting jobs were created
WRITE_LIMIT = 25  # items in one BatchWriteItem

Item = dict[str, Any]


class Arrays:
    """Array jobs. `direct` are clients that the recording proxy does not see."""

    def __init__(self, runs: Runs, direct: Clients, *, lanes_table: str) -> None:
        self._runs = runs
        self._table = direct("dynamodb")
        self._lanes_table = lanes_table
        self._crowds = 0

    def run(self, size: int, definition: str = "true") -> Throughput:
        """Run an array and wait for its end."""
        began = time.time()
        job_id = self._runs.submit(definition, arrayProperties={"size": size})
        submitted = time.time()
        self._await_end(job_id)
        return Throughput(
            jobs=size,
            submitted_seconds=submitted - began,
            first_started_seconds=min(self._starts(job_id)) - began,
            ended_seconds=int(self._runs.row(job_id)["changed_at_ms"]["N"]) / 1000 - began,
        )

    def prepare_held(self) -> None:
        """Make a queue whose only environment is DISABLED."""
        self._runs.make_queue(HELD, vcpus=1)
        self._runs.disable_environment(HELD)

    def submit_held(self, size: int) -> str:
        """Submit an array of which nothing will run; its id."""
        return self._runs.submit("true", queue=HELD, arrayProperties={"size": size})

    def drop(self, job_id: str) -> None:
        self._runs.terminate(job_id)
        until(lambda: self._has_ended(job_id), POLL_SECONDS, f"array {job_id} does not end")

    def make_crowd(self, waiting: int) -> str:
        """Make a queue in which this many jobs wait for ever; return its name.

        They are copies of the ready row of one job that SubmitJob took; the first in line is given
        its job row as well, the only one of them that anything reads.
        """
        self._crowds += 1
        queue = f"bench-crowd-{self._crowds}"
        self._runs.make_queue(queue, vcpus=CROWDED_VCPUS)
        self._runs.define(WIDE, ["true"], vcpus=WIDE_VCPUS, memory=WIDE_MEMORY)
        sample = self._runs.submit(WIDE, queue=queue)
        job, ready = self._runs.row(sample), self._ready_row(queue)
        later_ms = int(ready["created_at_ms"]["N"]) + AFTER_ALL_MS
        self._runs.terminate(sample)
        until(lambda: self._has_ended(sample), POLL_SECONDS, f"job {sample} does not end")
        copies = [_ready_copy(ready, later_ms + number) for number in range(waiting)]
        for start in range(0, waiting, WRITE_LIMIT):
            puts = [{"PutRequest": {"Item": row}} for row in copies[start : start + WRITE_LIMIT]]
            self._table.batch_write_item(RequestItems={self._lanes_table: puts})
        head = copies[0]
        self._runs.put_row({**job, "root": head["job_id"], "created_at_ms": head["created_at_ms"]})
        return queue

    def run_in_crowd(self, queue: str) -> None:
        """Run an array that is ahead of all waiting jobs."""
        size = {"size": CROWDED_SIZE}
        self._await_end(self._runs.submit("true", queue=queue, arrayProperties=size))

    def _await_end(self, job_id: str) -> None:
        until(lambda: self._has_ended(job_id), POLL_SECONDS * 5, f"array {job_id} does not end")
        status = self._runs.row(job_id)["status"]["S"]
        if status != "SUCCEEDED":
            raise BenchError(f"Array {job_id} is {status}")

    def _has_ended(self, job_id: str) -> bool:
        return self._runs.row(job_id)["status"]["S"] in {"SUCCEEDED", "FAILED"}

    def _starts(self, job_id: str) -> Iterator[float]:
        """Return when each child's task started, in seconds."""
        for row in self._runs.child_rows(job_id):
            yield int(row["started_at_ms"]["N"]) / 1000

    def _ready_row(self, queue: str) -> Mapping[str, Any]:
        """Return the first ready row of the queue's lane."""
        found = self._table.query(
            TableName=self._lanes_table,
            KeyConditionExpression="lane = :lane",
            ExpressionAttributeValues={":lane": {"S": f"{queue}/-"}},
            ConsistentRead=True,
        )
        row: Mapping[str, Any] = found["Items"][0]
        return row


def _ready_copy(ready: Mapping[str, Any], created_at_ms: int) -> Item:
    """Return a copy of a ready row for another job, created at that time."""
    job_id = str(uuid.uuid4())
    retry, priority, _, _ = ready["rank"]["S"].split("#")
    rank = f"{retry}#{priority}#{created_at_ms:013d}#{job_id}"
    return {
        **ready,
        "rank": {"S": rank},
        "job_id": {"S": job_id},
        "created_at_ms": {"N": str(created_at_ms)},
    }
