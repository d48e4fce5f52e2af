"""Dependencies: how a job may wait for another, and what the end of that one means for it.

AWS Batch has three kinds: on the success of a whole job, N_TO_N and SEQUENTIAL (its user guide,
array job dependencies). The types with AFTER in their name are additions of this project; an SDK
sends their names unchecked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from chalicelib.core.events import Event, EventKind
from chalicelib.core.ids import JobKey
from chalicelib.core.states import JobStatus

EACH = "each"  # the scope of an edge that waits for each child of an array on its own


class DependencyType(StrEnum):
    """How a dependent job waits. The values are those of `dependsOn[].type`, "" for no type."""

    AFTER_SUCCESS = ""
    N_TO_N = "N_TO_N"
    SEQUENTIAL = "SEQUENTIAL"
    AFTER_ANY = "AFTER_ANY"
    AFTER_FAILURE = "AFTER_FAILURE"
    N_TO_N_AFTER_ANY = "N_TO_N_AFTER_ANY"
    SEQUENTIAL_AFTER_ANY = "SEQUENTIAL_AFTER_ANY"

    @property
    def is_n_to_n(self) -> bool:
        """Return whether each child waits for the child with the same number in another array."""
        return self in {self.N_TO_N, self.N_TO_N_AFTER_ANY}

    @property
    def is_sequential(self) -> bool:
        """Return whether each child waits for the child before it in its own array."""
        return self in {self.SEQUENTIAL, self.SEQUENTIAL_AFTER_ANY}

    @property
    def is_by_child(self) -> bool:
        """Return whether each child of an array waits on its own."""
        return self.is_n_to_n or self.is_sequential


# How a job that is no array waits for the job that a sequential dependency names.
_WHOLE_JOB = {
    DependencyType.SEQUENTIAL: DependencyType.AFTER_SUCCESS,
    DependencyType.SEQUENTIAL_AFTER_ANY: DependencyType.AFTER_ANY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """One entry of dependsOn: `number` is its position there, `upstream` what it waits for.

    `shown_type` is the type that the request gave, which is not always the kind of waiting.
    """

    number: int
    kind: DependencyType
    upstream: JobKey
    shown_type: str = ""

    @property
    def scope(self) -> str:
        """Return what of the upstream job it waits for: the whole job, one child, or each child."""
        return EACH if self.kind.is_by_child else self.upstream.part


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One dependency as a stored row, found by its upstream job."""

    upstream_id: str
    scope: str
    dependent_id: str
    number: int
    kind: DependencyType

    @property
    def rank(self) -> str:
        return f"{self.scope}#{self.dependent_id}#{self.number:02d}"


def dependencies_of(entries: Sequence[Mapping[str, Any]], job_id: str) -> tuple[Dependency, ...]:
    """Return the dependsOn of the job `job_id` as values.

    Each jobId is a plain id, as the spec keeps it. A SEQUENTIAL dependency is on the job's own
    children; one that names a job is an ordinary dependency on that job, as in AWS.
    """
    return tuple(_dependency_of(number, entry, job_id) for number, entry in enumerate(entries))


def _dependency_of(number: int, entry: Mapping[str, Any], job_id: str) -> Dependency:
    given = DependencyType(entry.get("type") or "")
    upstream = JobKey.parse(entry.get("jobId") or job_id)
    kind = _WHOLE_JOB.get(given, given) if entry.get("jobId") else given
    return Dependency(number=number, kind=kind, upstream=upstream, shown_type=str(given))


def edge_from_dependency(dependency: Dependency, dependent_id: str) -> Edge:
    return Edge(
        upstream_id=dependency.upstream.job_id,
        scope=dependency.scope,
        dependent_id=dependent_id,
        number=dependency.number,
        kind=dependency.kind,
    )


def is_met_by(kind: DependencyType, status: JobStatus) -> bool:
    """Return whether this end of the upstream job lets the dependent job run."""
    match kind:
        case DependencyType.AFTER_FAILURE:
            return status is JobStatus.FAILED
        case (
            DependencyType.AFTER_ANY
            | DependencyType.N_TO_N_AFTER_ANY
            | DependencyType.SEQUENTIAL_AFTER_ANY
        ):
            return True
        case _:
            return status is JobStatus.SUCCEEDED


def event_from_end(kind: DependencyType, number: int, status: JobStatus, at_ms: int) -> Event:
    """Return the event that the end of an upstream job in `status` is for the dependent job."""
    if is_met_by(kind, status):
        met = frozenset({number})
        return Event(kind=EventKind.DEPENDENCY_MET, at_ms=at_ms, dependencies=met)
    if kind is DependencyType.AFTER_FAILURE:
        return Event(kind=EventKind.DEPENDENCY_UNNEEDED, at_ms=at_ms)
    return Event(kind=EventKind.DEPENDENCY_FAILED, at_ms=at_ms)
