"""The errors of botocore: whether they pass by themselves."""

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from chalicelib.core.aws_errors import error_passes


def passes(error: BaseException) -> bool:
    """Return whether the same call may succeed later: it got no answer, or one that passes."""
    if isinstance(error, ConnectionError | HTTPClientError):
        return True
    if not isinstance(error, ClientError):
        return False
    details = error.response.get("Error", {})
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return error_passes(details.get("Code", ""), details.get("Message", ""), status)
