"""From an HTTP request of Chalice to a call of the triggers API, and back to an HTTP response."""

from functools import partial
from urllib.parse import unquote

from chalice.app import Request, Response

from chalicelib import wiring
from chalicelib.api.http import call_of, request_id_of, request_of, response_of
from chalicelib.api.triggers import (
    answer_fire,
    answer_firings,
    answer_trigger,
    answer_triggers,
)


def triggers(current: Request | None) -> Response:
    """Answer GET /triggers."""
    request = request_of(current)
    return response_of(answer_triggers(_query(request), call_of(request), request_id_of(request)))


def trigger(name: str, current: Request | None) -> Response:
    """Answer <method> /triggers/<name>."""
    request = request_of(current)
    call, request_id = call_of(request), request_id_of(request)
    return response_of(answer_trigger(request.method, unquote(name), call, request_id))


def firings(name: str, current: Request | None) -> Response:
    """Answer GET /triggers/<name>/firings."""
    request = request_of(current)
    call, request_id = call_of(request), request_id_of(request)
    return response_of(answer_firings(unquote(name), _query(request), call, request_id))


def fire(name: str, current: Request | None) -> Response:
    """Answer POST /triggers/<name>/fire."""
    # Imported here because no other route needs it, and all share a cold start.
    from chalicelib.triggers.fire import fire_now

    request = request_of(current)
    call, request_id = call_of(request), request_id_of(request)
    return response_of(
        answer_fire(unquote(name), call, partial(fire_now, ports=wiring.ports()), request_id)
    )


def _query(request: Request) -> dict[str, str]:
    return dict(request.query_params or {})
