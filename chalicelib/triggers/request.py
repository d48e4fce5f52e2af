"""Parse and validate the SubmitJob request of a trigger, before there is an event."""

import json
from collections.abc import Mapping
from typing import Any

from chalicelib.contract.model import operation_named, parse_request
from chalicelib.core.errors import ClientError
from chalicelib.core.triggers.templates import parse_template, sample_of
from chalicelib.core.validation.submit import validate_submission

# Valid as a name, a value and a number, but in no enumeration: a placeholder is refused where the
# API takes one of some named values.
_SAMPLE = "1"


def parse_submission(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request as SubmitJob parses its body. Raises ClientError if it cannot."""
    body = json.dumps(request, separators=(",", ":"), ensure_ascii=False)
    return parse_request(operation_named("submitjob"), body)


def validate_request(request: Mapping[str, Any]) -> None:
    """Raise ClientError for a wrong placeholder, or a request that is invalid for every event."""
    sample = sample_of(parse_template(request), _SAMPLE)
    try:
        validate_submission(parse_submission(sample))
    except ClientError as error:
        raise ClientError(f"Trigger request: {error.message}") from None
