"""Between Chalice and the operations: what of an HTTP request makes a call, and its answer."""

from urllib.parse import unquote

from chalice.app import Request, Response

from chalicelib.api.call import Call
from chalicelib.api.operations import Answer, answer, answer_tags
from chalicelib.wiring import ports

INVOCATION_ID_HEADER = "amz-sdk-invocation-id"


def operation(name: str, request: Request | None) -> Response:
    """POST /v1/<name>."""
    assert request is not None, "Chalice sets the request before it calls a route"
    return _response(answer(name, _call(request), _request_id(request)))


def tags(arn: str, request: Request | None) -> Response:
    """<method> /v1/tags/<arn>; the ARN may still be percent-encoded."""
    assert request is not None, "Chalice sets the request before it calls a route"
    keys = request.query_params.getlist("tagKeys") if request.query_params else []
    call = _call(request)
    return _response(answer_tags(request.method, unquote(arn), keys, call, _request_id(request)))


def _call(request: Request) -> Call:
    identity = request.context.get("identity") or {}
    return Call(
        ports=ports(),
        caller=str(identity.get("userArn") or identity.get("accessKey") or ""),
        invocation_id=request.headers.get(INVOCATION_ID_HEADER),
        body=_bytes(request.raw_body),
    )


def _bytes(body: bytes | str) -> bytes:
    return body if isinstance(body, bytes) else body.encode()


def _request_id(request: Request) -> str:
    return str(request.context.get("requestId") or "")


def _response(answered: Answer) -> Response:
    status, headers, body = answered
    return Response(body=body, status_code=status, headers={**headers})
