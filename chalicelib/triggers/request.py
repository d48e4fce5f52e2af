"""The SubmitJob request of a trigger: what can be said of it before there is an event."""

import json
from collections.abc import Mapping
from typing import Any

from chalicelib.contract.model import operation_named, parse_request
from chalicelib.core.errors import ClientError
from chalicelib.core.triggers.templates import parse_template, sample_of
from chalicelib.core.validation.submit import validate_submission

# Fits where a name, a value or a number is wanted. It is no member of any enumeration: a
# placeholder has no place where the API names the values that it takes.
_SAMPLE = "1"


def parse_submission(request: Mapping[str, Any]) -> dict[str, Any]:
    """The request as SubmitJob reads it from its body. ClientError for what does not fit."""
    body = json.dumps(request, separators=(",", ":"), ensure_ascii=False)
    return parse_request(operation_named("submitjob"), body)


def validate_request(request: Mapping[str, Any]) -> None:
    """Refuses placeholders that cannot be read, and what no event can make a valid SubmitJob."""
    sample = sample_of(parse_template(request), _SAMPLE)
    try:
        validate_submission(parse_submission(sample))
    except ClientError as error:
        raise ClientError(f"Trigger request: {error.message}") from None
