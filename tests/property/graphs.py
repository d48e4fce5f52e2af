"""Graphs of jobs that depend on one another, and how each job must end.

A graph is what a user submits, and no more. The oracle here knows the dependency types by name from
their documentation, and uses no function of the code: from the state of jobs and children it
derives whether one may have started, and how one that nobody stopped must have ended.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

SUCCEEDED, FAILED = "SUCCEEDED", "FAILED"
ENDED = frozenset({SUCCEEDED, FAILED})
# A type and the ends of what is waited for that let a job run.
WHOLE = {"": {SUCCEEDED}, "AFTER_ANY": ENDED, "AFTER_FAILURE": {FAILED}}
N_TO_N = {"N_TO_N": {SUCCEEDED}, "N_TO_N_AFTER_ANY": ENDED}
SEQUENTIAL = {"SEQUENTIAL": {SUCCEEDED}, "SEQUENTIAL_AFTER_ANY": ENDED}
MEETS: dict[str, Collection[str]] = {**WHOLE, **N_TO_N, **SEQUENTIAL}

SIZES = (None, None, 2, 3, 3, 3, 4, 5)
ATTEMPTS_LIMIT = 2


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A job of the graph by its index, or one of its children."""

    job: int
    child: int = -1

    @property
    def is_child(self) -> bool:
        return self.child >= 0

    def __str__(self) -> str:
        return f"{name_of(self.job)}:{self.child}" if self.is_child else name_of(self.job)


@dataclass(frozen=True, slots=True)
class Wait:
    """An entry of dependsOn; one of a SEQUENTIAL type names no upstream."""

    kind: str
    upstream: Place | None = None

    def __str__(self) -> str:
        return f"{self.kind or 'success'}({self.upstream or ''})"


@dataclass(frozen=True, slots=True)
class JobPlan:
    """A job as it is submitted; `failures` are the (child, attempt) whose container exits 1."""

    index: int
    size: int | None
    attempts: int
    waits: tuple[Wait, ...]
    failures: frozenset[tuple[int, int]]

    @property
    def children(self) -> tuple[Place, ...]:
        return tuple(Place(self.index, child) for child in range(self.size or 0))

    @property
    def places(self) -> tuple[Place, ...]:
        return (Place(self.index), *self.children)

    @property
    def runs(self) -> tuple[Place, ...]:
        """Return the parts of it that may have a task."""
        return self.children or (Place(self.index),)

    def exit_code(self, place: Place, attempt: int) -> int:
        return int((place.child, attempt) in self.failures)

    def attempts_of(self, place: Place) -> int:
        """Return how many attempts it makes once it runs."""
        attempts = range(1, self.attempts + 1)
        return next((n for n in attempts if self.exit_code(place, n) == 0), self.attempts)

    def __str__(self) -> str:
        shape = f"[{self.size}]" if self.size else ""
        waits = " ".join(map(str, self.waits)) or "-"
        fails = ", ".join(f"{child}/{attempt}" for child, attempt in sorted(self.failures)) or "-"
        return (
            f"{name_of(self.index)}{shape} after {waits}; "
            f"{self.attempts} attempt(s), fails (child/attempt): {fails}"
        )


def name_of(index: int) -> str:
    return "abcdefghij"[index]


# The oracle

Statuses = Mapping[Place, str]


def waits_of(plan: JobPlan, place: Place) -> list[tuple[str, Place]]:
    """Return (type, upstream) of a job without children, or of a child, its parent's included."""
    waits: list[tuple[str, Place]] = []
    for wait in plan.waits:
        if wait.kind in SEQUENTIAL:
            if place.child > 0:
                waits.append((wait.kind, Place(place.job, place.child - 1)))
        elif wait.upstream is not None:
            child = place.child if wait.kind in N_TO_N else wait.upstream.child
            waits.append((wait.kind, Place(wait.upstream.job, child)))
    return waits


def may_run(plan: JobPlan, place: Place, statuses: Statuses) -> bool:
    """Return whether all that it waits for has ended in the way it is waited for."""
    return all(statuses[upstream] in MEETS[kind] for kind, upstream in waits_of(plan, place))


def end_of(plan: JobPlan, place: Place, statuses: Statuses) -> str:
    """Return how it ends if nobody stops it, given how the others ended."""
    if place not in plan.runs:
        succeeded = all(statuses[child] == SUCCEEDED for child in plan.children)
        return SUCCEEDED if succeeded else FAILED
    if not may_run(plan, place, statuses):
        return FAILED
    return FAILED if plan.exit_code(place, plan.attempts_of(place)) else SUCCEEDED


# What Hypothesis makes


@st.composite
def job_plans(draw: st.DrawFn, index: int, before: list[JobPlan]) -> JobPlan:
    size = draw(st.sampled_from(SIZES))
    attempts = draw(st.integers(1, ATTEMPTS_LIMIT))
    children = range(size) if size else [-1]
    tries = [(child, attempt) for child in children for attempt in range(1, attempts + 1)]
    failures = draw(st.lists(st.sampled_from(tries), max_size=len(tries) // 2 + 1))
    waits = draw(st.lists(_waits(size, before), max_size=3)) if before else []
    if size and draw(st.integers(0, 3)) == 0:
        waits.append(Wait(draw(st.sampled_from(sorted(SEQUENTIAL)))))
    return JobPlan(index, size, attempts, tuple(dict.fromkeys(waits)), frozenset(failures))


def _waits(size: int | None, before: list[JobPlan]) -> st.SearchStrategy[Wait]:
    whole = [Wait(kind, Place(plan.index)) for plan in before for kind in sorted(WHOLE)]
    single = [
        Wait(kind, child) for plan in before for child in plan.children for kind in sorted(WHOLE)
    ]
    each = [
        Wait(kind, Place(plan.index))
        for plan in before
        if size and plan.size == size
        for kind in sorted(N_TO_N)
    ]
    kinds = [st.sampled_from(waits) for waits in (each, whole, single) if waits]
    return st.one_of(kinds)


@st.composite
def graphs(draw: st.DrawFn, jobs_limit: int) -> list[JobPlan]:
    plans: list[JobPlan] = []
    for index in range(draw(st.integers(2, jobs_limit))):
        plans.append(draw(job_plans(index, plans)))
    return plans


def request_of(plan: JobPlan, job_ids: Mapping[int, str]) -> dict[str, Any]:
    """Return the members of SubmitJob that submit this job of the graph."""
    request: dict[str, Any] = {"retryStrategy": {"attempts": plan.attempts}}
    if plan.size:
        request["arrayProperties"] = {"size": plan.size}
    entries = []
    for wait in plan.waits:
        entry = {"type": wait.kind} if wait.kind else {}
        if wait.upstream is not None:
            entry["jobId"] = public_id(wait.upstream, job_ids)
        entries.append(entry)
    return request | ({"dependsOn": entries} if entries else {})


def public_id(place: Place, job_ids: Mapping[int, str]) -> str:
    job_id = job_ids[place.job]
    return f"{job_id}:{place.child}" if place.is_child else job_id
