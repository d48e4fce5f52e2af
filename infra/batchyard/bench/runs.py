"""The jobs of the benchmark: one after another, or all at once.

A job records its own start time. Waiting reads the jobs table directly, not through the API or the
recording proxy, so that it adds nothing to what is measured.
"""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from batchyard.client import setup
from batchyard.client.clients import Clients

NAME = "bench"  # of the environment, the queue and the jobs
VCPUS = 256  # more than the starting window allows in flight
SUBMITTING_THREADS = 8
PATIENCE_SECONDS = 90.0
LASTING = "lasting"  # the definition of a job that runs for a second
POLL_SECONDS = 0.02
BATCH_POLL_SECONDS = 0.25


class BenchError(Exception):
    """A measurement could not be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """One job, from just before SubmitJob was called, in seconds."""

    submitted_seconds: float  # SubmitJob answered
    process_seconds: float  # the job's process ran
    ended_seconds: float  # its end was on record


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """Many jobs at once, from just before the first SubmitJob, in seconds."""

    jobs: int
    submitted_seconds: float
    first_started_seconds: float
    ended_seconds: float


class Runs:
    """Runs jobs on one cloud. `direct` are clients that the recording proxy does not see."""

    def __init__(self, clients: Clients, direct: Clients, *, jobs_table: str) -> None:
        self._batch = clients("batch")
        self._table = direct("dynamodb")
        self._jobs_table = jobs_table
        self._folder = tempfile.TemporaryDirectory(prefix="batchyard-starts-")
        self._starts = Path(self._folder.name)

    def __enter__(self) -> Self:
        self._prepare()
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def _prepare(self) -> None:
        """Make an environment, a queue and the definitions, and warm up all functions."""
        self.make_queue(NAME, vcpus=VCPUS)
        self.define_start("started")
        # Long enough that its start is reported on its own, before its end.
        self.define(LASTING, self._noting_start("; sleep 1"))
        self.define("true", ["true"])
        self.at_once(SUBMITTING_THREADS * 3)
        for _ in range(3):
            self.lone()

    def lone(self, definition: str = "started", *, queue: str = NAME) -> Latency:
        """Run one job and wait for its end."""
        began = time.time()
        job_id = self.submit(definition, queue=queue)
        submitted = time.time()
        until(lambda: self._has_ended(job_id), POLL_SECONDS, f"job {job_id} does not end")
        return Latency(
            submitted_seconds=submitted - began,
            process_seconds=float((self._starts / job_id).read_text()) - began,
            ended_seconds=int(self.row(job_id)["changed_at_ms"]["N"]) / 1000 - began,
        )

    def at_once(self, jobs: int) -> Throughput:
        """Run many jobs of `true`, submitted by several threads; wait until all have ended."""
        began = time.time()
        with ThreadPoolExecutor(SUBMITTING_THREADS) as threads:
            job_ids = set(threads.map(lambda _: self.submit("true"), range(jobs)))
        submitted = time.time()
        ended: list[Mapping[str, Any]] = []

        def all_have_ended() -> bool:
            ended[:] = [
                row for row in self.rows_in(NAME, "SUCCEEDED") if row["root"]["S"] in job_ids
            ]
            return len(ended) == jobs

        until(all_have_ended, BATCH_POLL_SECONDS, "the jobs do not end")
        return Throughput(
            jobs=jobs,
            submitted_seconds=submitted - began,
            first_started_seconds=min(seconds_of(row, "started_at_ms") for row in ended) - began,
            ended_seconds=max(seconds_of(row, "changed_at_ms") for row in ended) - began,
        )

    def define(
        self, name: str, command: list[str], *, vcpus: str = "0.25", memory: str = "512"
    ) -> None:
        """Register a job definition that runs this command."""
        setup.register_definition(self._batch, name, command, vcpus=vcpus, memory=memory)

    def define_start(self, name: str, *, on_instances: bool = False) -> None:
        """Register the definition of a job that records its start."""
        if on_instances:
            self.define_for_instances(name, self._noting_start(), vcpus=1, memory_mib=512)
        else:
            self.define(name, self._noting_start())

    def define_for_instances(
        self, name: str, command: list[str], *, vcpus: int, memory_mib: int
    ) -> None:
        """Register a job definition that runs this command on instances."""
        setup.register_for_instances(
            self._batch, name, command, vcpus=str(vcpus), memory=str(memory_mib)
        )

    def _noting_start(self, then: str = "") -> list[str]:
        note_start = 'date +%s.%N > "$0/$AWS_BATCH_JOB_ID"'
        return ["sh", "-c", note_start + then, str(self._starts)]

    def submit(self, definition: str, *, queue: str = NAME, **members: Any) -> str:
        """Submit a job; return its id."""
        answer = self._batch.submit_job(
            jobName=NAME, jobQueue=queue, jobDefinition=definition, **members
        )
        job_id: str = answer["jobId"]
        return job_id

    def make_queue(self, name: str, *, vcpus: int) -> None:
        """Make a queue and its environment, both of this name."""
        setup.ensure_environment(self._batch, name, vcpus=vcpus)
        setup.ensure_queue(self._batch, name, name)

    def make_instance_queue(self, name: str, *, types: Sequence[str], vcpus: int) -> None:
        """Make a queue and its EC2 environment that scales from zero, both of this name."""
        setup.ensure_instances(self._batch, name, kind="EC2", types=types, vcpus=vcpus)
        setup.ensure_queue(self._batch, name, name)

    def disable_environment(self, name: str) -> None:
        """Disable an environment and wait until it is VALID again."""
        self._batch.update_compute_environment(computeEnvironment=name, state="DISABLED")
        setup.await_environment(self._batch, name)

    def terminate(self, job_id: str) -> None:
        """Terminate a job."""
        self._batch.terminate_job(jobId=job_id, reason="The measurement is over")

    def child_rows(self, job_id: str) -> list[Mapping[str, Any]]:
        """Return the rows of an array's children."""
        pages = self._table.get_paginator("query").paginate(
            TableName=self._jobs_table,
            KeyConditionExpression="root = :root AND begins_with(part, :child)",
            ExpressionAttributeValues={":root": {"S": job_id}, ":child": {"S": "child#"}},
        )
        return [row for page in pages for row in page["Items"]]

    def put_row(self, row: Mapping[str, Any]) -> None:
        """Put a row into the jobs table."""
        self._table.put_item(TableName=self._jobs_table, Item=row)

    def row(self, job_id: str) -> Mapping[str, Any]:
        """Return the row of a job, read with strong consistency."""
        key = {"root": {"S": job_id}, "part": {"S": "job"}}
        row: Mapping[str, Any] = self._table.get_item(
            TableName=self._jobs_table, Key=key, ConsistentRead=True
        )["Item"]
        return row

    def _has_ended(self, job_id: str) -> bool:
        status = self.row(job_id)["status"]["S"]
        if status == "FAILED":
            raise BenchError(f"Job {job_id} failed: {self.row(job_id).get('status_reason')}")
        return bool(status == "SUCCEEDED")

    def rows_in(self, queue: str, status: str) -> list[Mapping[str, Any]]:
        """Return the rows of a queue's jobs in one status."""
        pages = self._table.get_paginator("query").paginate(
            TableName=self._jobs_table,
            IndexName="by_status",
            KeyConditionExpression="queue_status = :here",
            ExpressionAttributeValues={":here": {"S": f"{queue}#{status}"}},
        )
        return [row for page in pages for row in page["Items"]]


def seconds_of(row: Mapping[str, Any], attribute: str) -> float:
    """Return a time in milliseconds of a row, in seconds."""
    return int(row[attribute]["N"]) / 1000


def until(done: Callable[[], bool], pause_seconds: float, complaint: str) -> None:
    """Wait until `done`; raises BenchError with the complaint after PATIENCE_SECONDS."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise BenchError(f"After {PATIENCE_SECONDS:.0f} s {complaint}")
        time.sleep(pause_seconds)
