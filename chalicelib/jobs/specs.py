"""The specs of jobs: reading those of a batch, and the retry rules that a spec holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from chalicelib.core.ids import JOB_PART
from chalicelib.core.job import Job
from chalicelib.core.retry import ExitRule, RetryAction, RetryStrategy
from chalicelib.core.spec import Spec

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import HasJobs, HasKnownSpecs

    class SpecsPorts(HasJobs, HasKnownSpecs, Protocol):
        """What this module asks of the outside world."""


KNOWN_LIMIT = 50  # specs that a process keeps


def specs_of(jobs: Sequence[Job], ports: SpecsPorts) -> Mapping[str, Spec]:
    """Return the specs that exist among those of `jobs`, by job id.

    The children of an array share its spec and come in many batches, so it is kept once it was
    read. That of a job itself is read each time: its tags may change, and a child has none.
    """
    wanted = {job.job_id for job in jobs}
    alone = {job.job_id for job in jobs if job.part == JOB_PART}
    known = ports.known_specs
    specs = {job_id: known[job_id] for job_id in wanted - alone if job_id in known}
    missing = wanted - specs.keys()
    if missing:
        found = ports.jobs.find_specs(sorted(missing))
        if len(known) + len(found) > KNOWN_LIMIT:
            known.clear()
        known.update((job_id, found[job_id]) for job_id in found.keys() - alone)
        specs.update(found)
    return specs


def retry_strategy_from_spec(spec: Spec) -> RetryStrategy:
    """Return the job's retryStrategy; one attempt and no rules where it has none."""
    given = spec.document.get("retryStrategy") or {}
    return RetryStrategy(
        attempts=int(given.get("attempts", 1)),
        rules=tuple(
            ExitRule(
                action=RetryAction(str(rule["action"]).upper()),
                # An empty condition asks for nothing, as an absent one.
                on_status_reason=rule.get("onStatusReason") or None,
                on_reason=rule.get("onReason") or None,
                on_exit_code=rule.get("onExitCode") or None,
            )
            for rule in given.get("evaluateOnExit") or []
        ),
    )
