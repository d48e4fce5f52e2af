"""CancelJob and TerminateJob, alone and in bulk, as AWS's API reference has them.

What a stop does to a job in each status is the lifecycle's decision. A decision that loses its
condition is made anew on what the job has become meanwhile; unknown and ended jobs are a success.
"""

from typing import Any

from chalicelib.jobs.caller import Call
from chalicelib.api.describe_jobs import job_key_in
from chalicelib.core.errors import ClientError, TooManyRequestsError
from chalicelib.core.events import Event, EventKind
from chalicelib.core.ids import JobKey
from chalicelib.core.lifecycle import decide
from chalicelib.observe import log_decision
from chalicelib.store.commits import Move
from chalicelib.store.transactions import ContentionError
from chalicelib.wiring import Ports

REASON_LIMIT = 1024
BULK_LIMIT = 50
STOP_TRIES = 10


def cancel_job(request: dict[str, Any], call: Call) -> dict[str, Any]:
    return _stop_one(request, EventKind.CANCEL, call)


def terminate_job(request: dict[str, Any], call: Call) -> dict[str, Any]:
    return _stop_one(request, EventKind.TERMINATE, call)


def cancel_jobs(request: dict[str, Any], call: Call) -> dict[str, Any]:
    return _stop_many(request, EventKind.CANCEL, call)


def terminate_jobs(request: dict[str, Any], call: Call) -> dict[str, Any]:
    return _stop_many(request, EventKind.TERMINATE, call)


def _stop_one(request: dict[str, Any], kind: EventKind, call: Call) -> dict[str, Any]:
    reason = _reason_of(request)
    if not request["jobId"]:
        raise ClientError("jobId is required.")
    key = job_key_in(request["jobId"], call)
    if key is not None:
        stop_job(key, kind, reason, call.ports)
    return {}


def _stop_many(request: dict[str, Any], kind: EventKind, call: Call) -> dict[str, Any]:
    reason = _reason_of(request)
    if not 1 <= len(request["jobs"]) <= BULK_LIMIT:
        raise ClientError(f"Number of jobs must be between 1 and {BULK_LIMIT}.")
    successful: list[str] = []
    errors: list[dict[str, str]] = []
    for reference in dict.fromkeys(request["jobs"]):
        key = job_key_in(reference, call)
        try:
            if key is not None:
                stop_job(key, kind, reason, call.ports)
        except TooManyRequestsError as error:
            errors.append(
                {"job": reference, "code": "ThrottlingException", "message": error.message}
            )
            continue
        successful.append(reference)
    return {"successful": successful, "errors": errors}


def stop_job(key: JobKey, kind: EventKind, reason: str, ports: Ports) -> None:
    """Apply one stop; TooManyRequestsError when others kept changing the job through every try.

    A node cannot be stopped without its job: that is accepted, and nothing comes of it.
    """
    if key.is_node:
        return
    for _ in range(STOP_TRIES):
        found = ports.jobs.find_all([key])
        job = found.get(key)
        if job is None:
            return
        decision = decide(job, Event(kind=kind, at_ms=ports.now_ms(), reason=reason))
        log_decision(decision)
        if decision.job is job:
            return
        try:
            if not ports.jobs.commit([Move.of(job, decision.job, found.get(key.root))]):
                return
        except ContentionError:
            continue
    raise TooManyRequestsError


def _reason_of(request: dict[str, Any]) -> str:
    reason = str(request["reason"])
    if not reason:
        raise ClientError("reason is required.")
    if len(reason) > REASON_LIMIT:
        raise ClientError(f"reason must have at most {REASON_LIMIT} characters.")
    return reason
