"""A recording proxy between the functions and the AWS emulator.

It forwards every request unchanged, except that DynamoDB requests are made to return the capacity
that they consumed. Each function is given the proxy's address with its own name in the path, so
that its requests are recorded as its own. `bench.costs` adds them up.
"""

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote

CALLER_PATH = "/caller/"
# The emulator's batch reads support TOTAL only; other requests return each index separately.
CAPACITY_WORDS = {"BatchGetItem": "TOTAL", "BatchWriteItem": "TOTAL"}
UPSTREAM_TIMEOUT_SECONDS = 60.0
HOP_HEADERS = frozenset({"connection", "content-length", "transfer-encoding", "keep-alive"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request as it was sent, and what came back. `caller` is empty for all but functions."""

    caller: str
    service: str
    action: str
    request: dict[str, Any]
    response: dict[str, Any]
    status: int
    at_seconds: float


@dataclass(slots=True)
class Recording:
    """All calls so far. Appending is atomic, so the proxy's threads need no lock."""

    calls: list[Call] = field(default_factory=list)

    def last_at_seconds(self, ignored_callers: frozenset[str]) -> float:
        """Return when any other caller called last, on the monotonic clock; 0 for never."""
        times = (call.at_seconds for call in self.calls if call.caller not in ignored_callers)
        return max(times, default=0.0)


def address_for(base: str, caller: str) -> str:
    """Return the endpoint for this caller, by which its calls are recognised."""
    return f"{base}{CALLER_PATH}{quote(caller, safe='')}"


@contextlib.contextmanager
def recording_proxy(port: int, upstream_port: int) -> Iterator[Recording]:
    """Listen on `port` of this machine until the block ends."""
    recording = Recording()

    class Handler(_Handler):
        upstream = ("127.0.0.1", upstream_port)
        calls = recording.calls

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="recording-proxy", daemon=True)
    thread.start()
    try:
        yield recording
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """One client connection, with one connection to the emulator behind it."""

    protocol_version = "HTTP/1.1"
    # A small answer waits for the client's acknowledgement otherwise, 40 ms each.
    disable_nagle_algorithm = True
    upstream: tuple[str, int]
    calls: list[Call]
    _behind: http.client.HTTPConnection | None = None

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True  # the client has gone

    def finish(self) -> None:
        if self._behind is not None:
            self._behind.close()
        with contextlib.suppress(ConnectionError):
            super().finish()

    def _pass_on(self) -> None:
        caller, path = _caller_and_path(self.path)
        service, action = _target(self.headers.get("X-Amz-Target", ""), self.command, path)
        body = self._body()
        if service == "dynamodb":
            body = _asking_for_capacity(action, body)
        at_seconds = time.monotonic()
        status, headers, answer = self._ask_upstream(path, body)
        self.calls.append(
            Call(
                caller=caller,
                service=service,
                action=action,
                request=_json(body),
                response=_json(answer),
                status=status,
                at_seconds=at_seconds,
            )
        )
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in HOP_HEADERS or (self.command == "HEAD" and name != "Connection"):
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _ask_upstream(self, path: str, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        kept = {n: v for n, v in self.headers.items() if n.lower() not in HOP_HEADERS | {"expect"}}
        for fresh in (False, True):
            if self._behind is None or fresh:
                self._behind = http.client.HTTPConnection(
                    *self.upstream, timeout=UPSTREAM_TIMEOUT_SECONDS
                )
            try:
                self._behind.request(self.command, path, body=body, headers=kept)
                answer = self._behind.getresponse()
                return answer.status, answer.getheaders(), answer.read()
            except (http.client.BadStatusLine, ConnectionError):
                # An idle connection that the emulator has closed; a new one is worth one try.
                self._behind.close()
                if fresh:
                    raise
        raise AssertionError("the second try returns or raises")

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return b"".join(parts)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the recording is the log."""

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = _pass_on


def _caller_and_path(path: str) -> tuple[str, str]:
    if not path.startswith(CALLER_PATH):
        return "", path
    caller, _, rest = path.removeprefix(CALLER_PATH).partition("/")
    return unquote(caller), f"/{rest}"


def _target(header: str, method: str, path: str) -> tuple[str, str]:
    """Return the service and operation: from the header of JSON services, else from the path."""
    if header:
        service, _, action = header.partition(".")
        return service.partition("_")[0].removeprefix("Amazon").lower(), action
    if path.startswith("/restapis/"):
        return "apigateway", path.rpartition("/_user_request_")[2]
    return "other", f"{method} {path}"


def _asking_for_capacity(action: str, body: bytes) -> bytes:
    word = CAPACITY_WORDS.get(action, "INDEXES")
    return json.dumps({**json.loads(body), "ReturnConsumedCapacity": word}).encode()


def _json(body: bytes) -> dict[str, Any]:
    try:
        decoded = json.loads(body)
    except ValueError:
        return {}
    return decoded if isinstance(decoded, dict) else {}
