"""Submit the jobs of triggers: one for each event, under the trigger's overlap policy.

A job's id is derived from its trigger and the event's key, so an event that is delivered again
finds its job.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from chalicelib.core.events import EventKind
from chalicelib.core.ids import JobKey, derived_job_id
from chalicelib.core.resources.resource import Resource
from chalicelib.core.triggers.firing import FiringOutcome
from chalicelib.core.triggers.overlap_lock import (
    OverlapLock,
    after_all,
    not_over_of,
    reason_to_skip,
)
from chalicelib.core.triggers.trigger import Overlap, Trigger
from chalicelib.core.validation.submit import SMALLEST_ARRAY
from chalicelib.jobs.caller import Call, Definitions
from chalicelib.jobs.stop import stop_job
from chalicelib.jobs.submit import Submission, submit
from chalicelib.ports import ContentionError, OverlapLockLostError
from chalicelib.triggers.request import parse_submission

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.jobs.caller import CallPorts
    from chalicelib.ports import (
        HasCatalog,
        HasOverlapLocks,
    )

    class TriggerSubmitPorts(CallPorts, HasOverlapLocks, Protocol):
        """What this module asks of the outside world."""


OVERLAP_LOCK_TRIES = 8  # to write an overlap lock, before the message is delivered again


@dataclass(frozen=True, slots=True, kw_only=True)
class FiringResult:
    """The result of an event: its job, made now or before, or why there is none."""

    outcome: FiringOutcome
    job_id: str | None = None
    reason: str = ""


class SharedDefinitions:
    """Reads each queue and definition once for all events of a batch."""

    def __init__(self, ports: HasCatalog) -> None:
        self._catalog = ports.catalog
        self._found: dict[tuple[str, str], Resource | None] = {}
        self._newest: dict[tuple[str, int | None, bool], Sequence[Resource]] = {}

    def find(self, kind: str, name: str) -> Resource | None:
        if (kind, name) not in self._found:
            self._found[kind, name] = self._catalog.find(kind, name)
        return self._found[kind, name]

    def newest(
        self, name: str, *, limit: int | None = 1, active_only: bool = False
    ) -> Sequence[Resource]:
        key = (name, limit, active_only)
        if key not in self._newest:
            self._newest[key] = self._catalog.newest(name, limit=limit, active_only=active_only)
        return self._newest[key]


def job_id_for(trigger: Trigger, event_key: str) -> str:
    """Return the id of the job that this event makes, or has made."""
    return derived_job_id(_caller(trigger), event_key, b"")


def submit_for(
    trigger: Trigger,
    event_key: str,
    request: Mapping[str, Any],
    ports: CallPorts,
    *,
    smallest_array: int = SMALLEST_ARRAY,
) -> str:
    """Submit the event's job unless it exists; return its id. Raises ClientError if refused."""
    call = replace(_call(trigger, event_key, ports), smallest_array=smallest_array)
    return submit(parse_submission(request), call).job_id


def make_job(
    trigger: Trigger,
    event_key: str,
    request: Mapping[str, Any],
    ports: TriggerSubmitPorts,
    definitions: Definitions | None = None,
) -> FiringResult:
    """Submit the event's job under the trigger's overlap policy.

    Raises ClientError for what SubmitJob refuses, ContentionError when every try lost the overlap
    lock to another firing.
    """
    if trigger.overlap is Overlap.ALLOW:
        call = _call(trigger, event_key, ports, definitions)
        return _result_of(submit(parse_submission(request), call))
    for number in range(1, OVERLAP_LOCK_TRIES + 1):
        try:
            return _make_in_turn(trigger, event_key, request, ports, definitions)
        except OverlapLockLostError:
            ports.pause(number)
    raise ContentionError(f"the overlap lock of trigger {trigger.name}, {OVERLAP_LOCK_TRIES} tries")


def _make_in_turn(
    trigger: Trigger,
    event_key: str,
    request: Mapping[str, Any],
    ports: TriggerSubmitPorts,
    definitions: Definitions | None,
) -> FiringResult:
    """Try once; raise OverlapLockLostError if another firing took the overlap lock meanwhile."""
    job_id = job_id_for(trigger, event_key)
    overlap_lock = ports.overlap_locks.find(trigger.name, trigger.uid)
    jobs = ports.jobs.find_jobs(map(JobKey, (job_id, *overlap_lock.job_ids)))
    if JobKey(job_id) in jobs:
        if overlap_lock.last == job_id:
            # The process that made it may have ended before it stopped the jobs that it replaces.
            _stop_replaced(trigger, overlap_lock, overlap_lock.earlier, ports)
        return FiringResult(outcome=FiringOutcome.DUPLICATE, job_id=job_id)
    not_over = not_over_of(overlap_lock, jobs)
    reason = reason_to_skip(trigger.overlap, not_over)
    if reason is not None:
        return FiringResult(outcome=FiringOutcome.SKIPPED, reason=reason)
    replaced = [one for one in not_over if one != overlap_lock.last]
    if replaced:
        # Stop what an earlier firing should have replaced; a job that only waits is over then.
        _stop_replaced(trigger, overlap_lock, replaced, ports)
        not_over = not_over_of(
            overlap_lock, ports.jobs.find_jobs(map(JobKey, overlap_lock.job_ids))
        )
    taken = overlap_lock.taken_by(job_id, not_over)
    call = _call(trigger, event_key, ports, definitions, taken)
    submission = submit(parse_submission(after_all(request, not_over)), call)
    if not submission.is_new:
        raise OverlapLockLostError(
            trigger.name
        )  # the same event at the same time: the next try finds it
    _stop_replaced(trigger, taken, not_over, ports)
    return _result_of(submission)


def _stop_replaced(
    trigger: Trigger, overlap_lock: OverlapLock, job_ids: Iterable[str], ports: TriggerSubmitPorts
) -> None:
    reason = f"Replaced by job {overlap_lock.last} of trigger {trigger.name}"
    for job_id in job_ids:
        stop_job(JobKey(job_id), EventKind.TERMINATE, reason, ports)


def _call(
    trigger: Trigger,
    event_key: str,
    ports: CallPorts,
    definitions: Definitions | None = None,
    overlap_lock: OverlapLock | None = None,
) -> Call:
    return Call(
        ports=ports,
        caller=_caller(trigger),
        invocation_id=event_key,
        body=b"",
        shared=definitions,
        overlap_lock=overlap_lock,
    )


def _result_of(submission: Submission) -> FiringResult:
    outcome = FiringOutcome.SUBMITTED if submission.is_new else FiringOutcome.DUPLICATE
    return FiringResult(outcome=outcome, job_id=submission.job_id)


def _caller(trigger: Trigger) -> str:
    return f"trigger:{trigger.name}:{trigger.uid}"
