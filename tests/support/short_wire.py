"""DynamoDB calls answered by moto's own handler, without HTTP between.

moto takes a request apart and puts a response together as HTTP: four fifths of a call's time, and
nothing that these tests check. Here botocore still validates and serialises the request; what would
be sent is passed to moto's handler, and its answer returned as botocore would have read it.
"""

import base64
import json
from dataclasses import dataclass
from typing import Any

from botocore import xform_name
from moto.core.exceptions import JsonRESTError
from moto.dynamodb.responses import DynamoHandler

from tests.support import stack


@dataclass(frozen=True, slots=True)
class Status:
    """All that botocore reads of an HTTP response whose body is already read."""

    status_code: int


def answer(model: Any, params: dict[str, Any], **_: Any) -> tuple[Status, dict[str, Any]]:
    """Return a handler of botocore's `before-call`: its result is the call's."""
    handler = DynamoHandler()
    handler.body = json.loads(params["body"])
    handler.region, handler.current_account = stack.REGION, stack.ACCOUNT
    try:
        result = _read(getattr(handler, xform_name(model.name))().result)
    except JsonRESTError as error:
        return Status(400), _refusal(json.loads(error.description))
    return Status(200), {**result, "ResponseMetadata": {"HTTPStatusCode": 200}}


def _read(value: Any) -> Any:
    """Return a copy, because moto answers with parts of what it stores; decode binary values."""
    if isinstance(value, dict):
        if len(value) == 1 and isinstance(packed := value.get("B"), str):
            return {"B": base64.b64decode(packed)}
        return {name: _read(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_read(element) for element in value]
    return value


def _refusal(body: dict[str, Any]) -> dict[str, Any]:
    message = body.get("message") or body.get("Message") or ""
    error = {"Code": body["__type"].rpartition("#")[2], "Message": message}
    return {**body, "Error": error, "ResponseMetadata": {"HTTPStatusCode": 400}}
