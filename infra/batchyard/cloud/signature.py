"""Verification of the signatures of AWS requests: Signature Version 4, and Version 2 of S3 links.

Pure, and on the standard library alone, because it runs in the emulator's environment. It knows no
server: `guard` has the requests. The rules are those of "Signature Version 4 for API requests" in
the IAM user guide; Version 2 is here because boto3 presigns S3 links with it by default.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote, unquote

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
SKEW_SECONDS = 900
LONGEST_LINK_SECONDS = 604_800
_DATE = re.compile(r"\d{8}T\d{6}Z")
_SCOPE_PARTS = 5
# Query parameters that are a part of the resource in Version 2 (S3 API reference).
_SUBRESOURCES = frozenset(
    [
        "accelerate",
        "acl",
        "cors",
        "defaultObjectAcl",
        "delete",
        "lifecycle",
        "location",
        "logging",
        "notification",
        "partNumber",
        "policy",
        "requestPayment",
        "restore",
        "tagging",
        "torrent",
        "uploadId",
        "uploads",
        "versionId",
        "versioning",
        "versions",
        "website",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
    ]
)

SecretOf = Callable[[str], str | None]
Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request as it came: path and query as sent, header names in lower case.

    The values of a header that was repeated are joined by commas.
    """

    method: str
    path: str
    query: str
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a request is refused: AWS's code, and a sentence that says what to do."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedSignature:
    """What a request says of its own signature. Times are in seconds since the epoch."""

    access_key_id: str
    scope: str  # date/region/service/aws4_request; empty for Version 2
    signature: str
    signed_headers: tuple[str, ...] = ()
    amz_date: str = ""
    not_before: float
    not_after: float
    is_link: bool

    @property
    def service(self) -> str:
        """Return the service that the request is signed for, s3 for Version 2."""
        return self.scope.split("/")[2] if self.scope else "s3"


UNSIGNED_REQUEST = Refusal(
    code="MissingAuthenticationTokenException",
    message="The local cloud refuses requests without a signature. Use the keys that "
    "`batchyard env` prints.",
)


def stated_signature(request: Request) -> StatedSignature | Refusal:
    """Return what the request says of its signature, or why it cannot be read."""
    query = dict(_pairs(request.query))
    try:
        if request.headers.get("authorization"):
            return _from_header(request.headers)
        if "X-Amz-Signature" in query:
            return _from_link(query)
        if query.keys() >= {"AWSAccessKeyId", "Signature", "Expires"}:
            return StatedSignature(
                access_key_id=query["AWSAccessKeyId"],
                scope="",
                signature=query["Signature"],
                not_before=0,
                not_after=int(query["Expires"]),
                is_link=True,
            )
    except (KeyError, ValueError, IndexError):
        return Refusal(
            code="IncompleteSignatureException",
            message="The signature of the request cannot be read: only Signature Version 4 is "
            "understood, and Version 2 in links to S3 objects.",
        )
    return UNSIGNED_REQUEST


def refusal_of(
    request: Request, stated: StatedSignature, secret_of: SecretOf, now: float
) -> Refusal | None:
    """Return why the request is refused, or None if its signature is a right one, and of now.

    `secret_of` returns the secret of an access key id, or None if there is no such key.
    """
    secret = secret_of(stated.access_key_id)
    if secret is None:
        return Refusal(
            code="InvalidClientTokenId" if stated.service != "s3" else "InvalidAccessKeyId",
            message=f"The local cloud has no access key {stated.access_key_id}. Use the keys that "
            "`batchyard env` prints, or start it with `batchyard up --open`, which takes any.",
        )
    if not stated.not_before <= now <= stated.not_after:
        return Refusal(
            code="RequestExpired", message="The request was not signed now, or its link is over."
        )
    if stated.scope:
        expected = _signatures(request, stated, secret)
    else:
        expected = (_version_2(request, stated, secret),)
    if any(hmac.compare_digest(one.encode(), stated.signature.encode()) for one in expected):
        return None
    return Refusal(
        code="SignatureDoesNotMatch",
        message="The request signature we calculated does not match the signature you provided. "
        "Check your AWS Secret Access Key: `batchyard env` prints the one of this local cloud.",
    )


def needs_body(request: Request) -> bool:
    """Return whether the body is covered by the signature, so that it must be read first."""
    hashed = request.headers.get("x-amz-content-sha256", "")
    return not hashed.startswith(("STREAMING-", UNSIGNED))


def _from_header(headers: Headers) -> StatedSignature:
    algorithm, _, rest = headers["authorization"].partition(" ")
    if algorithm != ALGORITHM:
        raise ValueError(algorithm)
    members = dict(part.strip().split("=", 1) for part in rest.split(","))
    signed_at = _epoch(headers["x-amz-date"])
    return _stated(
        credential=members["Credential"],
        signed_headers=members["SignedHeaders"],
        signature=members["Signature"],
        amz_date=headers["x-amz-date"],
        not_before=signed_at - SKEW_SECONDS,
        not_after=signed_at + SKEW_SECONDS,
        is_link=False,
    )


def _from_link(query: Mapping[str, str]) -> StatedSignature:
    if query["X-Amz-Algorithm"] != ALGORITHM:
        raise ValueError(query["X-Amz-Algorithm"])
    signed_at, lasts = _epoch(query["X-Amz-Date"]), int(query["X-Amz-Expires"])
    if not 0 < lasts <= LONGEST_LINK_SECONDS:
        raise ValueError(lasts)
    return _stated(
        credential=query["X-Amz-Credential"],
        signed_headers=query["X-Amz-SignedHeaders"],
        signature=query["X-Amz-Signature"],
        amz_date=query["X-Amz-Date"],
        not_before=signed_at - SKEW_SECONDS,
        not_after=signed_at + lasts,
        is_link=True,
    )


def _stated(
    *,
    credential: str,
    signed_headers: str,
    signature: str,
    amz_date: str,
    not_before: float,
    not_after: float,
    is_link: bool,
) -> StatedSignature:
    access_key_id, _, scope = credential.partition("/")
    names = tuple(signed_headers.lower().split(";"))
    parts = scope.split("/")
    # Without the host a signature would be good for every server.
    if len(parts) != _SCOPE_PARTS - 1 or parts[0] != amz_date[:8] or "host" not in names:
        raise ValueError(credential)
    return StatedSignature(
        access_key_id=access_key_id,
        scope=scope,
        signature=signature,
        signed_headers=names,
        amz_date=amz_date,
        not_before=not_before,
        not_after=not_after,
        is_link=is_link,
    )


def _epoch(amz_date: str) -> float:
    if not _DATE.fullmatch(amz_date):
        raise ValueError(amz_date)
    return datetime.strptime(amz_date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _signatures(request: Request, stated: StatedSignature, secret: str) -> tuple[str, ...]:
    """Return the right signatures: S3 encodes a path once, other services twice."""
    once = request.path or "/"
    twice = quote(once, safe="/-_.~")
    paths = (once,) if once == twice or stated.service == "s3" else (twice, once)
    key = _signing_key(secret, stated.scope)
    return tuple(
        hmac.new(key, _string_to_sign(request, stated, path), hashlib.sha256).hexdigest()
        for path in paths
    )


def _string_to_sign(request: Request, stated: StatedSignature, path: str) -> bytes:
    headers = ((name, request.headers.get(name, "")) for name in stated.signed_headers)
    canonical = "\n".join(
        (
            request.method,
            path,
            _canonical_query(request.query),
            *(f"{name}:{_trimmed(value)}" for name, value in headers),
            "",
            ";".join(stated.signed_headers),
            _payload_hash(request, stated),
        )
    )
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    return "\n".join((ALGORITHM, stated.amz_date, stated.scope, hashed)).encode()


def _payload_hash(request: Request, stated: StatedSignature) -> str:
    """Return the hash that was signed: of the body itself, unless the request says otherwise."""
    if stated.is_link and stated.service == "s3":
        return request.headers.get("x-amz-content-sha256", UNSIGNED)
    if not needs_body(request):
        return request.headers["x-amz-content-sha256"]
    return hashlib.sha256(request.body).hexdigest()


@lru_cache(maxsize=64)
def _signing_key(secret: str, scope: str) -> bytes:
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _canonical_query(query: str) -> str:
    encoded = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in _pairs(query)
        if name != "X-Amz-Signature"
    )
    return "&".join(f"{name}={value}" for name, value in encoded)


def _version_2(request: Request, stated: StatedSignature, secret: str) -> str:
    """Return the Version 2 signature of a link to an S3 object."""
    headers = request.headers
    amz = sorted((name, value) for name, value in headers.items() if name.startswith("x-amz-"))
    kept = sorted((n, v) for n, v in _pairs(request.query) if n in _SUBRESOURCES)
    resource = "&".join(f"{name}={value}" if value else name for name, value in kept)
    text = "\n".join(
        (
            request.method,
            headers.get("content-md5", ""),
            headers.get("content-type", ""),
            str(int(stated.not_after)),
            *(f"{name}:{_trimmed(value)}" for name, value in amz),
            request.path + (f"?{resource}" if resource else ""),
        )
    )
    digest = hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def _pairs(query: str) -> list[tuple[str, str]]:
    """Return the names and values of a query, decoded; a plus sign is itself, as in a signature."""
    parts = (pair.partition("=") for pair in query.split("&") if pair)
    return [(unquote(name), unquote(value)) for name, _, value in parts]


def _trimmed(value: str) -> str:
    return " ".join(value.split())
