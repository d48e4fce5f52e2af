"""From an HTTP request of Chalice to a call of the triggers API, and back to an HTTP response."""

from urllib.parse import unquote

from chalice.app import Request, Response

from chalicelib.api.http import call_of, request_id_of, response_of
from chalicelib.api.triggers import (
    Fire,
    answer_fire,
    answer_firings,
    answer_trigger,
    answer_triggers,
)

_NO_REQUEST = "Chalice sets the request before it calls a route"


def triggers(request: Request | None) -> Response:
    """Answer `GET /triggers`."""
    assert request is not None, _NO_REQUEST
    return response_of(answer_triggers(_query(request), call_of(request), request_id_of(request)))


def trigger(name: str, request: Request | None) -> Response:
    """Answer `<method> /triggers/<name>`."""
    assert request is not None, _NO_REQUEST
    call, request_id = call_of(request), request_id_of(request)
    return response_of(answer_trigger(request.method, unquote(name), call, request_id))


def firings(name: str, request: Request | None) -> Response:
    """Answer `GET /triggers/<name>/firings`."""
    assert request is not None, _NO_REQUEST
    call, request_id = call_of(request), request_id_of(request)
    return response_of(answer_firings(unquote(name), _query(request), call, request_id))


def fire(name: str, request: Request | None, fire_now: Fire) -> Response:
    """Answer `POST /triggers/<name>/fire`."""
    assert request is not None, _NO_REQUEST
    call, request_id = call_of(request), request_id_of(request)
    return response_of(answer_fire(unquote(name), call, fire_now, request_id))


def _query(request: Request) -> dict[str, str]:
    return dict(request.query_params or {})
