"""A submission's dependsOn: what it may name, and the state in which the job begins.

Each dependency is looked up at once, so that a wrong id is reported to the caller and a job that
has ended already is not waited for. One that ends between this read and the write is found after
the job is written, when `engine/dependencies` reads it again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from chalicelib.core.dependencies import (
    Dependency,
    Edge,
    dependencies_of,
    edge_from_dependency,
    event_from_end,
    is_met_by,
)
from chalicelib.core.errors import ClientError
from chalicelib.core.events import Event, EventKind
from chalicelib.core.ids import JobKey
from chalicelib.core.job import ArrayState, Job
from chalicelib.core.lifecycle import decide
from chalicelib.core.states import JobStatus
from chalicelib.jobs.caller import Call
from chalicelib.jobs.lookup import is_visible, job_key_in

Upstreams = Mapping[JobKey, Job]


def dependencies_in(request: Mapping[str, Any], job_id: str, call: Call) -> tuple[Dependency, ...]:
    """Return the request's dependencies; a jobId may be an ARN."""
    entries = []
    for entry in request.get("dependsOn", []):
        if not entry.get("jobId"):
            entries.append(entry)
            continue
        key = job_key_in(entry["jobId"], call)
        if key is None:
            raise _not_found(entry["jobId"])
        entries.append({**entry, "jobId": key.public_id})
    return dependencies_of(entries, job_id)


def find_upstreams(dependencies: Sequence[Dependency], size: int | None, call: Call) -> Upstreams:
    """Return what the job waits for, read consistently. Raises ClientError for unknown or unfit."""
    others = [one.upstream for one in dependencies if not one.kind.is_sequential]
    if not others:
        return {}
    found = call.ports.jobs.find_all(others)
    for one in dependencies:
        if one.kind.is_sequential:
            continue
        upstream = found.get(one.upstream)
        if upstream is None or one.upstream.is_node or not is_visible(upstream, call):
            raise _not_found(one.upstream.public_id)
        if one.kind.is_n_to_n:
            _refuse_other_sizes(one, upstream, size)
    return found


def with_dependencies(
    job: Job, size: int | None, dependencies: Sequence[Dependency], upstreams: Upstreams
) -> Job:
    """Return the job as it begins: an array if it has a size, PENDING on open dependencies.

    A dependency that has already ended, and not in the way it is waited for, ends the job at once.
    """
    whole = tuple(one.number for one in dependencies if not one.kind.is_by_child)
    begun = replace(
        job,
        status=JobStatus.PENDING if size is not None or whole else JobStatus.RUNNABLE,
        waiting_on=whole,
        array=None if size is None else _array_of(size, dependencies),
    )
    for one in dependencies:
        upstream = upstreams.get(one.upstream)
        if upstream is None or not upstream.is_terminal:
            continue
        # Some children of a failed array succeeded: their dependents are released one by one.
        if not one.kind.is_n_to_n or is_met_by(one.kind, upstream.status):
            event = event_from_end(one.kind, one.number, upstream.status, job.created_at_ms)
            begun = decide(begun, event).job
    if begun.array is not None:
        all_over = Event(kind=EventKind.CHILDREN_ENDED, at_ms=job.created_at_ms)
        begun = decide(begun, all_over).job
    return begun.at_version(job.version)


def edges_of(job: Job, dependencies: Sequence[Dependency]) -> list[Edge]:
    """Return the edges to the jobs that are still waited for."""
    if job.is_terminal:
        return []
    waits = set(job.waiting_on)
    if job.array is not None:
        waits |= {*job.array.each_waits}
        waits |= set() if job.array.sequential is None else {job.array.sequential}
    return [edge_from_dependency(one, job.job_id) for one in dependencies if one.number in waits]


def described(dependency: Dependency) -> dict[str, str]:
    """Return the dependency as DescribeJobs shows it."""
    entry = {} if dependency.kind.is_sequential else {"jobId": dependency.upstream.public_id}
    return entry | ({"type": dependency.shown_type} if dependency.shown_type else {})


def _array_of(size: int, dependencies: Sequence[Dependency]) -> ArrayState:
    sequential = [one.number for one in dependencies if one.kind.is_sequential]
    return ArrayState(
        size=size,
        each_waits=tuple(one.number for one in dependencies if one.kind.is_n_to_n),
        sequential=sequential[0] if sequential else None,
    )


def _refuse_other_sizes(dependency: Dependency, upstream: Job, size: int | None) -> None:
    if upstream.array is None:
        raise ClientError(
            f"Dependency type {dependency.kind} requires job {dependency.upstream.public_id} "
            "to be an array job."
        )
    if upstream.array.size != size:
        raise ClientError(
            f"Dependency type {dependency.kind} requires arrays of the same size: job "
            f"{dependency.upstream.public_id} has {upstream.array.size} children, not {size}."
        )


def _not_found(reference: str) -> ClientError:
    return ClientError(f"Job {reference[:200]} of dependsOn not found.")
