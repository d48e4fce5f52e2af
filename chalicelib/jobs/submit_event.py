"""Submit the request that an event carries, in the name of the submit function.

A client token makes a submission safe to repeat: the job's id is derived from the token and the
request. For an execution of the run_job machine, whose token is its ARN, the token alone counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chalicelib.core.errors import ClientError
from chalicelib.jobs.caller import Call
from chalicelib.jobs.run_job import CALLER, is_execution_of
from chalicelib.jobs.submit import submission_answer, submit

if TYPE_CHECKING:
    from chalicelib.jobs.caller import CallPorts


CLIENT_TOKEN, TASK_TOKEN = "clientToken", "taskToken"
TOKEN_LIMITS: Mapping[str, int] = {CLIENT_TOKEN: 256, TASK_TOKEN: 2048}  # characters


def check_tokens(tokens: Mapping[str, Any]) -> None:
    """Raise ClientError for a token that is not text within its limit."""
    for name, value in tokens.items():
        limit = TOKEN_LIMITS[name]
        if not isinstance(value, str) or not 1 <= len(value) <= limit:
            raise ClientError(f"{name} must be a string of 1 to {limit} characters.")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ClientError(f"{name} must be valid Unicode.") from None


def request_body(request: Any) -> bytes:
    """Return the request as JSON, the same whatever the order of its members."""
    return json.dumps(request, sort_keys=True, separators=(",", ":")).encode()


def submit_event(
    request: dict[str, Any], body: bytes, tokens: Mapping[str, str], ports: CallPorts
) -> dict[str, Any]:
    """Submit a parsed request, whose body is `body`; return the members of SubmitJob's response.

    `tokens` holds the client token, and the task token if a task waits for the job. Raises
    ClientError for what AWS Batch refuses.
    """
    token = tokens[CLIENT_TOKEN]
    call = Call(
        ports=ports,
        caller=CALLER,
        invocation_id=token,
        body=b"" if is_execution_of(ports.settings.run_job_machine_arn, token) else body,
        task_token=tokens.get(TASK_TOKEN),
    )
    return submission_answer(submit(request, call), call)
