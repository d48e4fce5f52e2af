"""The guard in front of the AWS emulator: who may call it, and where calls of Batch go.

The emulator answers everyone, and lets every web page read its answers. The guard refuses what a
browser sends for a foreign page (`Origin`, `Host`), and what is not signed with the keys of this
local cloud; an open one takes any credentials. It wraps the emulator's ASGI application, so it runs
in the emulator's environment, on the standard library alone: see `launcher`.
"""

import json
import re
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

from batchyard.cloud.signature import (
    UNSIGNED_REQUEST,
    Refusal,
    Request,
    SecretOf,
    StatedSignature,
    needs_body,
    refusal_of,
    stated_signature,
)

# Names of this machine that nobody can give to another one. The last is what a container calls it.
OWN_NAMES = frozenset({"127.0.0.1", "localhost", "::1", "host.docker.internal"})
OPEN_PATHS = frozenset({"/_ministack/health"})
BATCH_PATH = "/v1/"
CONTROL_PATH = "/_batchyard/fleet"
# How requests for Batch may be signed: for the service, or for API Gateway, which answers them.
BATCH_SERVICES = frozenset({"batch", "execute-api"})
API_STAGE = "api"
_HOST = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^:\[\]]+))(?::\d+)?")
FORBIDDEN = 403
POLICY_VIOLATION = 1008  # of WebSocket

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """An ASGI application in front of another one.

    `record` is the file in which `up` writes the id of our API (`cloud.json`). An open guard asks
    for credentials, but not whether they are right. `control` answers what the command line asks of
    the fleet; `owner` is the access key that may ask.
    """

    app: App
    secret_of: SecretOf
    record: Path
    is_open: bool = False
    control: App | None = None
    owner: str | None = None
    now: Callable[[], float] = time.time

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        request = request_of(scope)
        refusal = refusal_of_page(request)
        stated: StatedSignature | Refusal = UNSIGNED_REQUEST
        if refusal is None and not (scope["type"] == "http" and request.path in OPEN_PATHS):
            stated = stated_signature(request)
            if self.is_open:
                refusal = refusal_of_stranger(request, stated)
            elif isinstance(stated, Refusal):
                refusal = stated
            else:
                request, receive = await _with_body(scope, request, receive)
                refusal = refusal_of(request, stated, self.secret_of, self.now())
        is_control = self.control is not None and request.path == CONTROL_PATH
        if refusal is None and is_control and not self.is_open:
            refusal = refusal_of_others(stated, self.owner)
        if refusal is not None:
            await _refuse(scope, request, refusal, receive, send)
            return
        if is_control and self.control is not None:
            await self.control(scope, receive, _without_cors(send))
            return
        if isinstance(stated, StatedSignature):
            scope = self._directed(scope, stated)
        await self.app(scope, receive, _without_cors(send))

    def _directed(self, scope: Scope, stated: StatedSignature) -> Scope:
        """Return the scope, with a request for Batch directed to our API instead of the emulator's.

        The emulator has a Batch of its own, which would lose a job that is submitted to it.
        """
        path: str = scope["path"]
        if stated.service not in BATCH_SERVICES or not path.startswith(BATCH_PATH):
            return scope
        api_id = _api_id(self.record)
        if api_id is None:
            return scope
        before = f"/restapis/{api_id}/{API_STAGE}/_user_request_"
        raw: bytes = scope.get("raw_path") or path.encode()
        return {**scope, "path": before + path, "raw_path": before.encode() + raw}


def request_of(scope: Scope) -> Request:
    """Return the request of an ASGI scope, without its body."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope.get("headers", ()):
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
    return Request(
        method=scope.get("method", "GET"),
        path=raw_path.decode("latin-1"),
        query=scope.get("query_string", b"").decode("latin-1"),
        headers=headers,
        body=b"",
    )


def refusal_of_page(request: Request) -> Refusal | None:
    """Return why the request is refused as one of a foreign web page, if it is.

    A page of a foreign name that leads to this machine (DNS rebinding) shows in `Host`, every other
    one in `Origin`, which browsers send with all but plain reading.
    """
    host = request.headers.get("host", "")
    if _host_name(host) not in OWN_NAMES:
        return Refusal(
            code="AccessDeniedException",
            message=f"The local cloud does not answer as {host[:100]!r}, but as 127.0.0.1 and "
            "localhost.",
        )
    origin = request.headers.get("origin")
    if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
        return Refusal(
            code="AccessDeniedException",
            message="The local cloud does not answer web pages: this request was sent for "
            f"{origin[:100]!r}.",
        )
    return None


def refusal_of_stranger(request: Request, stated: StatedSignature | Refusal) -> Refusal | None:
    """Return why an open cloud refuses the request: no credentials, or sent for a foreign page.

    A page's links and images have no `Origin`. They have no header of the page's choice either, so
    any `Authorization` will do.
    """
    if isinstance(stated, Refusal) and "authorization" not in request.headers:
        return stated
    if request.headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
        return None
    return Refusal(
        code="AccessDeniedException", message="The local cloud does not answer web pages."
    )


def refusal_of_others(stated: StatedSignature | Refusal, owner: str | None) -> Refusal | None:
    """Return why a request for the fleet is refused: not signed with the cloud's own keys."""
    if isinstance(stated, StatedSignature) and stated.access_key_id == owner:
        return None
    return Refusal(
        code="AccessDeniedException",
        message="The fleet of the local cloud answers to the keys of the cloud itself only.",
    )


def _host_name(host: str) -> str:
    """Return the name in a `Host` header, without the port and in lower case; empty if unclear."""
    match = _HOST.fullmatch(host)
    return (match[1] or match[2]).lower() if match else ""


def _api_id(record: Path) -> str | None:
    try:
        api_id: str = json.loads(record.read_text())["outputs"]["RestAPIId"]
    except (OSError, ValueError, KeyError):
        return None
    return api_id


async def _with_body(scope: Scope, request: Request, receive: Receive) -> tuple[Request, Receive]:
    """Return the request with its body, if it was signed with it, and the body to receive again."""
    if scope["type"] != "http" or not needs_body(request):
        return request, receive
    messages: list[Message] = []
    while not messages or messages[-1].get("more_body"):
        message = await receive()
        messages.append(message)
        if message["type"] != "http.request":
            break
    body = b"".join(message.get("body", b"") for message in messages)
    waiting = iter(messages)

    async def again() -> Message:
        return next(waiting, None) or await receive()

    return replace(request, body=body), again


def _without_cors(send: Send) -> Send:
    """Return a `send` that lets no foreign page read an answer."""

    async def filtered(message: Message) -> None:
        headers: Iterable[tuple[bytes, bytes]] | None = message.get("headers")
        if headers is not None:
            kept = [(n, v) for n, v in headers if not n.lower().startswith(b"access-control-")]
            message = {**message, "headers": kept}
        await send(message)

    return filtered


async def _refuse(
    scope: Scope, request: Request, refusal: Refusal, receive: Receive, send: Send
) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        return
    content_type, body = _in_words_of_the_client(request, refusal)
    headers = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"x-amzn-errortype", refusal.code.encode()),
        # What was sent after a refused head is not read.
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": FORBIDDEN, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else body})


def _in_words_of_the_client(request: Request, refusal: Refusal) -> tuple[str, bytes]:
    """Return the error in the protocol that the client speaks: JSON, or XML of S3 or of queries."""
    stated = stated_signature(request)
    is_s3 = isinstance(stated, StatedSignature) and stated.service == "s3"
    is_query = "x-www-form-urlencoded" in request.headers.get("content-type", "")
    if not is_s3 and not is_query:
        body = json.dumps({"__type": refusal.code, "message": refusal.message})
        return "application/json", body.encode()
    error = f"<Code>{refusal.code}</Code><Message>{escape(refusal.message)}</Message>"
    error = f"<Error>{error}</Error>"
    xml = error if is_s3 else f"<ErrorResponse>{error}</ErrorResponse>"
    return "application/xml", xml.encode()
