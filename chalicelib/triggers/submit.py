"""The jobs of triggers: made once for each event, and as their overlap policy has it.

A job's id is derived from its trigger and the key of the event, as that of a submission is from an
SDK's invocation, so an event that comes again finds its job.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from chalicelib.jobs.caller import Call, Definitions
from chalicelib.api.stop_jobs import stop_job
from chalicelib.jobs.submit import Submission, submit
from chalicelib.triggers.request import parse_submission
from chalicelib.core.events import EventKind
from chalicelib.core.ids import JobKey, derived_job_id
from chalicelib.core.triggers.firing import Outcome
from chalicelib.core.triggers.overlap_lock import Claim, after_all, not_over_of, reason_to_skip
from chalicelib.core.triggers.trigger import Overlap, Trigger
from chalicelib.core.validation.submit import SMALLEST_ARRAY
from chalicelib.store.catalog import Resource
from chalicelib.store.overlap_locks import ClaimLostError
from chalicelib.store.transactions import ContentionError
from chalicelib.wiring import Ports

CLAIM_TRIES = 8  # how often a lost claim is read and decided anew before the event comes again


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What an event came to: its job, made now or before, or why there is none."""

    outcome: Outcome
    job_id: str | None = None
    reason: str = ""


class SharedDefinitions:
    """Queues and definitions, each read once for all the events of a batch."""

    def __init__(self, ports: Ports) -> None:
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
    """The id of the job that this event makes, whether or not it has."""
    return derived_job_id(_caller(trigger), event_key, b"")


def submit_for(
    trigger: Trigger,
    event_key: str,
    request: Mapping[str, Any],
    ports: Ports,
    *,
    smallest_array: int = SMALLEST_ARRAY,
) -> str:
    """Submit the event's job unless it is there; its id. ClientError for what SubmitJob refuses."""
    call = replace(_call(trigger, event_key, ports), smallest_array=smallest_array)
    return submit(parse_submission(request), call).job_id


def make_job(
    trigger: Trigger,
    event_key: str,
    request: Mapping[str, Any],
    ports: Ports,
    definitions: Definitions | None = None,
) -> Effect:
    """Submit the event's job as the trigger's overlap policy has it.

    ClientError for what SubmitJob refuses; ContentionError when others fired through every try.
    """
    if trigger.overlap is Overlap.ALLOW:
        call = _call(trigger, event_key, ports, definitions)
        return _effect_of(submit(parse_submission(request), call))
    for number in range(1, CLAIM_TRIES + 1):
        try:
            return _make_in_turn(trigger, event_key, request, ports, definitions)
        except ClaimLostError:
            ports.pause(number)
    raise ContentionError(f"the claim of trigger {trigger.name}, {CLAIM_TRIES} tries")


def _make_in_turn(
    trigger: Trigger,
    event_key: str,
    request: Mapping[str, Any],
    ports: Ports,
    definitions: Definitions | None,
) -> Effect:
    """One try: ClaimLostError when another firing came in between."""
    job_id = job_id_for(trigger, event_key)
    claim = ports.claims.find(trigger.name, trigger.incarnation)
    jobs = ports.jobs.find_jobs(map(JobKey, (job_id, *claim.job_ids)))
    if JobKey(job_id) in jobs:
        if claim.last == job_id:
            # The process that made it may have died before it stopped those that it replaces.
            _stop_replaced(trigger, claim, claim.earlier, ports)
        return Effect(outcome=Outcome.DUPLICATE, job_id=job_id)
    not_over = not_over_of(claim, jobs)
    reason = reason_to_skip(trigger.overlap, not_over)
    if reason is not None:
        return Effect(outcome=Outcome.SKIPPED, reason=reason)
    replaced = [one for one in not_over if one != claim.last]
    if replaced:
        # The same, done for one that has not come again yet; whatever waits is over with that.
        _stop_replaced(trigger, claim, replaced, ports)
        not_over = not_over_of(claim, ports.jobs.find_jobs(map(JobKey, claim.job_ids)))
    taken = claim.taken_by(job_id, not_over)
    call = _call(trigger, event_key, ports, definitions, taken)
    submission = submit(parse_submission(after_all(request, not_over)), call)
    if not submission.is_new:
        raise ClaimLostError(trigger.name)  # the same event at the same time: it is found now
    _stop_replaced(trigger, taken, not_over, ports)
    return _effect_of(submission)


def _stop_replaced(trigger: Trigger, claim: Claim, job_ids: Iterable[str], ports: Ports) -> None:
    reason = f"Replaced by job {claim.last} of trigger {trigger.name}"
    for job_id in job_ids:
        stop_job(JobKey(job_id), EventKind.TERMINATE, reason, ports)


def _call(
    trigger: Trigger,
    event_key: str,
    ports: Ports,
    definitions: Definitions | None = None,
    claim: Claim | None = None,
) -> Call:
    return Call(
        ports=ports,
        caller=_caller(trigger),
        invocation_id=event_key,
        body=b"",
        shared=definitions,
        claim=claim,
    )


def _effect_of(submission: Submission) -> Effect:
    outcome = Outcome.SUBMITTED if submission.is_new else Outcome.DUPLICATE
    return Effect(outcome=outcome, job_id=submission.job_id)


def _caller(trigger: Trigger) -> str:
    return f"trigger:{trigger.name}:{trigger.incarnation}"
