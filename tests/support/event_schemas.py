"""Events held to the schemas of `infra/schemas`, which are compiled once a process."""

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import fastjsonschema

from batchyard.docs.event_schemas import FILES, FOLDER


def check_event(event: Mapping[str, Any]) -> None:
    """Fails unless this is an event of ours as EventBridge delivers it."""
    try:
        _checker(event["detail-type"])(event)
    except fastjsonschema.JsonSchemaValueException as error:
        raise AssertionError(f"not an event of ours: {error.message}: {event}") from error


@lru_cache
def _checker(detail_type: str) -> Callable[[Mapping[str, Any]], Any]:
    (name,) = [name for name, known in FILES.items() if known == detail_type]
    checker: Callable[[Mapping[str, Any]], Any] = fastjsonschema.compile(
        json.loads((FOLDER / name).read_text()), use_default=False
    )
    return checker
