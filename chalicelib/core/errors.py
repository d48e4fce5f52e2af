"""The errors that a caller gets as an answer: one root class, one class per kind of answer.

A class carries the sentence that says what is wrong and nothing about HTTP: status, header and body
are decided in one place, `chalicelib.contract.model.error_response`.
"""

from __future__ import annotations

from typing import ClassVar


class BatchError(Exception):
    """The root of every error that is an answer. `message` is the text that the caller reads."""

    code: ClassVar[str] = "ServerException"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ClientError(BatchError):
    """The request is wrong, or refused in the current state; repeating it does not help.

    `bare` marks a refusal that AWS reports without its "Error executing request" frame.
    """

    code: ClassVar[str] = "ClientException"

    def __init__(self, message: str, *, bare: bool = False) -> None:
        super().__init__(message)
        self.bare = bare


class AccessDeniedError(ClientError):
    """The caller lacks a permission. The message has IAM's words, and no frame."""

    code: ClassVar[str] = "AccessDeniedException"

    def __init__(self, message: str) -> None:
        super().__init__(message, bare=True)


class NotFoundError(BatchError):
    """The resource in the path does not exist. Only the triggers API answers so, not AWS Batch."""

    code: ClassVar[str] = "ResourceNotFoundException"


class NotSupportedError(ClientError):
    """The request is valid in AWS Batch and asks for a feature that is not supported yet.

    `feature` names it.
    """

    def __init__(self, feature: str) -> None:
        super().__init__(f"{feature} is not supported yet by Batchyard.")
        self.feature = feature


class TooManyRequestsError(BatchError):
    """The caller sends too many requests; the same request may succeed later."""

    code: ClassVar[str] = "TooManyRequestsException"

    def __init__(self, message: str = "Too Many Requests") -> None:
        super().__init__(message)


class ServerError(BatchError):
    """A failure inside the service. `message` is for the log; the caller does not see it."""

    def __init__(self, message: str = "Internal error") -> None:
        super().__init__(message)
