"""Between rows and values: how a job and a ready row are written, and read back from a stream."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from chalicelib.core.ids import JOB_PART
from chalicelib.core.job import ArrayState, Attempt, Job, NodeState, Ready, StopCause
from chalicelib.core.states import JobStatus
from chalicelib.store.tables import JobRow, ReadyRow

_PLAIN = tuple(
    field.name
    for field in fields(Job)
    if field.name not in {"job_id", "status", "stop_cause", "history", "array", "nodes"}
)


def created_key_of(job: Job) -> str:
    """The sort key of the by_status index: creation first, the id breaks ties."""
    return f"{job.created_at_ms:013d}#{job.job_id}"


def row_of_job(job: Job, retention_seconds: int) -> JobRow:
    """The row that holds `job`; a terminal one expires `retention_seconds` after its end."""
    indexed = job.part == JOB_PART
    expires_at = None
    if job.is_terminal:
        expires_at = (job.stopped_at_ms or job.changed_at_ms) // 1000 + retention_seconds
    return JobRow(
        root=job.job_id,
        status=str(job.status),
        stop_cause=str(job.stop_cause) if job.stop_cause else None,
        history=[asdict(attempt) for attempt in job.history] or None,
        array=_array_document(job.array),
        nodes=[job.nodes.count, job.nodes.main, job.nodes.address] if job.nodes else None,
        expires_at=expires_at,
        queue_status=f"{job.queue}#{job.status}" if indexed else None,
        created_key=created_key_of(job) if indexed else None,
        **{name: getattr(job, name) for name in _PLAIN},
    )


def job_of_row(row: JobRow) -> Job:
    return Job(
        job_id=row.root,
        status=JobStatus(row.status),
        stop_cause=StopCause(row.stop_cause) if row.stop_cause else None,
        history=tuple(Attempt(**attempt) for attempt in row.history or ()),
        array=_array_state(row.array),
        nodes=_node_state(row.nodes),
        **{name: getattr(row, name) for name in _PLAIN},
    )


def job_of_image(image: Mapping[str, Any] | None) -> Job | None:
    """The job in a stream record's image (DynamoDB JSON), or None where there is no image."""
    if not image:
        return None
    row = JobRow()
    row.deserialize(dict(image))
    return job_of_row(row)


def lane_of(queue: str, share: str) -> str:
    return f"{queue}/{share}"


def ready_row_of(ready: Ready) -> ReadyRow:
    return ReadyRow(
        lane=lane_of(ready.queue, ready.share),
        rank=ready.rank,
        job_id=ready.job_id,
        cpu_units=ready.cpu_units,
        memory_mib=ready.memory_mib,
        created_at_ms=ready.created_at_ms,
    )


def ready_of_row(row: ReadyRow) -> Ready:
    queue, _, share = row.lane.partition("/")
    return Ready(
        queue=queue,
        share=share,
        rank=row.rank,
        job_id=row.job_id,
        cpu_units=row.cpu_units,
        memory_mib=row.memory_mib,
        created_at_ms=row.created_at_ms,
    )


def _array_document(array: ArrayState | None) -> dict[str, Any] | None:
    if array is None:
        return None
    counters = {str(status): count for status, count in array.counters}
    return {**asdict(array), "counters": counters}


def _node_state(document: Sequence[Any] | None) -> NodeState | None:
    if document is None:
        return None
    count, main, address = document
    return NodeState(count=count, main=main, address=address)


def _array_state(document: Mapping[str, Any] | None) -> ArrayState | None:
    if document is None:
        return None
    counters = tuple((JobStatus(s), n) for s, n in document["counters"].items())
    return ArrayState(**{**document, "counters": counters})
