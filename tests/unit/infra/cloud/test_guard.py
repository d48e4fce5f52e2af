"""What a web page, a stranger and the owner of a local cloud can make it do."""

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from batchyard.cloud.guard import Guard, Message, Receive, Scope, Send
from batchyard.cloud.paths import REPOSITORY

KEY, SECRET = "LOCALKEY", "secret"
PORT = 4566
HOST = f"127.0.0.1:{PORT}"
INVOKE = "/2015-03-31/functions/batchyard-submit/invocations"
SUBMIT = b'{"jobName": "a", "jobQueue": "default", "jobDefinition": "hello"}'


@dataclass(slots=True)
class Emulator:
    """Answers everyone, as the emulator does, and keeps what reached it."""

    reached: list[tuple[str, bytes]] = field(default_factory=list)
    raw_paths: list[bytes] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        if scope["type"] == "http":
            message = await receive()
            body = message["body"]
            while message.get("more_body"):
                message = await receive()
                body += message["body"]
        self.reached.append((scope["path"], body))
        self.raw_paths.append(scope.get("raw_path", b""))
        headers = [(b"Access-Control-Allow-Origin", b"*"), (b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"done"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Laptop:
    """A guard in front of an emulator, and the requests that come to its port."""

    record: Path
    is_open: bool = False
    emulator: Emulator = field(default_factory=Emulator)

    def send(
        self,
        path: str = INVOKE,
        *,
        method: str = "POST",
        body: bytes = SUBMIT,
        host: str = HOST,
        kind: str = "http",
        **headers: str,
    ) -> Answer:
        """Send a raw request; in header names a dash is written as an underscore."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._sent(
            path, method=method, body=body, headers={"Host": host, **named}, kind=kind
        )

    def send_signed(
        self,
        path: str = INVOKE,
        *,
        method: str = "POST",
        body: bytes = SUBMIT,
        host: str = HOST,
        service: str = "lambda",
        secret: str = SECRET,
        key: str = KEY,
        **headers: str,
    ) -> Answer:
        """Send a request with a signature; the headers given are added afterwards."""
        request = AWSRequest(method=method, url=f"http://{host}{path}", data=body)
        botocore.auth.SigV4Auth(Credentials(key, secret), service, "us-east-1").add_auth(request)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        signed = {name: str(value) for name, value in request.headers.items()}
        return self._sent(
            path, method=method, body=body, headers={"Host": host, **signed, **named}, kind="http"
        )

    def _sent(
        self, path: str, *, method: str, body: bytes, headers: dict[str, str], kind: str
    ) -> Answer:
        guard = Guard(
            app=self.emulator,
            secret_of={KEY: SECRET}.get,
            record=self.record,
            is_open=self.is_open,
        )
        raw_path, _, query = path.partition("?")
        scope = {
            "type": kind,
            "method": method,
            "path": raw_path,
            "raw_path": raw_path.encode(),
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        }
        # In two parts, as bodies come.
        incoming: list[Message] = [
            {"type": "http.request", "body": body[:5], "more_body": True},
            {"type": "http.request", "body": body[5:], "more_body": False},
        ]
        sent: list[Message] = []

        async def receive() -> Message:
            return incoming.pop(0)

        async def send(message: Message) -> None:
            sent.append(message)

        asyncio.run(guard(scope, receive, send))
        if kind == "websocket":
            return Answer(status=int(sent[0]["code"]), headers={}, body=b"")
        return Answer(
            status=sent[0]["status"],
            headers={n.decode().lower(): v.decode() for n, v in sent[0]["headers"]},
            body=sent[1]["body"],
        )


@pytest.fixture
def laptop(tmp_path: Path) -> Laptop:
    record = tmp_path / "cloud.json"
    record.write_text(json.dumps({"outputs": {"RestAPIId": "abc123"}}))
    return Laptop(record=record)


@pytest.fixture
def open_laptop(laptop: Laptop) -> Laptop:
    laptop.is_open = True
    return laptop


@pytest.fixture(params=[False, True], ids=["closed", "open"])
def any_laptop(laptop: Laptop, request: pytest.FixtureRequest) -> Laptop:
    laptop.is_open = request.param
    return laptop


def assert_refused(laptop: Laptop, answer: Answer) -> None:
    assert answer.status == 403
    assert laptop.emulator.reached == []
    assert not any(name.startswith("access-control-") for name in answer.headers)


FOREIGN_ORIGINS = [
    "http://evil.example",
    "https://evil.example",
    "null",  # of a file, of a sandboxed frame
    "file://",
    "",
    "http://localhost:3000",
    "http://127.0.0.1",
    f"http://127.0.0.1:{PORT}.evil.example",
    f"http://evil.example:{PORT}",
]
FOREIGN_HOSTS = [
    "evil.example",
    f"evil.example:{PORT}",
    f"localhost.evil.example:{PORT}",
    f"127.0.0.1.evil.example:{PORT}",
    f"evil.localhost:{PORT}",
    f"0.0.0.0:{PORT}",
    f"192.168.1.7:{PORT}",
    f"[::2]:{PORT}",
    f"evil@127.0.0.1:{PORT}",
    "[::1]evil.example",
    "127.0.0.1:evil.example",
    "",
]


def test_a_simple_post_of_a_web_page_submits_no_job(any_laptop: Laptop) -> None:
    answer = any_laptop.send(
        host="evil.example", Origin="http://evil.example", Content_Type="text/plain"
    )
    assert_refused(any_laptop, answer)


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
def test_a_foreign_origin_is_refused_whatever_its_signature(
    any_laptop: Laptop, origin: str
) -> None:
    assert_refused(any_laptop, any_laptop.send_signed(Origin=origin))


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_a_name_that_is_not_this_machines_is_refused_whatever_the_signature(
    any_laptop: Laptop, host: str
) -> None:
    answer = any_laptop.send_signed(Host=host)
    assert_refused(any_laptop, answer)
    assert answer.headers["x-amzn-errortype"] == "AccessDeniedException"


@pytest.mark.parametrize("path", ["/_ministack/health", "/_ministack/reset", "/health", "/", "/x"])
def test_no_path_answers_a_foreign_page(any_laptop: Laptop, path: str) -> None:
    assert_refused(any_laptop, any_laptop.send(path, host="evil.example"))
    assert_refused(any_laptop, any_laptop.send(path, Origin="http://evil.example"))


def test_a_preflight_allows_a_foreign_page_nothing(any_laptop: Laptop) -> None:
    answer = any_laptop.send(
        method="OPTIONS",
        body=b"",
        Origin="http://evil.example",
        Access_Control_Request_Method="PUT",
    )
    assert_refused(any_laptop, answer)


@pytest.mark.parametrize("host", [HOST, f"localhost:{PORT}", f"[::1]:{PORT}", "localhost"])
def test_the_names_of_this_machine_are_answered(any_laptop: Laptop, host: str) -> None:
    answer = any_laptop.send_signed(host=host, Origin=f"http://{host}")
    assert (answer.status, answer.body) == (200, b"done")
    assert any_laptop.emulator.reached == [(INVOKE, SUBMIT)]
    # The answer may not be read by a page either.
    assert set(answer.headers) == {"content-type"}


@pytest.mark.parametrize("secret", ["test", ""])
def test_a_wrong_key_submits_no_job(laptop: Laptop, secret: str) -> None:
    assert_refused(laptop, laptop.send_signed(secret=secret))
    assert_refused(laptop, laptop.send_signed(key="test", secret="test"))


def test_an_unsigned_request_submits_no_job_and_resets_nothing(any_laptop: Laptop) -> None:
    assert_refused(any_laptop, any_laptop.send())
    assert_refused(any_laptop, any_laptop.send("/_ministack/reset", body=b""))
    assert_refused(any_laptop, any_laptop.send("/?Action=SendMessage", method="GET", body=b""))


def test_a_signature_does_not_cover_another_body(laptop: Laptop) -> None:
    request = AWSRequest(method="POST", url=f"http://{HOST}{INVOKE}", data=b"{}")
    botocore.auth.SigV4Auth(Credentials(KEY, SECRET), "lambda", "us-east-1").add_auth(request)
    headers = {name.replace("-", "_"): str(value) for name, value in request.headers.items()}
    assert_refused(laptop, laptop.send(body=SUBMIT, **headers))


def test_the_health_of_the_emulator_needs_no_signature(any_laptop: Laptop) -> None:
    assert any_laptop.send("/_ministack/health", method="GET", body=b"").status == 200


def test_an_open_cloud_takes_any_credentials(open_laptop: Laptop) -> None:
    assert open_laptop.send_signed(key="test", secret="test").status == 200


@pytest.mark.parametrize("authorization", ["AWS test:c2ln", "Basic dGVzdA==", "Bearer test"])
def test_an_open_cloud_takes_any_kind_of_credentials(
    open_laptop: Laptop, authorization: str
) -> None:
    assert open_laptop.send(Authorization=authorization).status == 200
    open_laptop.emulator.reached.clear()
    from_page = open_laptop.send(Authorization=authorization, Origin="http://evil.example")
    assert_refused(open_laptop, from_page)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_an_open_cloud_follows_no_link_of_a_foreign_page(open_laptop: Laptop, site: str) -> None:
    credentials = "X-Amz-Credential=test%2F20260101%2Fus-east-1%2Fsqs%2Faws4_request"
    rest = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20260101T000000Z&X-Amz-Expires=60"
    path = f"/?Action=SendMessage&{credentials}&{rest}&X-Amz-SignedHeaders=host&X-Amz-Signature=0"
    by_link = open_laptop.send(path, method="GET", body=b"", Sec_Fetch_Site=site)
    assert_refused(open_laptop, by_link)
    assert open_laptop.send(path, method="GET", body=b"").status == 200


def test_a_web_socket_of_a_foreign_page_is_closed(any_laptop: Laptop) -> None:
    assert any_laptop.send(kind="websocket", body=b"", Origin="http://evil.example").status == 1008
    assert any_laptop.send(kind="websocket", body=b"").status == 1008
    assert any_laptop.emulator.reached == []


def test_a_request_for_batch_reaches_our_api_and_not_the_emulators_own(laptop: Laptop) -> None:
    tags = "/v1/tags/arn%3Aaws%3Abatch"
    assert laptop.send_signed("/v1/submitjob", service="batch").status == 200
    assert laptop.send_signed("/v1/submitjob", service="execute-api").status == 200
    assert laptop.send_signed(tags, service="batch", method="GET", body=b"").status == 200
    before = "/restapis/abc123/api/_user_request_"
    assert laptop.emulator.reached[:2] == [(f"{before}/v1/submitjob", SUBMIT)] * 2
    assert laptop.emulator.raw_paths[2] == f"{before}{tags}".encode()


@pytest.mark.parametrize(
    ("service", "path"), [("s3", "/v1/submitjob"), ("apigateway", "/v1/x"), ("batch", "/v2/x")]
)
def test_other_services_and_paths_are_left_alone(laptop: Laptop, service: str, path: str) -> None:
    assert laptop.send_signed(path, service=service).status == 200
    assert laptop.emulator.reached == [(path, SUBMIT)]


def test_before_the_stack_is_deployed_batch_is_the_emulators(laptop: Laptop) -> None:
    laptop.record.unlink()
    assert laptop.send_signed("/v1/submitjob", service="batch").status == 200
    assert laptop.emulator.reached == [("/v1/submitjob", SUBMIT)]


@pytest.mark.parametrize(
    ("service", "content_type", "expected"),
    [
        ("batch", "application/json", b'{"__type": "SignatureDoesNotMatch"'),
        ("s3", "application/xml", b"<Error><Code>SignatureDoesNotMatch</Code>"),
        (
            "sts",
            "application/x-www-form-urlencoded",
            b"<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code>",
        ),
    ],
)
def test_a_refusal_is_in_the_protocol_of_the_service(
    laptop: Laptop, service: str, content_type: str, expected: bytes
) -> None:
    answer = laptop.send_signed(service=service, secret="wrong", Content_Type=content_type)
    assert answer.body.startswith(expected)
    assert b"batchyard env" in answer.body


def test_a_long_foreign_name_is_not_repeated_whole(laptop: Laptop) -> None:
    assert len(laptop.send(host="x" * 100_000).body) < 500


def test_the_guard_needs_nothing_that_the_emulators_environment_may_not_have() -> None:
    """It runs there, where our libraries are not."""
    script = (
        f"import sys; sys.path.append({str(REPOSITORY / 'infra')!r}); before = set(sys.modules); "
        "import batchyard.cloud.launcher; print(*(n for n in set(sys.modules) - before "
        "if n.partition('.')[0] not in {*sys.stdlib_module_names, 'batchyard'}))"
    )
    command: list[Any] = [sys.executable, "-S", "-c", script]
    assert subprocess.check_output(command, text=True).strip() == ""
