"""The connection to DynamoDB: every call is made again while DynamoDB is busy, then given up.

DynamoDB refuses a call for the moment because it throttles its caller, because a transaction is
using an item, or because it is unwell itself. All reads and writes of the stores pass through here,
so none of them has to know. A condition that does not hold is an answer, and is never repeated.
"""

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from pynamodb.connection import Connection
from pynamodb.exceptions import PynamoDBException, VerboseClientError

from chalicelib.ports import ContentionError, IncompleteError
from chalicelib.timeouts import ATTEMPTS, CONNECT_SECONDS, READ_SECONDS

BUSY_TRIES = 10
CANCELLED = "TransactionCanceledException"
CONDITION_FAILED = "ConditionalCheckFailed"

Pause = Callable[[int], None]
Json = dict[str, Any]

# What AWS answers to a caller that should slow down, in DynamoDB and in the other services.
_THROTTLED = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "Throttling",
        "ThrottledException",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
_BUSY = _THROTTLED | {
    "InternalServerError",
    "ReplicatedWriteConflictException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "TransactionConflictException",
}
# The same as reasons of a cancelled transaction, which have names of their own
# (API reference of DynamoDB, TransactWriteItems).
_BUSY_REASONS = _BUSY | {
    "ProvisionedThroughputExceeded",
    "ThrottlingError",
    "TransactionConflict",
    "TransactionInProgress",
}
_REFUSED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
    }
)


def is_overload(error: BaseException) -> bool:
    """Return whether the error is contention, or AWS throttling its caller."""
    if isinstance(error, ContentionError):
        return True
    cause = error.cause if isinstance(error, PynamoDBException) else error
    return isinstance(cause, ClientError) and _code_of(cause) in _THROTTLED


def is_outage(error: BaseException) -> bool:
    """Return whether AWS is at fault, or cannot be reached: the same may succeed later.

    A refused permission counts too: a role that is wrong is corrected, and no record is at fault.
    """
    if is_overload(error) or isinstance(error, IncompleteError):
        return True
    cause = error.cause if isinstance(error, PynamoDBException) else error
    if not isinstance(cause, ClientError):
        return isinstance(cause, BotoCoreError) and not isinstance(cause, ParamValidationError)
    status = cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or _code_of(cause) in _REFUSED


class PatientConnection(Connection):
    """A connection whose calls raise ContentionError when DynamoDB is busy in every try.

    `pause(n)` waits before try n + 1. A transaction that is sent again keeps botocore's request
    token, so that it counts once even if the answer to the first was lost.
    """

    def __init__(self, *, region: str, pause: Pause) -> None:
        super().__init__(
            region=region,
            connect_timeout_seconds=CONNECT_SECONDS,
            read_timeout_seconds=READ_SECONDS,
            retry_configuration={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        )
        self._pause = pause

    def _make_api_call(self, operation_name: str, operation_kwargs: Json) -> Json:
        answer = self._call(operation_name, operation_kwargs)
        if operation_name == "BatchGetItem":
            self._read_rest(answer)
        return answer

    def _call(self, operation_name: str, operation_kwargs: Json) -> Json:
        for number in range(1, BUSY_TRIES + 1):
            try:
                answer: Json = super()._make_api_call(operation_name, operation_kwargs)
            except ClientError as error:
                if not is_busy(error):
                    raise
            else:
                return answer
            if number < BUSY_TRIES:
                self._pause(number)
        raise ContentionError(f"{operation_name}, {BUSY_TRIES} tries")

    def _read_rest(self, answer: Json) -> None:
        """Read what a throttled batch left out; PynamoDB would ask at once, and without end."""
        left, fruitless = answer.get("UnprocessedKeys"), 0
        while left:
            fruitless += 1
            if fruitless == BUSY_TRIES:
                raise ContentionError(f"BatchGetItem, {BUSY_TRIES} tries")
            self._pause(fruitless)
            more = self._call("BatchGetItem", {"RequestItems": left})
            for table, items in more.get("Responses", {}).items():
                answer.setdefault("Responses", {}).setdefault(table, []).extend(items)
                fruitless = 0 if items else fruitless
            left = more.get("UnprocessedKeys")
        answer["UnprocessedKeys"] = {}


def is_busy(error: ClientError) -> bool:
    """Return whether the same call may succeed in a moment.

    Of a cancelled transaction with several reasons, a failed condition counts first: its caller
    leaves that action out, or decides again. Then one busy item is enough, whatever else is wrong:
    a lasting error is the only reason left when the item is free.
    """
    if _code_of(error) != CANCELLED:
        return _code_of(error) in _BUSY
    reasons = {reason.code for reason in _reasons_of(error) if reason is not None}
    return CONDITION_FAILED not in reasons and bool(reasons & _BUSY_REASONS)


def _reasons_of(error: ClientError) -> list[Any]:
    return error.cancellation_reasons if isinstance(error, VerboseClientError) else []


def _code_of(error: ClientError) -> str:
    response: Mapping[str, Any] = error.response
    return str(response.get("Error", {}).get("Code", ""))
