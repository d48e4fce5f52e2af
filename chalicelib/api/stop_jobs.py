"""CancelJob and TerminateJob, for one job and in bulk, as AWS's API reference describes them.

What a stop does to a job in each status is the lifecycle's decision. A decision that loses its
condition is made again on the job's new state; for unknown and ended jobs the answer is a success.
"""

from typing import Any

from chalicelib.core.errors import ClientError, TooManyRequestsError
from chalicelib.core.events import EventKind
from chalicelib.jobs.caller import Call
from chalicelib.jobs.lookup import job_key_in
from chalicelib.jobs.stop import stop_job

REASON_LIMIT = 1024
BULK_LIMIT = 50


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
    key = job_key_in(request["jobId"], call)
    if key is not None:
        stop_job(key, kind, reason, call.ports, queue=call.queue)
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
                stop_job(key, kind, reason, call.ports, queue=call.queue)
        except TooManyRequestsError as error:
            errors.append(
                {"job": reference, "code": "ThrottlingException", "message": error.message}
            )
            continue
        successful.append(reference)
    return {"successful": successful, "errors": errors}


def _reason_of(request: dict[str, Any]) -> str:
    reason = str(request["reason"])
    if len(reason) > REASON_LIMIT:
        raise ClientError(f"reason must have at most {REASON_LIMIT} characters.")
    return reason
