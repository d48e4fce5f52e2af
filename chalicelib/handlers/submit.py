"""The function `submit`: whatever can invoke a function can submit a job without the API.

The event is a SubmitJob request with two members beside the contract's: `clientToken` makes it safe
to repeat, `taskToken` names the Step Functions task that waits for the job's end. The request may
come as it is, as the `detail` of an EventBridge event, as the message of an SNS topic, or as the
`request` beside the two members. Without a clientToken the id of the event, of the message or of
the invocation takes its place: each stays the same when the event is delivered again.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib import wiring
from chalicelib.contract.model import error_response, operation_named, parse_request, shape_response
from chalicelib.core.errors import ClientError
from chalicelib.engine.notify.task_tokens import refuse, wait_for
from chalicelib.jobs.submit_event import (
    CLIENT_TOKEN,
    TASK_TOKEN,
    TOKEN_LIMITS,
    check_tokens,
    request_body,
    submit_event,
)
from chalicelib.wiring import Ports

S3_MESSAGE = (
    "An S3 notification carries no SubmitJob request: send it through an EventBridge rule with an "
    "input transformer, or use an upload trigger."
)

Json = dict[str, Any]


class ClientException(Exception):
    """A refused request. Lambda reports the class's name, which is AWS Batch's own."""


def on_event(event: Any, request_id: str) -> Json:
    """Submit what the event asks for; return SubmitJob's response, or a list of them as `jobs`.

    Raises ClientException for what AWS Batch refuses, unless a task waits: then the task fails.
    """
    ports = wiring.ports()
    records = event.get("Records") if isinstance(event, Mapping) else None
    if not isinstance(records, list):
        return _submit_or_refuse(event, request_id, request_id, ports)
    return _submit_records(records, request_id, ports)


def _submit_records(records: Sequence[Any], request_id: str, ports: Ports) -> Json:
    """Try every message of a topic; then raise one ClientException for all that are refused."""
    jobs, refusals = [], []
    for record in records:
        try:
            event, message_id = _message_in(record)
            jobs.append(_submit_or_refuse(event, message_id, request_id, ports))
        except ClientException as refusal:
            refusals.append(str(refusal))
    if refusals:
        raise ClientException(" ".join(refusals))
    return {"jobs": jobs}


def _message_in(record: Any) -> tuple[Any, str]:
    """Return what the message of an SNS record says, and the message's id."""
    members = record if isinstance(record, Mapping) else {}
    source = members.get("EventSource", members.get("eventSource"))
    if source == "aws:s3":
        raise ClientException(S3_MESSAGE)
    if source != "aws:sns":
        raise ClientException(f"Records of {source} carry no SubmitJob request.")
    try:
        event = json.loads(str(members["Sns"]["Message"]))
    except (ValueError, RecursionError):
        raise ClientException("The message is not valid JSON.") from None
    return event, str(members["Sns"]["MessageId"])


def _submit_or_refuse(event: Any, event_id: str, request_id: str, ports: Ports) -> Json:
    """Submit one request; a refusal goes to the task that waits, and to the caller if none does."""
    request, tokens = _request_in(event, event_id)
    try:
        return _submit(request, tokens, ports)
    except ClientError as error:
        _, _, body = error_response(error, request_id)
        waiting = tokens.get(TASK_TOKEN)
        if not isinstance(waiting, str) or not waiting:
            raise ClientException(body["message"]) from None
        refuse(waiting, error.code, body["message"], ports)
        return {}


def _request_in(event: Any, event_id: str) -> tuple[Any, Json]:
    """Return the request in an event, and the tokens in it or beside it."""
    tokens: Json = {CLIENT_TOKEN: event_id}
    if isinstance(event, Mapping) and "detail-type" in event and "detail" in event:
        tokens[CLIENT_TOKEN] = event.get("id") or event_id
        event = event["detail"]
    layers = [event]
    if isinstance(event, Mapping) and "request" in event:
        # What stands beside the request goes before what stands in it.
        layers = [event["request"], event]
    for layer in layers:
        if isinstance(layer, Mapping):
            found = {name: layer[name] for name in TOKEN_LIMITS if layer.get(name) is not None}
            tokens |= found
    request = layers[0]
    if isinstance(request, Mapping):
        request = {name: value for name, value in request.items() if name not in TOKEN_LIMITS}
    return request, tokens


def _submit(request: Any, tokens: Json, ports: Ports) -> Json:
    check_tokens(tokens)
    body = request_body(request)
    operation = operation_named("submitjob")
    submitted = submit_event(parse_request(operation, body), body, tokens, ports)
    if TASK_TOKEN in tokens:
        wait_for(submitted["jobId"], tokens[TASK_TOKEN], ports)
    return shape_response(operation, submitted)
