"""Requests as the SDK signs them, and everything that a signature must not be good for."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from batchyard.cloud.signature import Refusal, Request, refusal_of, stated_signature

KEY, SECRET = "LOCALKEY", "our/secret+of=this"
BASE = "http://127.0.0.1:4566"
NOW = datetime.now(UTC).timestamp()
Change = Callable[[Request], Request]


def in_seconds(seconds: float) -> float:
    """Return a time from now on: botocore signs by the clock, and a suite takes minutes."""
    return datetime.now(UTC).timestamp() + seconds


def secret_of(access_key_id: str) -> str | None:
    return {KEY: SECRET}.get(access_key_id)


def code_of(request: Request, *, now: float = NOW) -> str | None:
    """Return the code with which a request is refused, None if it is taken."""
    stated = stated_signature(request)
    if isinstance(stated, Refusal):
        return stated.code
    refusal = refusal_of(request, stated, secret_of, now)
    return refusal.code if refusal else None


def received(signed: Any, url: str) -> Request:
    """Return a request of botocore's as a server receives it."""
    parts = urlsplit(url)
    headers = {name.lower(): str(value) for name, value in signed.headers.items()}
    body = signed.body or b""
    return Request(
        method=signed.method,
        path=parts.path,
        query=parts.query,
        headers={"host": parts.netloc, **headers},
        body=body.encode() if isinstance(body, str) else body,
    )


def signed(
    path: str = "/v1/submitjob",
    *,
    service: str = "batch",
    method: str = "POST",
    body: bytes = b'{"jobName": "a"}',
    secret: str = SECRET,
    headers: dict[str, str] | None = None,
) -> Request:
    request = AWSRequest(method=method, url=BASE + path, data=body, headers=headers or {})
    signer = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
    signer(Credentials(KEY, secret), service, "us-east-1").add_auth(request)
    return received(request, BASE + path)


def link(
    operation: str = "get_object", *, version: str | None = None, **parameters: str
) -> Request:
    """Return a presigned link to an S3 object, as boto3 makes it, as the request it becomes."""
    s3 = boto3.client(
        "s3",
        endpoint_url=BASE,
        region_name="us-east-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=Config(signature_version=version),
    )
    given = {"Bucket": "inbox", "Key": "a folder/ö+&=.txt", **parameters}
    parts = urlsplit(s3.generate_presigned_url(operation, Params=given, ExpiresIn=60))
    method = "PUT" if operation == "put_object" else "GET"
    return Request(
        method=method,
        path=parts.path,
        query=parts.query,
        headers={"host": parts.netloc},
        body=b"what was not known when the link was made" if method == "PUT" else b"",
    )


@pytest.mark.parametrize(
    "request_",
    [
        signed(),
        signed("/", service="sqs", headers={"X-Amz-Target": "AmazonSQS.SendMessage"}),
        signed("/v1/tags/arn%3Aaws%3Abatch%3Aus-east-1%3A1%3Ajob%2Fx", method="GET", body=b""),
        signed("/?Action=GetCallerIdentity&Version=2011-06-15&b=2&a=x%20y", method="GET", body=b""),
        signed("/inbox/a%20folder/%C3%B6+x", service="s3", method="PUT", body=b"\x00\xff"),
        signed("/inbox?list-type=2&prefix=a%2Fb&delimiter", service="s3", method="GET", body=b""),
        signed("/inbox/x", service="s3", headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}),
    ],
    ids=lambda request: f"{request.method} {request.path}",
)
def test_what_the_sdk_signs_with_the_keys_is_taken(request_: Request) -> None:
    assert code_of(request_) is None


@pytest.mark.parametrize("version", [None, "s3", "s3v4"])
@pytest.mark.parametrize("operation", ["get_object", "put_object"])
def test_presigned_links_are_taken_until_they_expire(version: str | None, operation: str) -> None:
    made = link(operation, version=version)
    assert code_of(made) is None
    assert code_of(made, now=in_seconds(120)) == "RequestExpired"
    assert code_of(replace(made, path="/inbox/another")) == "SignatureDoesNotMatch"
    assert code_of(replace(made, method="DELETE")) == "SignatureDoesNotMatch"


@pytest.mark.parametrize("version", [None, "s3v4"])
def test_a_link_covers_what_it_asks_of_the_answer(version: str | None) -> None:
    made = link(version=version, ResponseContentType="text/plain", VersionId="7")
    assert code_of(made) is None
    other = made.query.replace("text%2Fplain", "text%2Fhtml")
    assert code_of(replace(made, query=other)) == "SignatureDoesNotMatch"


def test_a_request_without_a_signature_is_refused() -> None:
    plain = replace(signed(), headers={"host": "127.0.0.1:4566", "content-type": "text/plain"})
    assert code_of(plain) == "MissingAuthenticationTokenException"


@pytest.mark.parametrize(
    ("service", "code"), [("batch", "InvalidClientTokenId"), ("s3", "InvalidAccessKeyId")]
)
def test_an_unknown_key_is_refused_in_the_words_of_the_service(service: str, code: str) -> None:
    request = signed(service=service)
    header = request.headers["authorization"].replace(KEY, "test")
    assert code_of(replace(request, headers={**request.headers, "authorization": header})) == code


def test_a_wrong_secret_is_refused() -> None:
    assert code_of(signed(secret="test")) == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    "change",
    [
        lambda r: replace(r, body=b'{"jobName": "another"}'),
        lambda r: replace(r, path="/2015-03-31/functions/batchyard-submit/invocations"),
        lambda r: replace(r, method="PUT"),
        lambda r: replace(r, query="a=b"),
        lambda r: replace(r, headers={**r.headers, "host": "evil.example"}),
        lambda r: replace(r, headers={**r.headers, "x-amz-date": "20200101T000000Z"}),
    ],
    ids=["body", "path", "method", "query", "host", "date"],
)
def test_a_signature_is_good_for_nothing_else_than_its_request(change: Change) -> None:
    assert code_of(change(signed())) in {"SignatureDoesNotMatch", "IncompleteSignatureException"}


def test_a_signature_is_not_taken_a_quarter_of_an_hour_later() -> None:
    request = signed()
    assert code_of(request, now=in_seconds(14 * 60)) is None
    assert code_of(request, now=in_seconds(16 * 60)) == "RequestExpired"
    assert code_of(request, now=in_seconds(-16 * 60)) == "RequestExpired"


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer abc",
        "AWS LOCALKEY:c2lnbmF0dXJl",
        "AWS4-ECDSA-P256-SHA256 Credential=LOCALKEY/20260101/s3/aws4_request",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=LOCALKEY, SignedHeaders=host, Signature=",
        "AWS4-HMAC-SHA256 Credential=LOCALKEY/a/b/c/d/e, SignedHeaders=host, Signature=x",
        # Without the host it would be good for every server.
        "AWS4-HMAC-SHA256 Credential=LOCALKEY/20260101/us-east-1/sqs/aws4_request, "
        "SignedHeaders=x-amz-date, Signature=x",
    ],
)
def test_a_signature_that_cannot_be_read_is_refused_without_an_error(authorization: str) -> None:
    headers = {"host": "127.0.0.1", "x-amz-date": "20260101T000000Z"}
    request = replace(signed(), headers={**headers, "authorization": authorization})
    assert code_of(request) == "IncompleteSignatureException"


@pytest.mark.parametrize("expires", ["0", "-1", "604801", "soon"])
def test_a_link_cannot_last_longer_than_a_week(expires: str) -> None:
    made = link(version="s3v4")
    query = made.query.replace("X-Amz-Expires=60", f"X-Amz-Expires={expires}")
    assert code_of(replace(made, query=query)) == "IncompleteSignatureException"


def test_characters_beyond_ascii_in_a_signature_are_refused_without_an_error() -> None:
    request = signed()
    header = request.headers["authorization"].rpartition("=")[0] + "=ü"
    headers = {**request.headers, "authorization": header}
    assert code_of(replace(request, headers=headers)) == "SignatureDoesNotMatch"
