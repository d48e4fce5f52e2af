"""From an HTTP request of Chalice to a call of an operation, and back to an HTTP response."""

from dataclasses import replace
from urllib.parse import unquote

from chalice.app import Request, Response

from chalicelib import wiring
from chalicelib.api.operations import Answer, answer, answer_tags
from chalicelib.jobs.caller import Call

INVOCATION_ID_HEADER = "amz-sdk-invocation-id"


def operation(name: str, current: Request | None) -> Response:
    """Answer POST /v1/<name>."""
    request = request_of(current)
    plain = name if _is_written(f"/v1/{name}", request) else ""
    return response_of(answer(plain, call_of(request), request_id_of(request)))


def queue_operation(queue: str, name: str, current: Request | None) -> Response:
    """Answer POST /queues/<queue>/v1/<name>, confined to that job queue."""
    request = request_of(current)
    plain = queue if _is_written(f"/queues/{queue}/v1/{name}", request) else ""
    call = replace(call_of(request), queue=plain)
    return response_of(answer(name, call, request_id_of(request)))


def _is_written(end: str, request: Request) -> bool:
    """Return whether the request's path has this end as it is, not percent-encoded.

    IAM has compared the path with the caller's policies, letter for letter. A name that could be
    written in a second way would pass by a policy that denies it.
    """
    return str(request.context.get("path", end)).endswith(end)


def tags(arn: str, current: Request | None) -> Response:
    """Answer <method> /v1/tags/<arn>; the ARN may still be percent-encoded."""
    request = request_of(current)
    keys = request.query_params.getlist("tagKeys") if request.query_params else []
    call = call_of(request)
    return response_of(
        answer_tags(request.method, unquote(arn), keys, call, request_id_of(request))
    )


def request_of(current: Request | None) -> Request:
    """Return Chalice's current request, which is there while a route is called."""
    assert current is not None, "Chalice sets the request before it calls a route"
    return current


def call_of(request: Request) -> Call:
    """Return what an operation needs to know about the request, beside its parsed body."""
    identity = request.context.get("identity") or {}
    return Call(
        ports=wiring.ports(),
        caller=str(identity.get("userArn") or identity.get("accessKey") or ""),
        is_principal=True,
        invocation_id=request.headers.get(INVOCATION_ID_HEADER),
        body=_bytes(request.raw_body),
    )


def _bytes(body: bytes | str) -> bytes:
    return body if isinstance(body, bytes) else body.encode()


def request_id_of(request: Request) -> str:
    return str(request.context.get("requestId") or "")


def response_of(answered: Answer) -> Response:
    status, headers, body = answered
    return Response(body=body, status_code=status, headers={**headers})
