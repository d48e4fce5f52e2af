"""Conversion between the values of the core and rows of the jobs and lanes tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from chalicelib.core.child_range import spans_of
from chalicelib.core.dependencies import DependencyType, Edge
from chalicelib.core.events import ContainerEnd
from chalicelib.core.ids import JOB_PART
from chalicelib.core.job import ArrayState, Attempt, Job, NodeState, StopCause, created_key_of
from chalicelib.core.launch_failures import LaunchFailure
from chalicelib.core.ready import Ready
from chalicelib.core.states import JobStatus
from chalicelib.core.task_size import TaskSize
from chalicelib.store.hosts import packed_hosts, with_hosts
from chalicelib.store.tables import ChildRangeRow, EdgeRow, JobRow, ReadyRow

WRITE_UNIT_BYTES = 1024
_SHAPED = {
    "job_id",
    "status",
    "failed_launches",
    "refusal",
    "probe",
    "on_instance",
    "gpus",
    "spot_losses",
    "free_attempts",
    "avoids_spot",
    "essential",
    "container_ends",
    "host",
    "stop_cause",
    "history",
    "array",
    "waiting_on",
    "nodes",
}
_PLAIN = tuple(field.name for field in fields(Job) if field.name not in _SHAPED)


def row_from_job(job: Job, retention_seconds: int) -> JobRow:
    """Return the row of a job; a terminal one expires `retention_seconds` after its end."""
    return JobRow(**values_of_job(job, retention_seconds))


def values_of_job(job: Job, retention_seconds: int) -> dict[str, Any]:
    """Return the values of the row's attributes, by name; None for one that it does not have."""
    indexed = job.part == JOB_PART
    expires_at = None
    if job.is_terminal:
        expires_at = (job.stopped_at_ms or job.changed_at_ms) // 1000 + retention_seconds
    values = {
        "root": job.job_id,
        "status": str(job.status),
        # Absent where there is nothing to say, which keeps the row of most jobs small.
        "failed_launches": job.failed_launches or None,
        "refusal": str(job.refusal) if job.refusal else None,
        "probe": job.probe or None,
        "on_instance": job.on_instance or None,
        "gpus": job.gpus or None,
        "spot_losses": job.spot_losses or None,
        "free_attempts": job.free_attempts or None,
        "avoids_spot": job.avoids_spot or None,
        "stop_cause": str(job.stop_cause) if job.stop_cause else None,
        "essential": list(job.essential) or None,
        "container_ends": _ends_document(job.container_ends),
        "history": [_attempt_document(attempt) for attempt in job.history] or None,
        "waiting_on": list(job.waiting_on) or None,
        **_array_attributes(job.array),
        "nodes": [job.nodes.count, job.nodes.main, job.nodes.address] if job.nodes else None,
        "node_sizes": _sizes_document(job.nodes.sizes) if job.nodes else None,
        "expires_at": expires_at,
        "queue_status": f"{job.queue}#{job.status}" if indexed else None,
        "created_key": created_key_of(job) if indexed else None,
        **{name: getattr(job, name) for name in _PLAIN},
    }
    return {**values, "hosts": _hosts_within(job, values)}


def _hosts_within(job: Job, values: Mapping[str, Any]) -> str | None:
    """Return the hosts to keep: the current attempt's, and of earlier ones what costs nothing.

    The oldest are left out where they would carry the row over the next KB, for which every
    transition would pay.
    """
    if job.host is None and not any(attempt.host for attempt in job.history):
        return None
    attempts = [*job.history, job.last_attempt()]
    packed = packed_hosts(attempts)
    if packed is None or not job.history:
        return packed
    left = -_size_of(JobRow(**values)) % WRITE_UNIT_BYTES
    for number in range(len(job.history)):
        if len(packed) <= left:
            break
        attempts[number] = replace(attempts[number], host=None)
        packed = packed_hosts(attempts) or ""
    return packed or None


def _size_of(row: JobRow) -> int:
    """Return about how many bytes a row has for DynamoDB: a little more than it counts."""
    return len("hosts") + sum(
        len(name) + _size_of_value(kind, value)
        for name, stored in row.serialize().items()
        for kind, value in stored.items()
    )


def _size_of_value(kind: str, value: Any) -> int:
    if isinstance(value, bool):
        return 1
    return len(value) if "S" in kind else len(value) // 2 + 2


def job_from_row(row: JobRow) -> Job:
    *history, last = with_hosts(
        [*(_attempt(document) for document in row.history or ()), _last_attempt(row)], row.hosts
    )
    return Job(
        job_id=row.root,
        status=JobStatus(row.status),
        failed_launches=row.failed_launches or 0,
        refusal=LaunchFailure(row.refusal) if row.refusal else None,
        probe=bool(row.probe),
        on_instance=bool(row.on_instance),
        gpus=row.gpus or 0,
        spot_losses=row.spot_losses or 0,
        free_attempts=row.free_attempts or 0,
        avoids_spot=bool(row.avoids_spot),
        stop_cause=StopCause(row.stop_cause) if row.stop_cause else None,
        essential=tuple(row.essential or ()),
        container_ends=_ends(row.container_ends),
        host=last.host,
        history=tuple(history),
        waiting_on=tuple(row.waiting_on or ()),
        array=_array_state(row),
        nodes=_node_state(row),
        **{name: getattr(row, name) for name in _PLAIN},
    )


def job_from_image(image: Mapping[str, Any] | None) -> Job | None:
    """Return the job in a stream record's image (DynamoDB JSON), or None without an image."""
    if not image:
        return None
    row = JobRow()
    row.deserialize(dict(image))
    return job_from_row(row)


def lane_of(queue: str, share: str) -> str:
    return f"{queue}/{share}"


def row_from_ready(ready: Ready) -> ReadyRow:
    return ReadyRow(
        lane=lane_of(ready.queue, ready.share),
        rank=ready.rank,
        job_id=ready.job_id,
        part=None if ready.part == JOB_PART else ready.part,
        is_array=ready.is_array or None,
        cpu_units=ready.cpu_units,
        memory_mib=ready.memory_mib,
        gpus=ready.gpus or None,
        architecture=ready.architecture,
        node_sizes=_sizes_document(ready.node_sizes),
        created_at_ms=ready.created_at_ms,
        held_until_ms=ready.held_until_ms,
        spot_losses=ready.spot_losses,
    )


def ready_from_row(row: ReadyRow) -> Ready:
    queue, _, share = row.lane.partition("/")
    return Ready(
        queue=queue,
        share=share,
        rank=row.rank,
        job_id=row.job_id,
        part=row.part or JOB_PART,
        is_array=bool(row.is_array),
        cpu_units=row.cpu_units,
        memory_mib=row.memory_mib,
        gpus=row.gpus or 0,
        architecture=row.architecture,
        node_sizes=_sizes(row.node_sizes),
        created_at_ms=row.created_at_ms,
        held_until_ms=row.held_until_ms,
        spot_losses=row.spot_losses,
    )


_ATTEMPT_MEMBERS = tuple(
    field.name for field in fields(Attempt) if field.name not in {"container_ends", "host"}
)
_REQUIRED_OF_ATTEMPT = frozenset({"started_at_ms", "stopped_at_ms", "status_reason"})


def _attempt_document(attempt: Attempt) -> dict[str, Any]:
    """Return an attempt as its job's row keeps it.

    What is not known is left out, which keeps the row small. The document gets no new members:
    versions that do not know them could not read it. A new fact is a new attribute of the row.
    """
    document = {
        name: value
        for name in _ATTEMPT_MEMBERS
        if (value := getattr(attempt, name)) is not None or name in _REQUIRED_OF_ATTEMPT
    }
    ends = _ends_document(attempt.container_ends)
    return {**document, "container_ends": ends} if ends else document


def _attempt(document: Mapping[str, Any]) -> Attempt:
    known = {name: document[name] for name in _ATTEMPT_MEMBERS if name in document}
    return Attempt(**known, container_ends=_ends(document.get("container_ends")))


def _last_attempt(row: JobRow) -> Attempt:
    """Return as much of the current attempt as its host is derived from."""
    return Attempt(
        started_at_ms=None, stopped_at_ms=row.changed_at_ms, status_reason="", task_arn=row.task_arn
    )


def _ends_document(ends: tuple[ContainerEnd, ...]) -> list[list[Any]] | None:
    return [[end.name, end.exit_code, end.reason] for end in ends] or None


def _ends(document: list[list[Any]] | None) -> tuple[ContainerEnd, ...]:
    return tuple(
        ContainerEnd(name=name, exit_code=exit_code, reason=reason)
        for name, exit_code, reason, *_ in document or ()
    )


# The attribute that counts the children in each status that a child can have.
COUNTERS = {
    JobStatus.PENDING: JobRow.n_pending,
    JobStatus.RUNNABLE: JobRow.n_runnable,
    JobStatus.STARTING: JobRow.n_starting,
    JobStatus.RUNNING: JobRow.n_running,
    JobStatus.SUCCEEDED: JobRow.n_succeeded,
    JobStatus.FAILED: JobRow.n_failed,
}


def _array_attributes(array: ArrayState | None) -> dict[str, Any]:
    if array is None:
        return {}
    return {
        "array_size": array.size,
        "array_cursor": array.cursor,
        "array_singled": array.singled,
        "array_each_waits": list(array.each_waits) or None,
        "array_sequential": array.sequential,
        "array_closed_at_ms": array.closed_at_ms,
        "array_closed_reason": array.closed_reason,
        **{COUNTERS[status].attr_name: number for status, number in array.counts},
    }


def _node_state(row: JobRow) -> NodeState | None:
    if row.nodes is None:
        return None
    count, main, address, *_ = row.nodes
    return NodeState(count=count, main=main, address=address, sizes=_sizes(row.node_sizes))


def _sizes_document(sizes: Sequence[TaskSize]) -> list[list[int]] | None:
    """Return sizes of nodes. They have no architecture: EC2 takes it from its image."""
    return [[size.cpu_units, size.memory_mib, size.gpus] for size in sizes] or None


def _sizes(document: Sequence[Sequence[int]] | None) -> tuple[TaskSize, ...]:
    return tuple(
        TaskSize(cpu_units=cpu_units, memory_mib=memory_mib, gpus=gpus)
        for cpu_units, memory_mib, gpus, *_ in document or ()
    )


def _array_state(row: JobRow) -> ArrayState | None:
    if row.array_size is None:
        return None
    counted = {status: getattr(row, one.attr_name) for status, one in COUNTERS.items()}
    return ArrayState(
        size=row.array_size,
        cursor=row.array_cursor or 0,
        singled=row.array_singled or 0,
        each_waits=tuple(row.array_each_waits or ()),
        sequential=row.array_sequential,
        closed_at_ms=row.array_closed_at_ms,
        closed_reason=row.array_closed_reason,
        counts=tuple((status, number) for status, number in counted.items() if number),
    )


# Names of queues have no slash, so these lanes cannot be the lanes of a queue.
def edge_lane_of(job_id: str) -> str:
    return f"/after/{job_id}"


def row_from_edge(edge: Edge) -> EdgeRow:
    return EdgeRow(edge_lane_of(edge.upstream_id), edge.rank, kind=str(edge.kind) or "-")


def edge_from_row(row: EdgeRow) -> Edge:
    scope, dependent_id, number = row.rank.rsplit("#", 2)
    return Edge(
        upstream_id=row.lane.rpartition("/")[2],
        scope=scope,
        dependent_id=dependent_id,
        number=int(number),
        kind=DependencyType("" if row.kind == "-" else row.kind),
    )


def answer_lane(queue: str) -> str:
    return f"/answers/{queue}"


def child_range_lane(queue: str) -> str:
    return f"/child-ranges/{queue}"


def child_range_rank(job_id: str, first: int) -> str:
    return f"{job_id}#{first:08d}"


def child_range_row(queue: str, job_id: str, numbers: Iterable[int]) -> ChildRangeRow:
    ordered = sorted(numbers)
    return ChildRangeRow(
        child_range_lane(queue), child_range_rank(job_id, ordered[0]), numbers=spans_of(ordered)
    )
