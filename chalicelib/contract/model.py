"""The contract on the wire: how requests are checked, and how responses and errors are shaped.

botocore's service model of AWS Batch is the contract. It is read here without a client, because
only the model is needed and a client makes a cold start slower.

What a member means is not known here: the rules of meaning are in `chalicelib.core.validation`.
Whatever the input, the only exception that leaves this module is `BatchError`. Next:
`chalicelib.contract.shapes` checks a single value against a single shape.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NoReturn

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel

from chalicelib.contract.shapes import (
    JsonObject,
    checked_members,
    json_kind,
    members_of,
    shaped_structure,
    shown,
)
from chalicelib.core.errors import BatchError, ClientError, ServerError

_MODEL_PATH = "batch/2016-08-10/service-2"

_BODY_LIMIT_BYTES = 1024 * 1024
# Limits of AWS Batch for single operations, with the subject of its refusal.
_OPERATION_LIMIT_BYTES: Mapping[str, tuple[int, str]] = {
    "RegisterJobDefinition": (24 * 1024, "JobDefinition"),
    "SubmitJob": (30 * 1024, "Job"),
}

# A 64-bit number has 19 digits; a longer one is refused before it costs time.
_MOST_DIGITS = 20

_HTTP_STATUS: Mapping[str, int] = {
    "ClientException": 400,
    "AccessDeniedException": 403,
    "ResourceNotFoundException": 404,
    "TooManyRequestsException": 429,
    "ServerException": 500,
}


@lru_cache(maxsize=1)
def service_model() -> ServiceModel:
    """Return the model of AWS Batch in the installed botocore, read once per process."""
    loader = Loader(
        extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False
    )
    # Loading the file by name avoids a search through all services that botocore has.
    return ServiceModel(loader.load_data(_MODEL_PATH), service_name="batch")


@lru_cache(maxsize=1)
def _operation_names() -> Mapping[tuple[str, str], str]:
    """Return operation names by HTTP method and first path segment under /v1."""
    model = service_model()
    names = {}
    for name in model.operation_names:
        http = model.operation_model(name).http
        names[(http["method"], http["requestUri"].split("/")[2])] = name
    return names


def operation_named(path_name: str) -> OperationModel:
    """Return the operation for `POST /v1/<path_name>`. Raises ClientError for none."""
    name = _operation_names().get(("POST", path_name))
    if name is None or path_name == "tags":
        raise ClientError(f"Unknown operation: {shown(path_name)}.")
    return service_model().operation_model(name)


def tag_operation(method: str) -> OperationModel:
    """Return the operation for `<method> /v1/tags/{resourceArn}`. Raises ClientError for none."""
    name = _operation_names().get((method, "tags"))
    if name is None:
        raise ClientError(f"Unknown operation: {shown(method)} on tags.")
    return service_model().operation_model(name)


def parse_request(
    operation: OperationModel,
    body: bytes | str | None,
    located: Mapping[str, Any] | None = None,
) -> JsonObject:
    """Return the request as a dict that fits the input shape, unknown members dropped.

    `located` holds the members that travel in the path or the query instead of the body; without it
    they are not required. Raises ClientError, naming the member, for all that does not fit.
    """
    value = _decode(operation.name, body)
    shape = operation.input_shape
    if shape is None:
        return {}
    outside = {name for name, member in members_of(shape) if "location" in member.serialization}
    for name in outside:
        value.pop(name, None)
    value.update(located or {})
    return checked_members(shape, value, "", frozenset() if located is not None else outside)


def shape_response(operation: OperationModel, value: Mapping[str, Any]) -> JsonObject:
    """Return the modelled part of `value`, recursively, without members that are None.

    Raises TypeError when a value has another type than its member: that is a programming error.
    """
    shape = operation.output_shape
    return {} if shape is None else shaped_structure(shape, value)


def error_response(
    error: BaseException, request_id: str | None = None
) -> tuple[int, dict[str, str], dict[str, str]]:
    """Return HTTP status, headers and body (to be encoded as JSON) that SDKs turn into this error.

    With a request id a ClientError gets the frame that AWS puts around most refusals; those marked
    bare stay as they are. Anything that is not a BatchError is answered as ServerException, and its
    message never says what happened: that goes to the log.
    """
    answer = error if isinstance(error, BatchError) else ServerError()
    status, message = _HTTP_STATUS[answer.code], answer.message
    if status == 500:
        message = "An internal error occurred. Please try again."
    elif isinstance(answer, ClientError) and request_id is not None and not answer.bare:
        message = f"Error executing request, Exception : {message}, RequestId: {request_id}"
    headers = {"x-amzn-errortype": answer.code, "Content-Type": "application/json"}
    return status, headers, {"message": message}


def _decode(operation_name: str, body: bytes | str | None) -> JsonObject:
    """Return the body as a JSON object, within the operation's limit of size."""
    limit_bytes, subject = _OPERATION_LIMIT_BYTES.get(operation_name, (_BODY_LIMIT_BYTES, ""))
    raw = _as_bytes(body)
    got_kib = math.ceil(len(raw) / 1024)
    sentence = f"{subject} size must be less than {limit_bytes // 1024} KiB, got {got_kib} KiB"
    return json_object(raw, limit_bytes, sentence)


def json_object(body: bytes | str | None, limit_bytes: int, sentence: str) -> JsonObject:
    """Return a body as a JSON object; no body is an empty one. Raises ClientError otherwise.

    `sentence` is the refusal of a body longer than `limit_bytes`.
    """
    raw = _as_bytes(body)
    if len(raw) > _BODY_LIMIT_BYTES:
        raise ClientError("Request body size must be at most 1 MiB.")
    if len(raw) > limit_bytes:
        raise ClientError(sentence)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ClientError("Request body is not valid UTF-8.") from None
    if not text.strip():
        return {}
    value = _loads(text)
    if not isinstance(value, dict):
        raise ClientError(f"Request body must be a JSON object, got {json_kind(value)}.")
    return value


def _as_bytes(body: bytes | str | None) -> bytes:
    if body is None:
        return b""
    if isinstance(body, bytes):
        return body
    try:
        return body.encode("utf-8")
    except UnicodeEncodeError:
        raise ClientError("Request body is not valid UTF-8.") from None


def _loads(text: str) -> Any:
    try:
        return json.loads(
            text,
            object_pairs_hook=_unique_members,
            parse_int=_bounded_integer,
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ClientError(f"Request body is not valid JSON: {error.msg} ({place}).") from None
    except RecursionError:
        raise ClientError("Request body is nested too deeply.") from None


def _unique_members(pairs: list[tuple[str, Any]]) -> JsonObject:
    members = dict(pairs)
    if len(members) != len(pairs):
        times = Counter(name for name, _ in pairs)
        raise ClientError(
            f"Request body has the member {shown(times.most_common(1)[0][0])} more than once."
        )
    return members


def _bounded_integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ClientError(f"Number {shown(digits)} is out of range.")
    return int(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise ClientError(f"Request body is not valid JSON: {name} is not a number.")
