"""Diagrams and tables of the lifecycle, read off `chalicelib.core.lifecycle` by asking it.

Rules are functions, so they are probed: sample jobs that differ in all that a rule looks at are
given every event, and what `decide` answers is written down. Tests prove that no rule is missed.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

from chalicelib.core.events import Event, EventKind
from chalicelib.core.job import ArrayState, Job, StopCause
from chalicelib.core.lifecycle import decide
from chalicelib.core.states import PLACED, STATUS_NOTES, TERMINAL, JobStatus

Outcomes = dict[tuple[JobStatus, EventKind], frozenset[JobStatus]]

# Statuses that a row can be in: SubmitJob evaluates a job at once.
STATUSES = [status for status in JobStatus if status is not JobStatus.SUBMITTED]
# What SubmitJob may write, and when.
_ENTRIES = {
    JobStatus.PENDING: "SubmitJob, if it waits for other jobs or is an array",
    JobStatus.RUNNABLE: "SubmitJob",
    JobStatus.FAILED: "SubmitJob, if what it depends on has failed",
}
_ARRAY_ENTRIES = {JobStatus.PENDING: "SubmitJob"}
_LATE_MS = 10_000_000


def sample_jobs(status: JobStatus) -> Iterator[Job]:
    """Yield jobs in this status that differ in what the rules look at."""
    job = Job(
        job_id="00000000-0000-4000-8000-000000000000",
        name="sample",
        queue="queue",
        definition="sample:1",
        status=status,
        timeout_seconds=60,
        cpu_units=1024,
        memory_mib=2048,
        created_at_ms=0,
        changed_at_ms=0,
    )
    if status in PLACED | TERMINAL:
        job = replace(job, dispatch_count=1, environment="fargate")
    if status is JobStatus.RUNNING or status in TERMINAL:
        job = replace(job, task_arn="task", started_at_ms=0)
    waits: list[tuple[int, ...]] = [(1,), (1, 2)] if status is JobStatus.PENDING else [()]
    for cause, attempts, waiting_on in product([None, *StopCause], [1, 2], waits):
        stop: dict[str, Any] = {} if cause is None else {"stop_cause": cause, "stop_reason": "stop"}
        yield replace(job, attempts_limit=attempts, waiting_on=waiting_on, **stop)


def sample_arrays() -> Iterator[Job]:
    """Yield parents of arrays: waiting or not, with children at work, ended well or not, closed."""
    ended = [
        ((JobStatus.RUNNING, 1), (JobStatus.SUCCEEDED, 1)),
        ((JobStatus.SUCCEEDED, 2),),
        ((JobStatus.FAILED, 1), (JobStatus.SUCCEEDED, 1)),
    ]
    for job, counts, closed in product(sample_jobs(JobStatus.PENDING), ended, [None, 0]):
        array = ArrayState(size=2, cursor=2, counts=counts, closed_at_ms=closed)
        yield replace(job, array=array)
        yield replace(job, array=replace(array, cursor=0, counts=()))


def sample_events(kind: EventKind) -> Iterator[Event]:
    """Yield events of this kind that differ in what the rules look at."""
    event = Event(kind=kind, at_ms=_LATE_MS, reason="reason", label="label", task_arn="task")
    # Only the end of a task has an exit code.
    codes = [0, 1, None] if kind is EventKind.TASK_STOPPED else [None]
    for exit_code, dependencies in product(codes, [None, frozenset({1})]):
        yield replace(event, exit_code=exit_code, dependencies=dependencies)


def outcomes_of(jobs: Iterable[Job]) -> Outcomes:
    """Return the statuses that each event leaves a job of a status in, if it changes the job.

    The job's own status stands for a change without a move.
    """
    found: dict[tuple[JobStatus, EventKind], set[JobStatus]] = {}
    for job, kind in product(jobs, EventKind):
        for event in sample_events(kind):
            after = decide(job, event).job
            if after is not job:
                found.setdefault((job.status, kind), set()).add(after.status)
    return {pair: frozenset(statuses) for pair, statuses in found.items()}


@cache
def job_outcomes() -> Outcomes:
    """Return what each event does to a job that is not an array's parent."""
    return outcomes_of(job for status in STATUSES for job in sample_jobs(status))


@cache
def array_outcomes() -> Outcomes:
    """Return what each event does to the parent of an array."""
    return outcomes_of(sample_arrays())


def job_diagram() -> str:
    """Return the diagram of a job, a child or a node: its statuses and the events that move it."""
    return _diagram(job_outcomes(), _ENTRIES)


def array_diagram() -> str:
    """Return the diagram of an array's parent, which never runs itself."""
    return _diagram(array_outcomes(), _ARRAY_ENTRIES)


def _diagram(outcomes: Outcomes, entries: dict[JobStatus, str]) -> str:
    moves: dict[tuple[JobStatus, JobStatus], list[EventKind]] = {}
    for (before, kind), statuses in outcomes.items():
        for after in statuses - {before}:
            moves.setdefault((before, after), []).append(kind)
    order = list(JobStatus)
    lines = ["```mermaid", "stateDiagram-v2"]
    lines += [f"    [*] --> {status}: {label}" for status, label in entries.items()]
    for before, after in sorted(moves, key=lambda move: [order.index(one) for one in move]):
        kinds = sorted(moves[before, after], key=list(EventKind).index)
        lines.append(f"    {before} --> {after}: {', '.join(map(str, kinds))}")
    lines += [f"    {status} --> [*]" for status in order if status in TERMINAL]
    return "\n".join([*lines, "```"])


def transitions_table() -> str:
    """Return the table of events by status: where each event takes a job, or that it is noted."""
    shown = [status for status in STATUSES if status not in TERMINAL]
    lines = [
        f"| event | {' | '.join(shown)} | array's parent |",
        f"|---|{'---|' * (len(shown) + 1)}",
    ]
    jobs, arrays = job_outcomes(), array_outcomes()
    for kind in EventKind:
        cells = [_cell(status, jobs.get((status, kind))) for status in shown]
        cells.append(_cell(JobStatus.PENDING, arrays.get((JobStatus.PENDING, kind))))
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(before: JobStatus, statuses: frozenset[JobStatus] | None) -> str:
    if statuses is None:
        return "-"
    return ", ".join(
        "recorded" if status is before else str(status)
        for status in JobStatus
        if status in statuses
    )


def status_table() -> str:
    """Return each status: its meaning, who moves a job out of it, and what ECS shows meanwhile."""
    lines = ["| status | meaning | who moves a job out | ECS task |", "|---|---|---|---|"]
    lines += [
        f"| {status} | {meaning} | {mover} | {task} |"
        for status, (meaning, mover, task) in STATUS_NOTES.items()
    ]
    return "\n".join(lines)
