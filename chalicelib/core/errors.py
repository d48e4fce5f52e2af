"""The errors a caller can be answered with: one root, one class per kind of answer.

A class carries the sentence that says what is wrong and nothing of the wire: which HTTP status,
header and body it becomes is decided in one place, `chalicelib.contract.model.error_response`.
"""

from __future__ import annotations

from typing import ClassVar


class BatchError(Exception):
    """The root of every error that is an answer. `message` is the sentence the caller reads."""

    code: ClassVar[str] = "ServerException"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ClientError(BatchError):
    """The request is wrong, or cannot be carried out as things stand; repeating it does not help.

    `bare` tells that AWS reports this refusal without its "Error executing request" frame.
    """

    code: ClassVar[str] = "ClientException"

    def __init__(self, message: str, *, bare: bool = False) -> None:
        super().__init__(message)
        self.bare = bare


class NotFoundError(BatchError):
    """What the path names is not there. The Batch API has no such answer; ours beside it has."""

    code: ClassVar[str] = "ResourceNotFoundException"


class NotSupportedError(ClientError):
    """The request is right by the API and asks for something that is not offered yet.

    `feature` names that thing.
    """

    def __init__(self, feature: str) -> None:
        super().__init__(f"{feature} is not supported yet by Batchyard.")
        self.feature = feature


class TooManyRequestsError(BatchError):
    """The caller is asked to slow down; sending the same request later is right."""

    code: ClassVar[str] = "TooManyRequestsException"

    def __init__(self, message: str = "Too Many Requests") -> None:
        super().__init__(message)


class ServerError(BatchError):
    """Something failed on our side. The message is for our log; the caller is told nothing."""

    def __init__(self, message: str = "Internal error") -> None:
        super().__init__(message)
