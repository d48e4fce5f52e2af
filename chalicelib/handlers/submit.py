"""Submitting without the API: whatever can invoke a function can submit a job.

The event is a SubmitJob request with two members beside the contract's: `clientToken` makes it safe
to repeat, `taskToken` has its end told to a Step Functions task. It may come as it is, as the
`detail` of an EventBridge event, as the message of an SNS topic, or as the `request` beside the two
members. An event that names no clientToken has one of its own: the event's id, the message's, or
that of the invocation, each of which stays the same when it is delivered again.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.contract.model import error_response, operation_named, parse_request, shape_response
from chalicelib.core.errors import ClientError
from chalicelib.engine.notify.executions import CALLER, submission_body
from chalicelib.engine.notify.task_tokens import refuse, wait_for
from chalicelib.jobs.caller import Call
from chalicelib.jobs.submit import submission_answer, submit
from chalicelib.wiring import Ports

CLIENT_TOKEN, TASK_TOKEN = "clientToken", "taskToken"
LIMITS = {CLIENT_TOKEN: 256, TASK_TOKEN: 2048}  # characters
S3_MESSAGE = (
    "An S3 notification carries no SubmitJob request: send it through an EventBridge rule with an "
    "input transformer, or use an upload trigger."
)

Json = dict[str, Any]


class ClientException(Exception):
    """A refusal, under the name that AWS Batch has for it: Lambda reports a class by its name."""


def on_event(event: Any, request_id: str, ports: Ports) -> Json:
    """Submit what the event asks for; the answer is SubmitJob's, or a list of them as `jobs`.

    ClientException for what AWS Batch refuses, unless a task waits, which then gets the refusal.
    """
    records = event.get("Records") if isinstance(event, Mapping) else None
    if not isinstance(records, list):
        return _submitted(event, request_id, request_id, ports)
    return _on_records(records, request_id, ports)


def _on_records(records: Sequence[Any], request_id: str, ports: Ports) -> Json:
    """Try every message of a topic, then raise for those that are refused."""
    jobs, refusals = [], []
    for record in records:
        try:
            jobs.append(_of_record(record, request_id, ports))
        except ClientException as refusal:
            refusals.append(str(refusal))
    if refusals:
        raise ClientException(" ".join(refusals))
    return {"jobs": jobs}


def _of_record(record: Any, request_id: str, ports: Ports) -> Json:
    named = record if isinstance(record, Mapping) else {}
    source = named.get("EventSource", named.get("eventSource"))
    if source == "aws:s3":
        raise ClientException(S3_MESSAGE)
    if source != "aws:sns":
        raise ClientException(f"Records of {source} carry no SubmitJob request.")
    message, token = str(named["Sns"]["Message"]), str(named["Sns"]["MessageId"])
    try:
        event = json.loads(message)
    except (ValueError, RecursionError):
        raise ClientException("The message is not valid JSON.") from None
    return _submitted(event, token, request_id, ports)


def _submitted(event: Any, token: str, request_id: str, ports: Ports) -> Json:
    request, ours = _opened(event, token)
    try:
        return _submit(request, ours, ports)
    except ClientError as error:
        _, _, body = error_response(error, request_id)
        waiting = ours.get(TASK_TOKEN)
        if not isinstance(waiting, str) or not waiting:
            raise ClientException(body["message"]) from None
        refuse(waiting, error.code, body["message"], ports)
        return {}


def _opened(event: Any, token: str) -> tuple[Any, Json]:
    """The request in an event, and our own members beside it."""
    ours: Json = {CLIENT_TOKEN: token}
    if isinstance(event, Mapping) and "detail-type" in event and "detail" in event:
        ours[CLIENT_TOKEN] = event.get("id") or token
        event = event["detail"]
    layers = [event]
    if isinstance(event, Mapping) and "request" in event:
        # What stands beside the request goes before what stands in it.
        layers = [event["request"], event]
    for layer in layers:
        if isinstance(layer, Mapping):
            ours |= {name: layer[name] for name in LIMITS if layer.get(name) is not None}
    request = layers[0]
    if isinstance(request, Mapping):
        request = {name: value for name, value in request.items() if name not in LIMITS}
    return request, ours


def _submit(request: Any, ours: Json, ports: Ports) -> Json:
    for name in ours:
        _check(name, ours[name])
    # The same whatever the order of the members, so that one event makes one job of one request.
    body = json.dumps(request, sort_keys=True, separators=(",", ":")).encode()
    operation = operation_named("submitjob")
    call = Call(
        ports=ports,
        caller=CALLER,
        invocation_id=ours[CLIENT_TOKEN],
        body=submission_body(ours[CLIENT_TOKEN], body, ports),
        task_token=ours.get(TASK_TOKEN),
    )
    answered = shape_response(
        operation, submission_answer(submit(parse_request(operation, body), call), call)
    )
    if call.task_token is not None:
        wait_for(answered["jobId"], call.task_token, ports)
    return answered


def _check(name: str, value: Any) -> None:
    """Hold one of our own members to its limits."""
    limit = LIMITS[name]
    if not isinstance(value, str) or not 1 <= len(value) <= limit:
        raise ClientError(f"{name} must be a string of 1 to {limit} characters.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ClientError(f"{name} must be valid Unicode.") from None
