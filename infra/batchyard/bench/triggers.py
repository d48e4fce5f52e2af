"""The triggers of the benchmark: uploads that become jobs, and what a firing costs.

The jobs go to a queue where nothing runs, so that what is measured ends with a RUNNABLE job on
record. What a firing costs on top of its job is all that is billed for the firing function, the
events and the messages, less what SubmitJob itself writes and reads in DynamoDB.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from batchyard.bench.arrays import HELD
from batchyard.bench.costs import (
    EVENT,
    LAMBDA_GB_SECOND,
    LAMBDA_REQUEST,
    LOG_BYTE,
    READ_UNIT,
    SQS_REQUEST,
    WRITE_UNIT,
    Capacity,
    Invocations,
    Ledger,
    Line,
)
from batchyard.bench.runs import SUBMITTING_THREADS, Runs, seconds_of, until
from batchyard.client.clients import Clients
from batchyard.client.triggers import TriggerCalls

BUCKET = "bench-uploads"
TRIGGER = "bench-uploads"
FIRING_FUNCTION = "fire-triggers"
POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """Uploads at once, from just before the first was begun, in seconds."""

    uploads: int
    uploaded_seconds: float
    runnable_seconds: float  # the last of their jobs was RUNNABLE


class Triggers:
    """An upload trigger on a bucket, on the cloud that `Runs` has prepared."""

    def __init__(self, runs: Runs, clients: Clients) -> None:
        self._runs = runs
        self._s3 = clients("s3")
        self._calls = TriggerCalls(clients)
        self._bursts = 0

    def prepare(self) -> None:
        """Make the bucket and the trigger, and fire it once to warm up its function."""
        self._s3.create_bucket(Bucket=BUCKET)
        self._calls.put(
            TRIGGER,
            {
                "source": {"uploads": {"bucket": BUCKET}},
                "request": {
                    "jobName": "upload",
                    "jobQueue": HELD,
                    "jobDefinition": "true",
                    "parameters": {"key": "<$.detail.object.key>"},
                },
            },
        )
        until(self._is_valid, POLL_SECONDS, f"trigger {TRIGGER} is not VALID")
        self.burst(SUBMITTING_THREADS)

    def burst(self, uploads: int) -> Burst:
        """Upload so many objects, by several threads, and wait until each is a RUNNABLE job."""
        self._bursts += 1
        before = len(self._runs.rows_in(HELD, "RUNNABLE"))
        began = time.time()

        def upload(number: int) -> None:
            key = f"{self._bursts}/{number}"
            self._s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")

        with ThreadPoolExecutor(SUBMITTING_THREADS) as threads:
            list(threads.map(upload, range(uploads)))
        uploaded = time.time()
        until(
            lambda: len(self._runs.rows_in(HELD, "RUNNABLE")) - before >= uploads,
            POLL_SECONDS,
            f"of {uploads} uploads, not all become jobs",
        )
        last = max(seconds_of(row, "created_at_ms") for row in self._runs.rows_in(HELD, "RUNNABLE"))
        return Burst(
            uploads=uploads,
            uploaded_seconds=uploaded - began,
            runnable_seconds=last - began,
        )

    def _is_valid(self) -> bool:
        return bool(self._calls.get(TRIGGER)["status"] == "VALID")


def firing_ledger(
    firings: int,
    units: Capacity,
    submission: Capacity,
    invocations: Invocations,
    requests: Sequence[tuple[str, str, int]],
) -> Ledger:
    """Return what this many firings cost on top of their jobs.

    `units` is what the firing function consumed in DynamoDB for all of them, `submission` what one
    SubmitJob of such a job does.
    """
    write = units.write + units.index - firings * (submission.write + submission.index)
    read = units.read - firings * submission.read
    polls = 2 * invocations.count
    lines = [
        _line("EventBridge", "S3's events", firings, EVENT, "opt-in events of S3"),
        _line(
            "SQS",
            "requests",
            firings + polls,
            SQS_REQUEST,
            f"{firings} delivered; receive and delete of {invocations.count} batches",
        ),
        _line("Lambda", "invocations", invocations.count, LAMBDA_REQUEST, "SubmitJob's work too"),
        _line("Lambda", "GB-seconds", invocations.gb_seconds, LAMBDA_GB_SECOND, ""),
        _line("CloudWatch Logs", "bytes", invocations.log_bytes, LOG_BYTE, ""),
        _line(
            "DynamoDB",
            "write units",
            write,
            WRITE_UNIT,
            f"beside {submission.write + submission.index:g} of each SubmitJob",
        ),
        _line(
            "DynamoDB",
            "read units",
            read,
            READ_UNIT,
            f"beside {submission.read:g} of each SubmitJob",
        ),
    ]
    return Ledger(jobs=firings, lines=lines, requests=list(requests))


def _line(service: str, what: str, amount: float, price: float, note: str) -> Line:
    return Line(service=service, what=what, amount=amount, dollars=amount * price, note=note)
